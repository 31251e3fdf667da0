#include "launcher/image/blake2b_four.h"

#include <algorithm>
#include <cstring>

#include "launcher/base/check.h"

namespace rex {

#if defined(__x86_64__)

namespace {
constexpr size_t kChunk = 128;
constexpr std::array<uint64_t, 8> kStart = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
constexpr uint64_t kParameters = 0x01010020;  // 32 bytes of digest, no key, no tree
// Which words of a chunk each round takes, in order.
constexpr uint8_t kOrder[12][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
                                    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

// A word of each message. Never passed by value: how that is done depends on the processor.
using Lanes = uint64_t __attribute__((vector_size(32)));

[[gnu::always_inline]] inline void Turn(Lanes& x, const Lanes& with, int bits) {
  x ^= with;
  x = (x >> bits) | (x << (64 - bits));
}

[[gnu::always_inline]] inline void Mix(Lanes& a, Lanes& b, Lanes& c, Lanes& d, const Lanes& x,
                                       const Lanes& y) {
  a += b + x;
  Turn(d, a, 32);
  c += d;
  Turn(b, c, 24);
  a += b + y;
  Turn(d, a, 16);
  c += d;
  Turn(b, c, 63);
}

[[gnu::always_inline]] inline void Round(Lanes (&v)[16], const Lanes (&m)[16],
                                         const uint8_t (&s)[16]) {
  Mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
  Mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
  Mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
  Mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
  Mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
  Mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
  Mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
  Mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
}

[[gnu::always_inline]] inline uint64_t Word(const char* from) {
  uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// `end`: bytes of each message up to the end of this chunk.
[[gnu::always_inline]] inline void Compress(Lanes (&h)[8], const std::array<const char*, 4>& chunk,
                                            uint64_t end, bool last) {
  Lanes m[16];
  for (size_t i = 0; i < 16; ++i) {
    m[i] = Lanes{Word(chunk[0] + 8 * i), Word(chunk[1] + 8 * i), Word(chunk[2] + 8 * i),
                 Word(chunk[3] + 8 * i)};
  }
  Lanes v[16];
  for (size_t i = 0; i < 8; ++i) {
    v[i] = h[i];
    v[i + 8] = Lanes{} + kStart[i];
  }
  v[12] ^= Lanes{} + end;
  if (last) v[14] = ~v[14];
#pragma GCC unroll 12
  for (const auto& order : kOrder) Round(v, m, order);
  for (size_t i = 0; i < 8; ++i) h[i] ^= v[i] ^ v[i + 8];
}

[[gnu::always_inline]] inline void HashFour(const std::array<const char*, 4>& messages,
                                            size_t bytes, std::array<Hash256, 4>* out) {
  Lanes h[8];
  for (size_t i = 0; i < 8; ++i) h[i] = Lanes{} + kStart[i];
  h[0] ^= Lanes{} + kParameters;
  std::array<const char*, 4> at = messages;
  size_t done = 0;
  for (; bytes - done > kChunk; done += kChunk) {
    Compress(h, at, done + kChunk, false);
    for (const char*& one : at) one += kChunk;
  }
  std::array<std::array<char, kChunk>, 4> tail{};
  for (size_t i = 0; i < 4; ++i) {
    std::memcpy(tail[i].data(), at[i], bytes - done);
    at[i] = tail[i].data();
  }
  Compress(h, at, bytes, true);
  for (size_t i = 0; i < 4; ++i) {
    for (size_t word = 0; word < 4; ++word) {
      const uint64_t value = h[word][i];
      std::memcpy((*out)[i].data() + 8 * word, &value, sizeof value);
    }
  }
}

[[gnu::target("avx2")]] void HashWithAvx2(const std::array<const char*, 4>& messages, size_t bytes,
                                          std::array<Hash256, 4>* out) {
  HashFour(messages, bytes, out);
}
// The same registers, but turning is one instruction.
[[gnu::target("avx512f,avx512vl")]] void HashWithAvx512(const std::array<const char*, 4>& messages,
                                                        size_t bytes, std::array<Hash256, 4>* out) {
  HashFour(messages, bytes, out);
}

bool HasAvx512() {
  static const bool has =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  return has;
}
}  // namespace

bool HasBlake2bFour() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}

std::array<Hash256, 4> Blake2bFour(const std::array<const char*, 4>& messages, size_t bytes) {
  REX_CHECK(bytes > 0 && HasBlake2bFour());
  std::array<Hash256, 4> out;
  HasAvx512() ? HashWithAvx512(messages, bytes, &out) : HashWithAvx2(messages, bytes, &out);
  return out;
}

#else

bool HasBlake2bFour() { return false; }

std::array<Hash256, 4> Blake2bFour(const std::array<const char*, 4>& /*messages*/,
                                   size_t /*bytes*/) {
  REX_CHECK(false);
  return {};
}

#endif

}  // namespace rex
