// What mpirun says to the program it starts on a node, and what orted gets to hear of it. Pure.
// docs/design/launch-agent.md has the table.
#pragma once

#include <string>
#include <vector>

namespace rex::openmpi {

// What comes after the program's name, as a user or mpirun gave it.
using Words = std::vector<std::string>;

enum class Caller {
  kUser,   // no daemon words
  kOrte,   // mpirun of Open MPI 4, or one of its daemons
  kPrrte,  // that of Open MPI 5
};

// Ours, among the words of --launch-agent.
struct AgentOptions {
  bool plain = false;    // --rex-plain: orted without the plug-in
  bool exec = false;     // --rex-exec: no templates
  bool verbose = false;  // --rex-verbose
  std::string unknown;   // the first --rex-… that is none of these
};

struct DaemonCall {
  Caller caller = Caller::kUser;
  AgentOptions options;
  Words words;  // without ours
};

DaemonCall ReadDaemonCall(const Words& words);

// False: the user has chosen other components for both of ours, by `-mca odls …` and `-mca filem
// …`; then there would be nobody to take what is ours out of the ranks' environment.
bool CanBeChosen(const Words& words);

// orted's words with the plug-in's directory (empty: without) and ours. A name that is there
// already is replaced: orted refuses one that is given twice.
Words WordsForOrted(const DaemonCall& call, const std::string& plugin_dir);

}  // namespace rex::openmpi
