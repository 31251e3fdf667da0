// The grammar of placement options, as mpirun 4.1.4 reads them: words in either case, objects also
// by their beginnings (mpirun's own order decides: "s" is slot, "so" is socket). Pure. Errors are
// phrases for the end of a line that names the option: "'x' is not …; write …".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "launcher/base/result.h"
#include "sched/policy/policy.h"

namespace rex {

// What --map-by may say beside the policy.
struct MapModifiers {
  bool oversubscribe = false;
  bool nooversubscribe = false;
  bool nolocal = false;
};

// --map-by: "OBJECT[:MODIFIER,…]", ":MODIFIER,…" or "ppr:N:OBJECT[,N:OBJECT…][:MODIFIER,…]".
// OBJECT: slot, node, seq, core, l1cache, l2cache, l3cache, socket, package, numa, board, hwthread,
// dist, rankfile, load. MODIFIER: PE=n, SPAN, OVERSUBSCRIBE, NOOVERSUBSCRIBE, NOLOCAL, HWTCPUS.
Status TakeMapBy(std::string_view text, PlacePolicy* policy, MapModifiers* modifiers);
// --ppr: "N:OBJECT[,N:OBJECT…]".
Status TakePpr(std::string_view text, PlacePolicy* policy);
// --rank-by: "OBJECT[:SPAN|:FILL]".
Status TakeRankBy(std::string_view text, PlacePolicy* policy);
// --bind-to: "none|OBJECT|board|cpu-list[:QUALIFIER,…]" or ":QUALIFIER,…". QUALIFIER:
// if-supported, overload-allowed, ordered.
Status TakeBindTo(std::string_view text, PlacePolicy* policy);
// --cpu-set, --cpu-list: "0,2-5".
Status TakeCpuList(std::string_view text, PlacePolicy* policy);

// "core", "hwthread" …
std::string_view ObjectName(HwObject object);
// "core", "ppr:2:socket", "slot": how --map-by would be given.
std::string MapName(const PlacePolicy& policy);
// "core", "none", "cpu-list".
std::string BindName(const PlacePolicy& policy);

}  // namespace rex
