#include "launcher/image/image_messages.h"

#include <gtest/gtest.h>

#include "launcher/image/image.pb.h"

namespace rex {
namespace {

ImageFile File(const std::string& path, const std::string& content) {
  ImageFile file;
  file.path = file.place = path;
  file.digest.bytes = content.size();
  for (size_t at = 0; at < content.size(); at += kBlockBytes) {
    file.digest.blocks.push_back(BlockDigest(std::string_view(content).substr(at, kBlockBytes)));
  }
  file.digest.whole = WholeDigest(content.size(), file.digest.blocks);
  return file;
}

Image Full() {
  Image image;
  image.files = {File("/a/prog", std::string(kBlockBytes * 2 + 1, 'p')), File("/a/lib.so", ""),
                 File("/b/../c/x", "x")};
  image.files[0].executable = true;
  image.files[1].system = true;
  image.files[2].place = "/c/x";
  image.files[2].in_session = true;
  image.apps = {{0, {1, 2}}, {-1, {}}};
  image.always = true;
  image.hold = std::chrono::milliseconds(1234);
  image.store = {StoreKind::kDirectory, "/scratch", 77};
  image.private_copies = true;
  image.fault = "n1:damage=2";
  return image;
}

TEST(Image, RoundTrip) {
  const Image image = Full();
  const auto back = ImageFromWire<Image>(ToWire(image));
  ASSERT_TRUE(back) << back.error().text;
  ASSERT_EQ(back->files.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back->files[i].path, image.files[i].path);
    EXPECT_EQ(back->files[i].place, image.files[i].place);
    EXPECT_EQ(back->files[i].digest, image.files[i].digest);
    EXPECT_EQ(back->files[i].executable, image.files[i].executable);
    EXPECT_EQ(back->files[i].system, image.files[i].system);
    EXPECT_EQ(back->files[i].in_session, image.files[i].in_session);
  }
  ASSERT_EQ(back->apps.size(), 2u);
  EXPECT_EQ(back->apps[0].libraries, image.apps[0].libraries);
  EXPECT_EQ(back->apps[1].program, -1);
  EXPECT_EQ(back->store, image.store);
  EXPECT_EQ(back->hold, image.hold);
  EXPECT_EQ(back->fault, image.fault);
  EXPECT_TRUE(back->always && back->private_copies);
}

template <typename Change>
std::string Refusal(Change change) {
  pb::Image m;
  EXPECT_TRUE(m.ParseFromString(ToWire(Full())));
  change(m);
  const auto image = ImageFromWire<Image>(m.SerializeAsString());
  if (image) return "";
  EXPECT_EQ(image.error().code, Errc::kProtocol);
  return image.error().text;
}

TEST(Image, EveryBoundIsChecked) {
  EXPECT_EQ(Refusal([](pb::Image&) {}), "");
  const auto file = [](auto change) {
    return Refusal([&](pb::Image& m) { change(*m.mutable_files(0)); });
  };
  EXPECT_EQ(file([](pb::ImageFile& f) { f.set_path("relative"); }), "bad field ImageFile.path");
  EXPECT_EQ(file([](pb::ImageFile& f) { f.set_path(""); }), "bad field ImageFile.path");
  EXPECT_EQ(file([](pb::ImageFile& f) { f.set_path(std::string("/a\0b", 4)); }),
            "bad field ImageFile.path");
  // Nothing may lie outside the image's directory.
  for (const char* place : {"/a/../../etc/passwd", "/a/./b", "a", "/", "/a/", "/a//b"}) {
    EXPECT_EQ(file([&](pb::ImageFile& f) { f.set_place(place); }), "bad field ImageFile.place");
  }
  EXPECT_EQ(file([](pb::ImageFile& f) { f.set_size(f.size() + kBlockBytes); }),
            "bad field ImageFile.blocks");
  EXPECT_EQ(file([](pb::ImageFile& f) { f.set_size(UINT64_MAX); }), "bad field ImageFile.size");
  EXPECT_EQ(file([](pb::ImageFile& f) { f.mutable_blocks()->pop_back(); }),
            "bad field ImageFile.blocks");
  EXPECT_EQ(Refusal([](pb::Image& m) { m.mutable_apps(0)->set_program(4); }),
            "bad field ImageApp.program");
  EXPECT_EQ(Refusal([](pb::Image& m) { m.mutable_apps(0)->set_libraries(0, 3); }),
            "bad field ImageApp.libraries");
  const auto app = [](auto change) {
    return Refusal([&](pb::Image& m) { change(*m.mutable_apps(0)); });
  };
  EXPECT_EQ(app([](pb::ImageApp& a) { a.set_interpreter(4); }), "bad field ImageApp.interpreter");
  EXPECT_EQ(app([](pb::ImageApp& a) { a.set_interpreter(1); }),
            "bad field ImageApp.interpreter_words");
  EXPECT_EQ(app([](pb::ImageApp& a) { a.add_interpreter_words("/bin/x"); }),
            "bad field ImageApp.interpreter_words");
  EXPECT_EQ(app([](pb::ImageApp& a) {
              a.set_interpreter(1);
              a.add_interpreter_words(std::string("/b\0", 3));
            }),
            "bad field ImageApp.interpreter_words");
  EXPECT_EQ(app([](pb::ImageApp& a) {
              a.set_interpreter(1);
              a.add_interpreter_words("/bin/x");
              a.add_interpreter_words("-a b");
            }),
            "");
  for (const char* prefix : {"opt", "/", "/opt/../etc", "/opt/"}) {
    EXPECT_EQ(app([&](pb::ImageApp& a) { a.set_openmpi_prefix(prefix); }),
              "bad field ImageApp.openmpi_prefix");
  }
  EXPECT_EQ(Refusal([](pb::Image& m) { m.set_store_dir("scratch"); }), "bad field Image.store_dir");
  EXPECT_EQ(Refusal([](pb::Image& m) { m.set_store_kind(3); }), "bad field Image.store_kind");
  EXPECT_EQ(Refusal([](pb::Image& m) { m.set_store_kind(0); }), "bad field Image.store_dir");
}

TEST(ImageMessages, RoundTripAndBounds) {
  BlockSet set(9);
  set.Add(8);
  const auto need = ImageFromWire<ImageNeed>(ToWire(ImageNeed{5, set, 1234, {"10.0.0.1", "::1"}}));
  ASSERT_TRUE(need);
  EXPECT_EQ(need->wanted, set);
  EXPECT_EQ(need->port, 1234);
  EXPECT_EQ(need->addresses.size(), 2u);
  ImageRoute route{5, {1, 2}, set, NodeId{3}, "n3", 99, {"10.0.0.2"}, {NodeId{4}, NodeId{5}}};
  const auto back = ImageFromWire<ImageRoute>(ToWire(route));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->transfer, route.transfer);
  EXPECT_EQ(back->source, route.source);
  EXPECT_EQ(back->followers, route.followers);
  const auto repair = ImageFromWire<ImageRepair>(ToWire(ImageRepair{5, {1}, set, "why"}));
  ASSERT_TRUE(repair);
  EXPECT_EQ(repair->missing, set);
  EXPECT_EQ(ImageFromWire<ImageDone>(ToWire(ImageDone{5, 7, 1}))->received, 7u);
  EXPECT_TRUE(ImageFromWire<ImageFailed>(ToWire(ImageFailed{5, "d", "r", true}))->no_resources);

