#include "launcher/staging/image_check.h"

#include <unistd.h>

#include <algorithm>

#include "launcher/base/private_dir.h"

namespace rex {

namespace {
// Whether the node's own file is used.
bool IsInPlace(const Image& image, const ImageFile& file, const DigestCache& digests) {
  if (image.always || file.in_session) return false;
  if (file.system) return ::access(file.path.c_str(), R_OK) == 0;
  if (image.private_copies) return false;
  if (::access(file.path.c_str(), file.executable ? R_OK | X_OK : R_OK) != 0) return false;
  const auto read = digests.Get(file.path);
  return read && read->digest.whole == file.digest.whole;
}

// Writes what blocks of other files have, and asks for the rest.
Status Fill(const Image& image, const Geometry& geometry, uint32_t index, CheckedImage* checked,
            BlockSet* wanted, bool* whole) {
  const FileDigest& digest = image.files[index].digest;
  *whole = true;
  for (uint64_t i = 0; i < digest.blocks.size(); ++i) {
    const auto content = checked->store->FindBlock(digest.blocks[i]);
    const uint64_t block = geometry.FirstBlock(index) + i;
    if (content && content->size() == geometry.BlockPlace(block).bytes) {
      const Status written = checked->files[index].incoming->Write(i * kBlockBytes, *content);
      if (!written) return written;
      checked->reused_bytes += content->size();
      continue;
    }
    wanted->Add(block);
    *whole = false;
  }
  return Ok{};
}

Status CheckFiles(const Image& image, CheckedImage* checked) {
  const Geometry geometry = image.MakeGeometry();
  checked->wanted = BlockSet(geometry.blocks());
  checked->files.resize(image.files.size());
  // Without a store nothing is remembered; that matters only when something has to be received.
  const DigestCache none("");
  const DigestCache& digests = checked->store ? checked->store->digests() : none;
  for (uint32_t i = 0; i < image.files.size(); ++i) {
    if (IsInPlace(image, image.files[i], digests)) continue;
    checked->files[i].place = FilePlace::kElsewhere;
    if (!checked->store) return Error{Errc::kResource, ""};
    const Status done = CheckFile(image, geometry, i, checked, &checked->wanted);
    if (!done) return done;
  }
  return Ok{};
}
}  // namespace

StageProblem ProblemOf(const Error& error) {
  StageProblem problem;
  problem.detail = "the program can't be stored: " + error.text;
  problem.no_resources = error.code == Errc::kResource || error.sys_errno != 0;
  problem.remedy = "make room there, or choose another place: --store, --store-size";
  if (error.code == Errc::kPermission) problem.remedy = "remove it, or name a directory: --store";
  return problem;
}

Status CheckFile(const Image& image, const Geometry& geometry, uint32_t index,
                 CheckedImage* checked, BlockSet* wanted) {
  const ImageFile& file = image.files[index];
  const std::string path = checked->directory + file.place;
  CheckedFile& here = checked->files[index];
  const auto taken = checked->store->Take(file.digest, path);
  if (!taken) return taken.error();
  if (*taken) {
    here.place = FilePlace::kStored;
    return Ok{};
  }
  auto begun = checked->store->Begin(file.digest);
  if (!begun) return begun.error();
  here.place = FilePlace::kElsewhere;
  if (*begun == nullptr) return Ok{};
  here.incoming = std::move(*begun);
  here.place = FilePlace::kIncoming;
  bool whole = false;
  const Status filled = Fill(image, geometry, index, checked, wanted, &whole);
  if (!filled || !whole) return filled;
  const Status published = here.incoming->Publish(path);
  if (!published) return published;
  here.incoming.reset();
  here.place = FilePlace::kStored;
  return Ok{};
}

CheckedImage CheckImage(const Image& image, const ImageDirs& dirs, const std::string& suffix) {
  CheckedImage checked;
  StoreOptions options = image.store;
  if (image.private_copies) {  // gone with the job's directory
    const bool disk = options.kind == StoreKind::kDisk;
    const std::string beside = (disk ? dirs.disk : dirs.memory) + "-store";
    (void)MakeDirsAbove(beside + "/x");
    options = {StoreKind::kDirectory, beside, options.most_bytes};
  }
  auto store = Store::Open(options, suffix);
  if (store) checked.store = std::move(*store);
  const bool memory = checked.store && checked.store->directory().starts_with(
                                           image.private_copies ? dirs.memory : kShmParent);
  checked.directory = memory ? dirs.memory : dirs.disk;
  const Status done = CheckFiles(image, &checked);
  if (!done) {
    const Error& why = checked.store ? done.error() : store.error();
    checked.problem = std::make_unique<StageProblem>(ProblemOf(why));
  }
  return checked;
}

namespace {
// Whether a file below the directory of the head is not the node's own.
bool HasStagedBelow(const Image& image, const CheckedImage& checked, const std::string& dir) {
  for (size_t i = 0; !dir.empty() && i < image.files.size(); ++i) {
    if (image.files[i].place.starts_with(dir + "/") &&
        checked.files[i].place != FilePlace::kInPlace) {
      return true;
    }
  }
  return false;
}
}  // namespace

std::vector<StagedApp> StagedApps(const Image& image, const CheckedImage& checked) {
  const std::string& directory = checked.directory;
  const auto in_place = [&](uint32_t file) {
    return checked.files[file].place == FilePlace::kInPlace;
  };
  std::vector<StagedApp> apps;
  for (const ImageApp& app : image.apps) {
    StagedApp staged;
    if (app.program < 0) {
      apps.push_back(std::move(staged));
      continue;
    }
    const auto program = static_cast<uint32_t>(app.program);
    const ImageFile& file = image.files[program];
    staged.in_place = in_place(program);
    staged.path = staged.in_place ? file.path : directory + file.place;
    const bool interpreted =
        app.interpreter >= 0 && !in_place(static_cast<uint32_t>(app.interpreter));
    if (interpreted) {  // the kernel would look for it where it is on the head
      staged.interpreter_words = app.interpreter_words;
      staged.interpreter_words.push_back(staged.path);
      staged.path = directory + image.files[static_cast<size_t>(app.interpreter)].place;
      staged.in_place = false;
    }
    if (HasStagedBelow(image, checked, app.openmpi_prefix)) {
      staged.openmpi_prefix = directory + app.openmpi_prefix;
    }
    const bool any =
        !staged.in_place || !std::all_of(app.libraries.begin(), app.libraries.end(), in_place);
    if (any) staged.directory = directory;
    std::vector<std::string> dirs;
    for (const uint32_t library : app.libraries) {
      if (!any || (image.files[library].system && in_place(library))) continue;
      const std::string path = directory + image.files[library].place;
      const std::string dir = path.substr(0, path.rfind('/'));
      if (std::find(dirs.begin(), dirs.end(), dir) == dirs.end()) dirs.push_back(dir);
    }
    for (const std::string& dir : dirs) {
      staged.library_path += (staged.library_path.empty() ? "" : ":") + dir;
    }
    apps.push_back(std::move(staged));
  }
  return apps;
}

Status LinkInPlace(const Image& image, const CheckedImage& checked) {
  const bool any = std::any_of(checked.files.begin(), checked.files.end(),
                               [](const auto& file) { return file.place != FilePlace::kInPlace; });
  if (!any) return Ok{};
  for (size_t i = 0; i < image.files.size(); ++i) {
    const ImageFile& file = image.files[i];
    if (checked.files[i].place != FilePlace::kInPlace || file.system) continue;
    const std::string path = checked.directory + file.place;
    if (const Status made = MakeDirsAbove(path); !made) return made;
    if (::symlink(file.path.c_str(), path.c_str()) != 0 && errno != EEXIST) {
      return Error::FromErrno(errno, "link '" + path + "'");
    }
  }
  return Ok{};
}

}  // namespace rex
