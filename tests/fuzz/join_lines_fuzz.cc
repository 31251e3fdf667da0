// What two agents say before their link, and what is made of a failed start's words. Input: u8 the
// size of the pieces in which a stream arrives, then the stream.
#include "launcher/tree/join_lines.h"
#include "launcher/tree/start_failure.h"
#include "launcher/tree/start_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace rex {
namespace {

// The same stream in pieces and whole gives the same.
void ReadMarker(std::string_view stream, size_t piece) {
  MarkerReader reader;
  for (size_t at = 0; at < stream.size(); at += piece) {
    const auto found = reader.Feed(stream.substr(at, piece));
    REX_CHECK(reader.noise().size() <= kKeptTextBytes);
    if (!found) {
      REX_CHECK(found.error().code == Errc::kProtocol);
      return;
    }
    if (!*found) continue;
    REX_CHECK(!reader.version().empty() && reader.version().size() <= kMaxVersionBytes);
    const std::string marker = MarkerLine(reader.version());
    REX_CHECK(stream.find(marker) != stream.npos);
    return;
  }
}

void ReadKeyLine(std::string_view line) {
  const auto ticket = ParseKeyLine(line);
  if (!ticket) return;
  REX_CHECK(KeyLine(ticket->key, ticket->terms) == line);
}

void CheckShown(const std::string& text) {
  for (const char c : text) {
    REX_CHECK(static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) != 0x7f);
  }
}

void Explain(std::string_view words) {
  StartEvidence evidence;
  const size_t half = words.size() / 2;
  evidence.errors = words.substr(0, half);
  evidence.noise = words.substr(half);
  evidence.end = ExitStatus{words.empty() ? 0 : static_cast<uint8_t>(words[0]), 0, false};
  StartContext context;
  context.node = NodeId{1};
  context.name = "n1";
  context.command = "ssh";
  context.rexd = "/opt/rex/rexd";
  const StartFailure failure = ExplainStart(evidence, context);
  REX_CHECK(!failure.cause.empty() && failure.phase == "ssh");
  CheckShown(failure.cause);
  CheckShown(failure.remedy);
  ServerWasBusy(evidence);
  CheckShown(ExplainLoss("lost", evidence.errors, evidence.end, "ssh"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const size_t piece = in.Byte() + size_t{1};
  ReadMarker(in.Rest(), piece);
  ReadMarker(in.Rest(), in.Rest().size() + 1);
  ReadKeyLine(in.Rest());
  Explain(in.Rest());
  return 0;
}

}  // namespace rex