  pb::ImageRoute m;
  ASSERT_TRUE(m.ParseFromString(ToWire(route)));
  m.set_transfer("short");
  EXPECT_FALSE(ImageFromWire<ImageRoute>(m.SerializeAsString()));
  ASSERT_TRUE(m.ParseFromString(ToWire(route)));
  m.set_source(kMaxNodes);
  EXPECT_FALSE(ImageFromWire<ImageRoute>(m.SerializeAsString()));
  ASSERT_TRUE(m.ParseFromString(ToWire(route)));
  m.add_followers(kMaxNodes);
  EXPECT_FALSE(ImageFromWire<ImageRoute>(m.SerializeAsString()));
  ASSERT_TRUE(m.ParseFromString(ToWire(route)));
  m.set_port(65536);
  EXPECT_FALSE(ImageFromWire<ImageRoute>(m.SerializeAsString()));
}

TEST(PlainPath, ByItsWordsAlone) {
  const std::pair<const char*, const char*> cases[] = {
      {"/a/b", "/a/b"}, {"/a/./b//c/", "/a/b/c"}, {"/a/../b", "/b"}, {"/../..", "/"},
      {"/", "/"},       {"/a/b/../../../c", "/c"}};
  for (const auto& [path, plain] : cases) EXPECT_EQ(PlainPath(path), plain) << path;
}

}  // namespace
}  // namespace rex
