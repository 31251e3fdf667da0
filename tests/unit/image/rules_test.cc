#include "launcher/image/send_rules.h"

#include <gtest/gtest.h>

namespace rex {
namespace {

TEST(SendRules, Table) {
  const SendRules rules({});
  const std::pair<const char*, FileRule> cases[] = {
      {"/home/u/app", FileRule::kSend},
      {"/usr/local/lib/libx.so", FileRule::kSend},
      {"/opt/x/lib/libx.so", FileRule::kSend},
      {"/usr/lib/x86_64-linux-gnu/libmpi.so.40", FileRule::kSystem},
      {"/lib/x86_64-linux-gnu/libz.so.1", FileRule::kSystem},
      {"/usrlib/libx.so", FileRule::kSend},
      {"/usr/lib/x86_64-linux-gnu/libc.so.6", FileRule::kNever},
      {"/home/u/lib/libm.so.6", FileRule::kNever},
      {"/home/u/lib/libnss_files.so.2", FileRule::kNever},
      {"/home/u/lib/libmagma.so", FileRule::kSend},
      {"/opt/cuda/lib64/libcuda.so.1", FileRule::kNever},
      {"/opt/cuda/lib64/libcudart.so.12", FileRule::kSend},
      {"/usr/lib/libnvidia-ml.so.1", FileRule::kNever},
  };
  for (const auto& [path, rule] : cases) EXPECT_EQ(rules.Of(path), rule) << path;
}

TEST(SendRules, FilesAddAndTakeOut) {
  const SendRules rules(
      {"# ours\n  libfabric.so* \nlibmine-??.so\n", "!libcuda.so*\n!unknown\n\n"});
  EXPECT_EQ(rules.Of("/opt/lib/libfabric.so.1"), FileRule::kNever);
  EXPECT_EQ(rules.Of("/opt/lib/libmine-12.so"), FileRule::kNever);
  EXPECT_EQ(rules.Of("/opt/lib/libmine-123.so"), FileRule::kSend);
  EXPECT_EQ(rules.Of("/opt/lib/libcuda.so.1"), FileRule::kSend);
}

}  // namespace
}  // namespace rex
