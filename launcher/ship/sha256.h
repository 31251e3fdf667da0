// SHA-256 (FIPS 180-4). Freestanding: stage-0 has no libc, and both ends compute the same.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace rex {

class Sha256 {
 public:
  static constexpr size_t kBytes = 32;
  static constexpr size_t kHexBytes = 2 * kBytes;

  void Add(const void* data, size_t count) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    total_ += count;
    while (count > 0) {
      if (have_ == 0 && count >= kBlock) {
        Mix(bytes);
        bytes += kBlock;
        count -= kBlock;
        continue;
      }
      block_[have_++] = *bytes++;
      --count;
      if (have_ == kBlock) Flush();
    }
  }

  // Once, last: the digest in lower-case hexadecimal digits, without an end.
  void Finish(char* hex) {
    const uint64_t bits = total_ * 8;
    block_[have_++] = 0x80;
    if (have_ > kBlock - 8) Pad(kBlock);
    Pad(kBlock - 8);
    for (int i = 7; i >= 0; --i) block_[have_++] = static_cast<uint8_t>(bits >> (8 * i));
    Flush();
    constexpr char kDigits[] = "0123456789abcdef";
    for (size_t i = 0; i < kBytes; ++i) {
      const uint8_t byte = static_cast<uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
      hex[2 * i] = kDigits[byte >> 4];
      hex[2 * i + 1] = kDigits[byte & 15];
    }
  }

 private:
  static constexpr size_t kBlock = 64;
  static constexpr uint32_t kRound[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
      0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
      0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
      0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
      0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
      0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
      0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
      0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
      0xc67178f2};

  static uint32_t Turn(uint32_t v, int bits) { return v >> bits | v << (32 - bits); }

  void Pad(size_t until) {
    while (have_ < until) block_[have_++] = 0;
    if (have_ == kBlock) Flush();
  }

  void Flush() {
    Mix(block_);
    have_ = 0;
  }

  void Mix(const uint8_t* bytes) {
    uint32_t w[64];
    for (int i = 0; i < 16; ++i) {
      w[i] = static_cast<uint32_t>(bytes[4 * i]) << 24 |
             static_cast<uint32_t>(bytes[4 * i + 1]) << 16 |
             static_cast<uint32_t>(bytes[4 * i + 2]) << 8 | bytes[4 * i + 3];
    }
    for (int i = 16; i < 64; ++i) {
      const uint32_t s0 = Turn(w[i - 15], 7) ^ Turn(w[i - 15], 18) ^ w[i - 15] >> 3;
      const uint32_t s1 = Turn(w[i - 2], 17) ^ Turn(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state_[0], b = state_[1], c = state_[2], d = state_[3];
    uint32_t e = state_[4], f = state_[5], g = state_[6], h = state_[7];
    for (int i = 0; i < 64; ++i) {
      const uint32_t t1 =
          h + (Turn(e, 6) ^ Turn(e, 11) ^ Turn(e, 25)) + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      const uint32_t t2 = (Turn(a, 2) ^ Turn(a, 13) ^ Turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const uint32_t more[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i) state_[i] += more[i];
  }

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint64_t total_ = 0;
  uint8_t block_[kBlock] = {};
  size_t have_ = 0;
};

}  // namespace rex
