// Parts of messages that other rooms' messages contain, too: validated type <-> protobuf. For
// encoders and decoders only; protobuf types go no further.
#pragma once

#include "launcher/wire/launch.pb.h"
#include "launcher/wire/messages.h"

namespace rex {

void PhaseToPb(const Phase& in, pb::Phase* out);
Result<Phase> PhaseFromPb(const pb::Phase& in);
void FailureToPb(const Failure& in, pb::Failure* out);
Result<Failure> FailureFromPb(const pb::Failure& in);
void DvmToPb(const DvmSpec& in, pb::Dvm* out);
Result<DvmSpec> DvmFromPb(const pb::Dvm& in);

}  // namespace rex
