#include "launcher/link/link_key.h"

#include <sodium.h>

#include "launcher/base/check.h"

namespace rex {

Secret::Secret() { REX_CHECK(sodium_init() >= 0); }

Secret::~Secret() { sodium_memzero(bytes.data(), bytes.size()); }

Secret::Secret(Secret&& other) noexcept : bytes(other.bytes) {
  sodium_memzero(other.bytes.data(), other.bytes.size());
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  bytes = other.bytes;
  sodium_memzero(other.bytes.data(), other.bytes.size());
  return *this;
}

LinkKey MakeLinkKey() {
  LinkKey key;
  randombytes_buf(key.bytes.data(), key.bytes.size());
  return key;
}

DvmId MakeDvmId() {
  const Secret started;  // libsodium is
  DvmId dvm;
  randombytes_buf(dvm.bytes.data(), dvm.bytes.size());
  return dvm;
}

void Wipe(std::string& text) {
  sodium_memzero(text.data(), text.size());
  text.clear();
}

}  // namespace rex
