// What proves that two agents belong to one DVM. docs/design/trust.md says who may know the key.
//
// A Secret can't be copied and is wiped when it dies or is moved from. Its constructor is also the
// one place that starts libsodium (sodium_init, harmless when repeated): no cryptography of this
// room works without a Secret, so none comes before it.
#pragma once

#include <array>
#include <string>

namespace rex {

struct Secret {
  Secret();  // zeroes
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  std::array<unsigned char, 32> bytes{};
};

// One per DVM; agents only.
struct LinkKey : Secret {};
LinkKey MakeLinkKey();  // random

// Names a DVM; random, public.
struct DvmId {
  std::array<unsigned char, 16> bytes{};
  bool operator==(const DvmId&) const = default;
};
DvmId MakeDvmId();

// Overwrites `text` with zeroes and empties it: for buffers that a key passed through.
void Wipe(std::string& text);

}  // namespace rex
