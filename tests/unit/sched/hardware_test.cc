#include "sched/placement/hardware.h"

#include <gtest/gtest.h>

#include "tests/unit/sched/synthetic.h"

namespace rex {
namespace {

TEST(Hardware, IsShortForRegularMachines) {
  EXPECT_EQ(EncodeHardware(HardwareOf(Synthetic("pack:2 numa:2 l3:1 core:4 pu:2"))),
            "p 0-31;n 8*4;s 16*2;3 8*4;2;1;c 2*16;d");
  EXPECT_EQ(EncodeHardware(PlainHardware(2)), "p 0-1;n 2*1;s 2*1;3;2;1;c 1*2;d");
}

TEST(Hardware, TextGivesItBack) {
  for (const char* text : {"pack:2 core:3 pu:2", "pu:7", "pack:1 l2:2 core:2 pu:1",
                           "pack:2 core:2 pu:2(indexes=0,4,1,5,2,6,3,7)"}) {
    const Hardware hardware = HardwareOf(Synthetic(text));
    const auto back = DecodeHardware(EncodeHardware(hardware));
    ASSERT_TRUE(back) << EncodeHardware(hardware);
    EXPECT_EQ(*back, hardware) << EncodeHardware(hardware);
  }
  const auto devices = DecodeHardware("p 0-3;n 2*2;s 4*1;3;2;1;c 1*4;d ib0=1,0 eth0=0,1");
  ASSERT_TRUE(devices);
  EXPECT_EQ(NumaOrder(*devices, "ib0"), (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(NumaOrder(*devices, "auto"), (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(NumaOrder(*devices, "none"), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(EncodeHardware(*devices), "p 0-3;n 2*2;s 4*1;3;2;1;c 1*4;d ib0=1,0 eth0=0,1");
}

TEST(Hardware, EveryTruncationAndEveryBadBoundIsRefused) {
  const std::string good = "p 0-3,8;n 1+2*2;s 5*1;3;2;1;c 1*5;d ib0=1,0";
  ASSERT_TRUE(DecodeHardware(good)) << DecodeHardware(good).error().text;
  for (size_t size = 0; size < good.size(); ++size) {
    const std::string cut = good.substr(0, size);
    if (cut.ends_with(";d")) continue;  // devices need not be there
    EXPECT_FALSE(DecodeHardware(cut)) << cut;
  }
  for (const char* bad :
       {"p 3-0;n;s;3;2;1;c;d", "p 0-3;n 5*1;s;3;2;1;c;d", "p 0-3;n 2*3;s;3;2;1;c;d",
        "p 0;n 0*1;s;3;2;1;c;d", "p 0;n 1*0;s;3;2;1;c;d", "p 0;n 1+1*1;s;3;2;1;c;d",
        "p 0-99999;n;s;3;2;1;c;d", "p 0;n;s;3;2;1;c;d x=0", "p 0-1;n 1*2;s;3;2;1;c;d x=0,0",
        "p 0-1;n 1*2;s;3;2;1;c;d x=0", "p 0;n;s;3;2;1;c;d;", "", "p 0-65536;n;s;3;2;1;c;d"}) {
    const auto hardware = DecodeHardware(bad);
    ASSERT_FALSE(hardware) << bad;
    EXPECT_EQ(hardware.error().code, Errc::kProtocol);
  }
  EXPECT_FALSE(DecodeHardware(std::string(kMaxHardwareBytes + 1, 'p')));
}

}  // namespace
}  // namespace rex
