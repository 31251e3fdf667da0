// From programs to an image: closures followed, files chosen by the rules, digests read or
// remembered. Takes as long as reading all files does, the first time: not for a loop's thread.
#pragma once

#include <string>
#include <vector>

#include "launcher/image/digest_cache.h"
#include "launcher/image/image_messages.h"
#include "launcher/image/seen_plug_ins.h"
#include "launcher/image/send_rules.h"

namespace rex {

// A readable library for this kind of machine, by its name and its ELF header.
bool IsSharedObject(const std::string& path);

struct ImageQuery {
  struct App {
    std::string program;           // absolute, as found; empty: not found here
    std::vector<std::string> env;  // NAME=VALUE
  };
  std::vector<App> apps;
  std::vector<std::string> preload_files;  // absolute
  bool always = false;
  bool send_interpreters = false;         // of scripts: whoever runs them can start them so
  const SeenPlugIns* plug_ins = nullptr;  // none: nothing is known
};

struct MadeImage {
  Image image;                       // without files: nothing is to be sent, whatever nodes have
  std::vector<std::string> missing;  // libraries that were found nowhere
  std::vector<std::string> notes;    // what nodes may lack, and why it is not sent
  std::vector<std::string> details;  // for who asks: what was sent beside the closure
  size_t plug_ins = 0;               // files that are there because they were seen
};
// `cache`: none: nothing is remembered. Errors: a file that has to be sent can't be read, or
// changes all the time; too many files.
Result<MadeImage> MakeImage(const ImageQuery& query, const SendRules& rules,
                            const DigestCache* cache);

}  // namespace rex
