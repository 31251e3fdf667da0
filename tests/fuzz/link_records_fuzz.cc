// What a peer that has proved itself, or somebody on its way, can send a link. Input: u8 settings,
// then
// - bit 0 unset: a stream, given to a record opener;
// - bit 0 set: plain records (u8 type, u16 length, contents), sealed here with the right key and
// sent
//   to a link. Bit 1: the link has been given a TCP connection, to which `moved` leads.
#include <algorithm>

#include "launcher/link/handshake_run.h"
#include "launcher/link/link.h"
#include "launcher/link/record.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

constexpr size_t kMostMessageBytes = 100'000;

LinkKey FixedKey(unsigned char byte) {
  LinkKey key;
  key.bytes.fill(byte);
  return key;
}

// Both ways of feeding give the same records.
std::string OpenAll(std::string_view bytes, size_t piece) {
  RecordOpener opener(FixedKey(7));
  std::string all;
  while (!bytes.empty()) {
    const size_t n = std::min(piece, bytes.size());
    opener.Feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
    for (;;) {
      auto record = opener.Next();
      if (!record) {
        REX_CHECK(record.error().code == Errc::kProtocol);
        return all + record.error().text;
      }
      if (!record->has_value()) break;
      REX_CHECK((*record)->contents.size() <= kMostFrameBytes);
      all += static_cast<char>((*record)->type) + (*record)->contents;
    }
  }
  return all;
}

// A child made by hand, and the parent's link that it talks to.
class Conversation {
 public:
  Conversation() {
    auto pair = MakeStreamPair();
    REX_CHECK(pair.has_value());
    link_ = std::make_unique<Link>(loop_, Params(), std::move(pair->first), UniqueFd(),
                                   std::chrono::seconds(10), Handlers());
    HandshakeParams child;
    child.role = LinkRole::kChild;
    child.self = NodeId{3};
    child.key = &key_;
    child.version = "1.0";
    channel_ = std::make_unique<ByteStream>(loop_, std::move(pair->second), UniqueFd(),
                                            ByteStream::Handlers{});
    run_ = std::make_unique<HandshakeRun>(loop_, *channel_, Handshake(child, MakeHandshakeNonce()),
                                          std::chrono::seconds(10), [this](auto done) {
                                            REX_CHECK(done.has_value());
                                            channel_sealer_.emplace(done->keys.up);
                                            Mute(*channel_);
                                          });
    while (!channel_sealer_ || !link_->up()) Turn();
  }

  void AdoptTcp() {
    auto pair = MakeStreamPair();
    REX_CHECK(pair.has_value());
    SessionKeys keys{FixedKey(1), FixedKey(2)};
    tcp_ = std::make_unique<ByteStream>(loop_, std::move(pair->second), UniqueFd(),
                                        ByteStream::Handlers{});
    Mute(*tcp_);
    tcp_sealer_.emplace(keys.up);
    link_->AdoptTcp({std::move(pair->first), std::move(keys)});
  }

  void Say(RecordType type, std::string_view contents) {
    ByteStream& stream = moved_ ? *tcp_ : *channel_;
    (moved_ ? tcp_sealer_ : channel_sealer_)->Seal(type, contents, stream.output());
    stream.Write();
    Drain(*channel_);
    if (tcp_) Drain(*tcp_);
    moved_ = moved_ || (type == RecordType::kMoved && tcp_);
    for (int i = 0; i < 3; ++i) Turn();
  }
  // What the link holds back is bounded whatever came; it closes when its peer goes.
  void End() {
    link_->EnableReading(true);
    channel_.reset();
    tcp_.reset();
    for (int i = 0; i < 100 && !closed_; ++i) Turn();
  }
  void EnableReading(bool on) { link_->EnableReading(on); }
  bool closed() const { return closed_; }

 private:
  LinkParams Params() const {
    LinkParams params;
    params.role = LinkRole::kParent;
    params.peer = NodeId{3};
    params.key = &key_;
    params.version = "1.0";
    params.max_message_bytes = kMostMessageBytes;
    return params;
  }
  Link::Handlers Handlers() {
    Link::Handlers handlers;
    handlers.on_message = [this](uint8_t, FrameClass, const std::string& payload) {
      REX_CHECK(!closed_ && payload.size() <= kMostMessageBytes);
    };
    handlers.on_closed = [this](const Error& error) {
      REX_CHECK(!closed_ && !error.text.empty());
      closed_ = true;
    };
    return handlers;
  }
  static void Mute(ByteStream& stream) {
    stream.EnableReading(false);
    stream.SetHandlers({[] {}, [&stream] { stream.Write(); }});
  }
  static void Drain(ByteStream& stream) {
    char bytes[4096];
    while (stream.ReadSome(bytes, sizeof bytes).bytes > 0) {
    }
  }
  void Turn() {
    Timer wake(loop_, [] {});
    wake.Set(Clock::Time(0));
    loop_.RunOnce();
  }

  EventLoop loop_;
  const LinkKey key_ = FixedKey(7);
  std::unique_ptr<Link> link_;
  std::unique_ptr<ByteStream> channel_;
  std::unique_ptr<ByteStream> tcp_;
  std::unique_ptr<HandshakeRun> run_;
  std::optional<RecordSealer> channel_sealer_;
  std::optional<RecordSealer> tcp_sealer_;
  bool moved_ = false;
  bool closed_ = false;
};

void Converse(bool with_tcp, std::string_view bytes) {
  Conversation conversation;
  if (with_tcp) conversation.AdoptTcp();
  fuzz::Input in(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  while (!in.Rest().empty() && !conversation.closed()) {
    const uint8_t type = in.Byte();
    const size_t wanted = in.Take<uint16_t>();
    const size_t length = std::min({wanted, in.Rest().size(), kMostFrameBytes});
    const std::string contents(in.Rest().substr(0, length));
    for (size_t i = 0; i < length; ++i) in.Byte();
    if ((type & 0x80) != 0) conversation.EnableReading((type & 0x40) != 0);
    conversation.Say(static_cast<RecordType>(type & 0x07), contents);
  }
  conversation.End();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t settings = in.Byte();
  if ((settings & 1) != 0) {
    Converse((settings & 2) != 0, in.Rest());
    return 0;
  }
  const size_t piece = 1 + (settings >> 1);
  REX_CHECK(OpenAll(in.Rest(), SIZE_MAX) == OpenAll(in.Rest(), piece));
  return 0;
}

}  // namespace rex
