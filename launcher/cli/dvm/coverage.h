// Whether a DVM that stays covers what a command line asks for, as far as rexlaunch can tell; the
// head knows the rest. Pure. docs/design/dvm.md has the rules as a table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/cli/job_request.h"
#include "launcher/wire/dvm_messages.h"

namespace rex {

struct CoverageQuestion {
  const CommandLine& line;
  const NodePool& pool;  // where nodes come from without the DVM
  const DvmRecord& record;
  std::string version;         // rexlaunch's
  std::vector<Inherited> own;  // likewise
};

struct Uncovered {
  std::string why;          // a clause: "it is version 1, rexlaunch version 2"
  bool is_version = false;  // worth a word even when nobody asked for the DVM
};

// nullopt: nothing speaks against it.
std::optional<Uncovered> WhyUncovered(const CoverageQuestion& question);

// The nodes that a job may choose from: the DVM's, as if they were allocated, or, when it has this
// machine alone, what the command line has anyway.
NodePool PoolOf(const DvmRecord& record, const NodePool& pool);

// Whether the job, made with these nodes, can run there.
std::optional<std::string> WhyNotThere(const JobSpec& job, const DvmRecord& record);

// As MakeJobSpec, for the DVM. Errors: kInvalid: why it is not covered.
Result<JobSpec> MakeDvmJobSpec(const CoverageQuestion& question, const Surroundings& here,
                               const Environment& env, std::vector<std::string>* warnings);

}  // namespace rex
