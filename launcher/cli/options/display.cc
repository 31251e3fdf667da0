// What is shown of a job besides its output.
#include "launcher/cli/options/topics.h"

namespace rex {

using enum OptionId;

std::vector<Option> DisplayOptions() {
  return {
      {kDisplay,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kText,
       1,
       {"display"},
       "map,allocation,bindings,topo",
       "Show what was planned: which rank runs where, the slots and loads of the nodes, what ranks "
       "are bound to, the hardware."},
      {kDisplayMap,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"display-map"},
       "",
       "The same as --display map."},
      {kDisplayAllocation,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"display-allocation"},
       "",
       "The same as --display allocation."},
      {kDisplayTopo,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"display-topo"},
       "",
       "The same as --display topo."},
      {kReportBindings,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"report-bindings"},
       "",
       "The same as --display bindings."},
      {kDoNotLaunch,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kNone,
       0,
       {"do-not-launch"},
       "",
       "Plan and show, but start nothing."},
      {kReportPid,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kText,
       1,
       {"report-pid"},
       "FILE|-|+",
       "Write rexlaunch's process id to FILE, to standard output (-) or standard error (+)."},
      {kTimeline,
       OptionScope::kJob,
       OptionTopic::kDisplay,
       OptionValue::kText,
       1,
       {"timeline"},
       "FILE|-",
       "Write the times of the launch's phases to FILE, in Chrome's trace format "
       "(chrome://tracing, "
       "ui.perfetto.dev); '-' prints a table on standard error at the end."},
  };
}

}  // namespace rex
