// Environment of ranks: what libpmix wants, what Open MPI 4.1 wants from a launcher that is not
// mpirun, and its split into the part all local ranks share and each one's own. Pure.
#pragma once

#include <string>
#include <vector>

#include "pmix-server/proto/host_types.h"

namespace rex::pmix {

using Env = std::vector<std::string>;  // NAME=VALUE

// Replaces the value of `name`, or adds it.
void SetEnv(Env& env, const std::string& name, const std::string& value);

// The same for all ranks of `job`, on every node.
Env OpenMpiEnv(const RegisterJob& job);

// libpmix 4.2.2 takes program, arguments and directory from the server's own app (0) for every
// rank (pmdl_ompi.c, setup_fork): this puts those of `app` there.
void CorrectAppEnv(Env& env, const RegisterJob::App& app);

// Moves what all of `ranks` have in common into `common`.
void SplitEnv(std::vector<JobRegistered::RankEnv>& ranks, Env& common);

}  // namespace rex::pmix
