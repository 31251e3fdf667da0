// The other end of a link, done by hand: seals and opens records itself, says what it is told to,
// reads only when asked. For faults that a Link never makes.
#pragma once

#include <optional>
#include <vector>

#include "launcher/link/handshake_run.h"
#include "launcher/link/little_endian.h"
#include "launcher/link/record.h"
#include "tests/unit/link/link_pair.h"

namespace rex::testing {

inline std::string FrameOf(uint8_t kind, FrameClass frame_class, std::string_view payload,
                           bool more = false) {
  const auto header =
      EncodeFrameHeader({static_cast<uint32_t>(payload.size()), kind, frame_class, more});
  return std::string(header.data(), header.size()) + std::string(payload);
}

inline std::string NumberOf(uint64_t number) {
  std::string out;
  AppendLe(out, number);
  return out;
}

struct RawPeer {
  LinkKey key = KeyOf(7);
  std::unique_ptr<ByteStream> stream;
  std::unique_ptr<HandshakeRun> run;
  std::optional<RecordSealer> sealer;
  std::optional<RecordOpener> opener;
  bool ended = false;  // the link has closed its end

  // Acts as the child of `link`, over `socket`.
  void Open(EventLoop& loop, UniqueFd socket) {
    HandshakeParams params;
    params.role = LinkRole::kChild;
    params.self = NodeId{3};
    params.dvm = DvmOf(9);
    params.key = &key;
    params.version = "1.0";
    stream =
        std::make_unique<ByteStream>(loop, std::move(socket), UniqueFd(), ByteStream::Handlers{});
    run = std::make_unique<HandshakeRun>(
        loop, *stream, Handshake(params, MakeHandshakeNonce()), std::chrono::seconds(10),
        [this](Result<HandshakeRun::Done> done) {
          ASSERT_TRUE(done.has_value());
          sealer.emplace(done->keys.up);
          opener.emplace(std::move(done->keys.down));
          stream->EnableReading(false);
          stream->SetHandlers({[] {}, [this] { stream->Write(); }});
        });
  }
  void Say(RecordType type, std::string_view contents) {
    sealer->Seal(type, contents, stream->output());
    stream->Write();
  }
  void SayFrame(uint8_t kind, FrameClass frame_class, std::string_view payload, bool more = false) {
    Say(RecordType::kFrame, FrameOf(kind, frame_class, payload, more));
  }
  void SayBytes(std::string_view bytes) {
    stream->output() += bytes;
    stream->Write();
  }
  // Takes at most `most` bytes off the socket; the records that they complete.
  std::vector<Record> Hear(size_t most = 1 << 20) {
    std::string bytes(most, '\0');
    const ByteStream::Read read = stream->ReadSome(bytes.data(), most);
    ended = ended || read.end;
    opener->Feed(std::string_view(bytes).substr(0, read.bytes));
    std::vector<Record> records;
    for (;;) {
      auto record = opener->Next();
      EXPECT_TRUE(record.has_value());
      if (!record || !record->has_value()) return records;
      records.push_back(std::move(**record));
    }
  }
};

// A link with a peer done by hand.
struct LinkAndRaw {
  EventLoop loop;
  End end{LinkRole::kParent, NodeId{0}, NodeId{3}};
  RawPeer raw;

  bool Up() {
    auto pair = MakeStreamPair();
    EXPECT_TRUE(pair.has_value());
    end.Open(loop, std::move(pair->first));
    raw.Open(loop, std::move(pair->second));
    return RunUntil(loop, [this] { return end.up() && raw.sealer.has_value(); });
  }
  bool Closed() {
    return RunUntil(loop, [this] { return end.closed.has_value(); });
  }
};

}  // namespace rex::testing
