// What a node has of an image before anything is sent: in place, in the store, or to be received.
// Reads files; not for a loop's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "launcher/image/image_messages.h"
#include "launcher/store/store.h"

namespace rex {

enum class FilePlace : uint8_t {
  kInPlace,    // the node's own, at the same path
  kStored,     // linked below the image's directory
  kIncoming,   // being received
  kElsewhere,  // being received by another job or agent of the same user
};

struct CheckedFile {
  FilePlace place = FilePlace::kInPlace;
  std::unique_ptr<Incoming> incoming;
};

struct StageProblem {
  std::string detail;
  std::string remedy;
  bool no_resources = false;
};

struct CheckedImage {
  std::shared_ptr<Store> store;
  std::string directory;  // where the image's files are put together
  std::vector<CheckedFile> files;
  BlockSet wanted;
  uint64_t reused_bytes = 0;  // of changed files, from others in the store
  std::unique_ptr<StageProblem> problem;
};

// Where an image may be put together: on the store's file system, so that links can be made.
struct ImageDirs {
  std::string memory;
  std::string disk;
};
// `suffix`: of the store.
CheckedImage CheckImage(const Image& image, const ImageDirs& dirs, const std::string& suffix);

// One file that others may have brought meanwhile, or given up. `wanted` gets its blocks when it is
// this job's turn to receive it. Errors: as Store's.
Status CheckFile(const Image& image, const Geometry& geometry, uint32_t file, CheckedImage* checked,
                 BlockSet* wanted);

StageProblem ProblemOf(const Error& error);

// How the programs of a checked image are to be run.
struct StagedApp {
  std::string path;          // to be exec'ed; empty: the node finds it itself
  bool in_place = false;     // `path` is the node's own
  std::string library_path;  // directories, as LD_LIBRARY_PATH has them; empty: none
  std::string directory;     // the image's; empty: all is in place
  std::vector<std::string> interpreter_words;  // of a script that `path` is to interpret: what
                                               // takes argv[0]'s place; empty: it is none
  std::string openmpi_prefix;  // where the program's own Open MPI lies; empty: where it says
};
std::vector<StagedApp> StagedApps(const Image& image, const CheckedImage& checked);

// Links what is used in place below the image's directory, so that paths between files hold.
// Nothing to do when nothing was staged.
Status LinkInPlace(const Image& image, const CheckedImage& checked);

}  // namespace rex
