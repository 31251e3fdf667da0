// The number by which Open MPI 4.1 knows a PMIx namespace that its own runtime did not make.
#pragma once

#include <cstdint>
#include <string_view>

namespace rex::pmix {

// Bob Jenkins' one-at-a-time hash of the name (characters as signed char, as on x86-64) with bit 15
// cleared. Two live jobs with one number are one job to Open MPI: choose a name whose number is
// usable and new among the live ones. Source: OPAL_HASH_JOBID and opal/hash_string.h of 4.1.4.
uint32_t OpenMpiJobid(std::string_view name_space);

// False for numbers to which Open MPI gives a meaning of its own: it reads the number as a family
// (upper 16 bits; all ones in its invalid and wildcard jobs) and a job of it (lower 16 bits; 0 is
// the family's daemons).
bool IsUsableOpenMpiJobid(uint32_t jobid);

}  // namespace rex::pmix
