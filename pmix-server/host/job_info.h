// What ranks may ask about their job, as the infos of PMIx_server_register_nspace.
#pragma once

#include "pmix-server/host/pmix_values.h"
#include "pmix-server/host/server.h"
#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

// `job` has passed CheckRegisterJob. The keys are those that Open MPI 4.1, MPICH and the PMIx
// Standard's "reserved keys" of job, app, node and process level ask for. Errors: kInternal when
// libpmix refuses the maps or a cpuset.
Result<InfoList> MakeJobInfo(const RegisterJob& job, const PmixServer& server);

// The directory that PMIX_PROCDIR names.
std::string ProcDir(const RegisterJob& job, uint32_t rank);

}  // namespace rex::pmix
