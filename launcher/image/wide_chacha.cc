#include "launcher/image/wide_chacha.h"

#include <cstring>

#include "launcher/base/check.h"

namespace rex {

#if defined(__x86_64__)

namespace {
constexpr size_t kWords = 16;   // of a block
constexpr size_t kBlocks = 16;  // side by side
using State = std::array<uint32_t, kWords>;

// A word of each block. Never passed by value: how that is done depends on the processor.
using Lanes = uint32_t __attribute__((vector_size(64)));
static_assert(sizeof(Lanes) == kBlocks * sizeof(uint32_t));

[[gnu::always_inline]] inline void Turn(Lanes& x, const Lanes& with, int bits) {
  x ^= with;
  x = (x << bits) | (x >> (32 - bits));
}

[[gnu::always_inline]] inline void Mix(Lanes& a, Lanes& b, Lanes& c, Lanes& d) {
  a += b;
  Turn(d, a, 16);
  c += d;
  Turn(b, c, 12);
  a += b;
  Turn(d, a, 8);
  c += d;
  Turn(b, c, 7);
}

[[gnu::always_inline]] inline void TwoRounds(Lanes (&x)[kWords]) {
  Mix(x[0], x[4], x[8], x[12]);
  Mix(x[1], x[5], x[9], x[13]);
  Mix(x[2], x[6], x[10], x[14]);
  Mix(x[3], x[7], x[11], x[15]);
  Mix(x[0], x[5], x[10], x[15]);
  Mix(x[1], x[6], x[11], x[12]);
  Mix(x[2], x[7], x[8], x[13]);
  Mix(x[3], x[4], x[9], x[14]);
}

// The key stream of sixteen blocks, as it goes over the bytes.
[[gnu::always_inline]] inline void MakeStream(const State& state,
                                              uint32_t (&stream)[kBlocks][kWords]) {
  Lanes x[kWords];
  for (size_t i = 0; i < kWords; ++i) x[i] = Lanes{} + state[i];
  x[12] += Lanes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Lanes begin[kWords];
  for (size_t i = 0; i < kWords; ++i) begin[i] = x[i];
  for (int i = 0; i < 10; ++i) TwoRounds(x);
  alignas(64) uint32_t by_word[kWords][kBlocks];
  for (size_t i = 0; i < kWords; ++i) {
    x[i] += begin[i];
    std::memcpy(by_word[i], &x[i], sizeof x[i]);
  }
  for (size_t block = 0; block < kBlocks; ++block) {
    for (size_t word = 0; word < kWords; ++word) stream[block][word] = by_word[word][block];
  }
}

[[gnu::target("avx512f,avx512vl")]] void Xor(State state, const char* in, char* out, size_t bytes) {
  alignas(64) uint32_t stream[kBlocks][kWords];
  for (size_t done = 0; done < bytes; done += kWideChachaBytes) {
    MakeStream(state, stream);
    state[12] += kBlocks;
    for (size_t block = 0; block < kBlocks; ++block) {
      Lanes text;
      Lanes key;
      std::memcpy(&text, in + done + 64 * block, sizeof text);
      std::memcpy(&key, stream[block], sizeof key);
      text ^= key;
      std::memcpy(out + done + 64 * block, &text, sizeof text);
    }
  }
  ::explicit_bzero(stream, sizeof stream);
  ::explicit_bzero(&state, sizeof state);
}
}  // namespace

bool HasWideChacha() {
  static const bool has =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  return has;
}

void WideChacha(const std::array<unsigned char, 32>& key,
                const std::array<unsigned char, 12>& nonce, uint32_t counter, const char* in,
                char* out, size_t bytes) {
  REX_CHECK(HasWideChacha() && bytes % kWideChachaBytes == 0);
  State state = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};  // "expand 32-byte k"
  std::memcpy(&state[4], key.data(), key.size());
  state[12] = counter;
  std::memcpy(&state[13], nonce.data(), nonce.size());
  Xor(state, in, out, bytes);
}

#else

bool HasWideChacha() { return false; }

void WideChacha(const std::array<unsigned char, 32>& /*key*/,
                const std::array<unsigned char, 12>& /*nonce*/, uint32_t /*counter*/,
                const char* /*in*/, char* /*out*/, size_t /*bytes*/) {
  REX_CHECK(false);
}

#endif

}  // namespace rex
