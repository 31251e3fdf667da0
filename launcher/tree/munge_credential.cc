#include "launcher/tree/munge_credential.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace rex {

namespace {

// libmunge's interface, as munge(3), munge_ctx(3) and munge_enum(3) of munge 0.5 have it. Its
// soname promises that it stays.
struct MungeContext;
constexpr int kOptionCipher = 0;
constexpr int kOptionTtl = 4;
constexpr int kOptionUidRestriction = 9;
constexpr int kCipherAes256 = 5;
constexpr int kSuccess = 0;
constexpr int kSocketError = 6;
constexpr int kBadCredential = 8;  // from here on up: what is wrong with it
constexpr int kReplayed = 17;
constexpr int kUnauthorized = 18;

constexpr const char* kLibrary = "libmunge.so.2";

struct Munge {
  int (*encode)(char** credential, MungeContext*, const void* bytes, int count);
  int (*decode)(const char* credential, MungeContext*, void** bytes, int* count, uid_t*, gid_t*);
  const char* (*error_text)(int error);
  MungeContext* (*make)();
  void (*destroy)(MungeContext*);
  int (*set)(MungeContext*, int option, ...);
  const char* (*context_error)(MungeContext*);
};

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(::dlsym(library, name));
  return *function != nullptr;
}

// Loaded once and for good.
Result<Munge> LoadMunge() {
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Error{Errc::kNotFound, "munge's library can't be loaded: " + std::string(::dlerror())};
  }
  Munge munge{};
  const bool whole = Find(library, "munge_encode", &munge.encode) &&
                     Find(library, "munge_decode", &munge.decode) &&
                     Find(library, "munge_strerror", &munge.error_text) &&
                     Find(library, "munge_ctx_create", &munge.make) &&
                     Find(library, "munge_ctx_destroy", &munge.destroy) &&
                     Find(library, "munge_ctx_set", &munge.set) &&
                     Find(library, "munge_ctx_strerror", &munge.context_error);
  if (!whole) return Error{Errc::kNotFound, std::string(kLibrary) + " lacks a function"};
  return munge;
}

Error Failed(const Munge& munge, MungeContext* context, int error, const std::string& what) {
  const char* detail = munge.context_error(context);
  const Errc code = error == kSocketError ? Errc::kClosed : Errc::kInternal;
  return Error{code, what + ": " + (detail != nullptr ? detail : munge.error_text(error))};
}

struct Free {
  void operator()(void* bytes) const { std::free(bytes); }
};

}  // namespace

Result<std::string> EncodeCredential(std::string_view secret, std::chrono::seconds lifetime) {
  const auto munge = LoadMunge();
  if (!munge) return munge.error();
  const std::unique_ptr<MungeContext, void (*)(MungeContext*)> context(munge->make(),
                                                                       munge->destroy);
  if (!context) return Error{Errc::kResource, "out of memory for munge"};
  const int seconds = static_cast<int>(std::clamp<int64_t>(lifetime.count(), 1, 3600));
  int error = munge->set(context.get(), kOptionCipher, kCipherAes256);
  if (error == kSuccess) error = munge->set(context.get(), kOptionTtl, seconds);
  if (error == kSuccess) error = munge->set(context.get(), kOptionUidRestriction, ::geteuid());
  char* credential = nullptr;
  if (error == kSuccess) {
    error =
        munge->encode(&credential, context.get(), secret.data(), static_cast<int>(secret.size()));
  }
  const std::unique_ptr<char, Free> owned(credential);
  if (error != kSuccess) return Failed(*munge, context.get(), error, "munge can't encode");
  return std::string(credential);
}

Result<std::string> DecodeCredential(const std::string& credential) {
  const auto munge = LoadMunge();
  if (!munge) return munge.error();
  const std::unique_ptr<MungeContext, void (*)(MungeContext*)> context(munge->make(),
                                                                       munge->destroy);
  if (!context) return Error{Errc::kResource, "out of memory for munge"};
  void* bytes = nullptr;
  int count = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  const int error = munge->decode(credential.c_str(), context.get(), &bytes, &count, &uid, &gid);
  const std::unique_ptr<void, Free> owned(bytes);
  std::string secret;
  if (bytes != nullptr && count > 0) {
    secret.assign(static_cast<const char*>(bytes), static_cast<size_t>(count));
    ::explicit_bzero(bytes, static_cast<size_t>(count));
  }
  if (error == kSuccess || error == kReplayed) {
    if (uid == ::geteuid()) return secret;
    ::explicit_bzero(secret.data(), secret.size());
    return Error{Errc::kPermission, "the credential is that of uid " + std::to_string(uid)};
  }
  ::explicit_bzero(secret.data(), secret.size());
  Error failed = Failed(*munge, context.get(), error, "munge can't decode");
  if (error == kUnauthorized) failed.code = Errc::kPermission;
  if (error >= kBadCredential && error != kUnauthorized) failed.code = Errc::kProtocol;
  return failed;
}

}  // namespace rex
