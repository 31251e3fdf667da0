#include "launcher/cli/machine.h"

#include <gtest/gtest.h>

#include <future>

namespace rex {
namespace {

using Addresses = std::vector<std::string>;

// A machine "n7" (or as said) with two addresses and a name service that knows a few names.
MachineNames Machine(const std::string& own_name, int* asked = nullptr) {
  return {own_name,
          {"10.0.0.7", "fd00::7"},
          [asked](const std::string& host) -> Addresses {
            if (asked != nullptr) ++*asked;
            if (host == "alias") return {"10.0.0.9", "10.0.0.7"};
            if (host == "loop") return {"127.0.1.1"};
            if (host == "six") return {"fd00::7"};
            if (host == "other") return {"10.0.0.8"};
            return {};
          },
          std::chrono::hours(1)};
}

TEST(MachineNames, OursAreNamesAliasesAndAddresses) {
  for (const char* host :
       {"localhost", "ip6-localhost", "n7", "n7.example.org", "10.0.0.7", "127.0.0.1", "127.9.9.9",
        "::1", "fd00::7", "fd00:0:0:0:0:0:0:7", "alias", "loop", "six"}) {
    EXPECT_TRUE(Machine("n7").IsOurs(host)) << host;
  }
  for (const char* host : {"n8", "n70", "n8.n7", "other", "10.0.0.8", "fd00::8", "unknown", ""}) {
    EXPECT_FALSE(Machine("n7").IsOurs(host)) << host;
  }
}

TEST(MachineNames, AFullNameOfOursTellsDomainsApart) {
  MachineNames names = Machine("n7.one.org");
  EXPECT_TRUE(names.IsOurs("n7"));
  EXPECT_TRUE(names.IsOurs("n7.one.org"));
  EXPECT_FALSE(names.IsOurs("n7.two.org"));
}

TEST(MachineNames, WithoutANameOfOursOnlyAddressesCount) {
  MachineNames names = Machine("");
  EXPECT_FALSE(names.IsOurs(""));
  EXPECT_FALSE(names.IsOurs("n7"));
  EXPECT_TRUE(names.IsOurs("10.0.0.7"));
}

TEST(MachineNames, AsksNobodyAboutAddressesAndItsOwnName) {
  int asked = 0;
  MachineNames names = Machine("n7", &asked);
  for (const char* host :
       {"localhost", "n7", "n7.example.org", "10.0.0.7", "10.0.0.8", "fd00::8"}) {
    names.IsOurs(host);
  }
  EXPECT_EQ(asked, 0);
  names.IsOurs("other");
  EXPECT_EQ(asked, 1);
}

// A dead name service costs its patience once, not once a host.
TEST(MachineNames, ADeadNameServiceIsGivenUp) {
  const auto never = std::make_shared<std::promise<void>>();
  const std::shared_future<void> end = never->get_future().share();
  const auto asked = std::make_shared<std::atomic<int>>(0);
  MachineNames names(
      "n7", {},
      [end, asked](const std::string&) -> Addresses {
        ++*asked;
        end.wait();
        return {"127.0.0.1"};
      },
      std::chrono::milliseconds(1));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(names.IsOurs("h" + std::to_string(i)));
  EXPECT_TRUE(names.IsOurs("n7"));
  EXPECT_LE(asked->load(), 1);
  never->set_value();
}

TEST(MachineNames, TheRealOneKnowsThisMachine) {
  MachineNames names = MachineNames::Real();
  EXPECT_TRUE(names.IsOurs("localhost"));
  EXPECT_TRUE(names.IsOurs("127.0.0.1"));
  EXPECT_FALSE(names.IsOurs("192.0.2.1"));  // RFC 5737: nobody's
}

}  // namespace
}  // namespace rex
