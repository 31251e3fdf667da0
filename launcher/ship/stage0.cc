// rex-stage0: the first program on a node without rex. docs/design/ship-agent.md.
//
// Usage: DIR WORDS…; stdin and stdout are the channel to the parent, descriptor 4 the fifo of DIR,
// which is a fresh directory of ours. It receives rex's programs and libraries into DIR and becomes
// DIR/rexd with WORDS and --ship-dir=DIR. When anything goes wrong it says so on stderr, behind
// "rex-ship: ", and exits with 125; the watcher at the fifo's other end removes DIR.
//
// Freestanding: system calls only, static memory, no libc. Nothing that came is made executable
// before its digest was compared.
#include "launcher/ship/sha256.h"
#include "launcher/ship/ship_limits.h"
#include "launcher/template/raw_sys.h"

#if defined(__x86_64__)
__asm__(
    ".text\n.globl _start\n.type _start,@function\n_start:\n"
    "xor %ebp,%ebp\nmov %rsp,%rdi\nand $-16,%rsp\ncall rex_stage0\n");
#else
__asm__(
    ".text\n.globl _start\n.type _start,@function\n_start:\n"
    "mov x29,#0\nmov x30,#0\nmov x0,sp\nbl rex_stage0\n");
#endif

// The compiler calls these for what it copies and clears by itself.
extern "C" void* memcpy(void* to, const void* from, size_t count) {
  auto* out = static_cast<volatile char*>(to);
  const auto* in = static_cast<const char*>(from);
  for (size_t i = 0; i < count; ++i) out[i] = in[i];
  return to;
}
extern "C" void* memset(void* to, int byte, size_t count) {
  auto* out = static_cast<volatile char*>(to);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<char>(byte);
  return to;
}

namespace rex {
namespace {

// Numbers of system calls beside those of raw_sys.h.
#if defined(__x86_64__)
constexpr long kFlock = 73;
constexpr long kFchmod = 91;
constexpr long kMkdirat = 258;
constexpr long kRenameat = 264;
constexpr long kSymlinkat = 266;
constexpr long kPpoll = 271;
constexpr long kFallocate = 285;
#else
constexpr long kFlock = 32;
constexpr long kMkdirat = 34;
constexpr long kSymlinkat = 36;
constexpr long kRenameat = 38;
constexpr long kFallocate = 47;
constexpr long kFchmod = 52;
constexpr long kPpoll = 73;
#endif

constexpr long kOWronly = 1;
constexpr long kOCreat = 0100;
constexpr long kOExcl = 0200;
#if defined(__x86_64__)
constexpr long kODirectory = 0200000;
constexpr long kONofollow = 0400000;
#else
constexpr long kODirectory = 040000;
constexpr long kONofollow = 0100000;
#endif
constexpr long kLockExNb = 2 | 4;
constexpr int kEagain = 11;
constexpr long kSilenceSeconds = 120;  // then the parent is taken for gone

struct Timespec {
  long seconds;
  long nanoseconds;
};
struct PollFd {
  int fd;
  short events;
  short revents;
};

struct Text {
  const char* at = nullptr;
  size_t size = 0;
};

struct File {
  bool program = false;
  uint64_t bytes = 0;
  const char* digest = nullptr;
  const char* name = nullptr;    // relative to DIR, with its end
  const char* source = nullptr;  // where the sender has it, with its end
  bool needed = false;
};

char g_manifest[kMaxManifestBytes + 1];
size_t g_manifest_bytes;
char g_block[64 << 10];
char g_line[4096];
char g_libc[8] = "-";
File g_files[kMaxShipFiles];
size_t g_count;
const char* g_libc_path;
char* g_words[64];
char g_rexd[kMaxShipPathBytes + 16];
char g_ship_dir[kMaxShipPathBytes + 16];
const char* g_dir;
int g_dir_fd = -1;

size_t Length(const char* text) {
  size_t n = 0;
  while (text[n] != '\0') ++n;
  return n;
}

bool Same(const char* a, const char* b, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

// Builds one line in g_line.
class Line {
 public:
  Line& Add(const char* text) { return Add(text, Length(text)); }
  Line& Add(const char* text, size_t count) {
    for (size_t i = 0; i < count && size_ < sizeof g_line; ++i) g_line[size_++] = text[i];
    return *this;
  }
  Line& Number(uint64_t v) {
    char digits[20];
    size_t n = 0;
    do {
      digits[n++] = static_cast<char>('0' + v % 10);
      v /= 10;
    } while (v != 0);
    while (n > 0) Add(&digits[--n], 1);
    return *this;
  }
  void Write(int fd) {
    for (size_t at = 0; at < size_;) {
      const long n = sys::Call(sys::kWrite, fd, sys::Address(g_line + at), size_ - at);
      if (n == -sys::kEintr) continue;
      if (n <= 0) sys::Exit(kExitShip);
      at += static_cast<size_t>(n);
    }
  }

 private:
  size_t size_ = 0;
};

const char* ErrorWords(long error) {
  switch (error) {
    case 1:
      return "Operation not permitted";
    case 2:
      return "No such file or directory";
    case 5:
      return "Input/output error";
    case 12:
      return "Cannot allocate memory";
    case 13:
      return "Permission denied";
    case 26:
      return "Text file busy";
    case 28:
      return "No space left on device";
    case 30:
      return "Read-only file system";
    case 122:
      return "Disk quota exceeded";
    default:
      return nullptr;
  }
}

[[noreturn]] void Fail(const char* what, const char* subject, long result = 0) {
  Line line;
  line.Add("rex-ship: ").Add(what).Add(" '").Add(subject).Add("'");
  if (result < 0) {
    const char* words = ErrorWords(-result);
    line.Add(": ");
    if (words != nullptr) {
      line.Add(words);
    } else {
      line.Add("error ").Number(static_cast<uint64_t>(-result));
    }
  }
  line.Add("\n").Write(2);
  sys::Exit(kExitShip);
}

[[noreturn]] void Refuse(const char* what) {
  Line().Add("rex-ship: ").Add(what).Add("\n").Write(2);
  sys::Exit(kExitShip);
}

// At least one byte, at most `room`. The parent's end is ours.
size_t Receive(char* to, size_t room) {
  for (;;) {
    PollFd fd{0, 1, 0};
    Timespec bound{kSilenceSeconds, 0};
    const long ready = sys::Call(kPpoll, sys::Address(&fd), 1, sys::Address(&bound), 0, 8);
    if (ready == -sys::kEintr) continue;
    if (ready == 0) Refuse("nothing came from the parent for two minutes");
    const long n = sys::Call(sys::kRead, 0, sys::Address(to), static_cast<long>(room));
    if (n == -sys::kEintr || n == -kEagain) continue;
    if (n <= 0) sys::Exit(kExitShip);  // nobody is left who would read why
    return static_cast<size_t>(n);
  }
}

// ---- the manifest

// "END DIGEST\n", the digest of all before it.
constexpr size_t kEndBytes = 4 + Sha256::kHexBytes + 1;

bool ManifestIsWhole() {
  if (g_manifest_bytes <= kEndBytes || g_manifest[g_manifest_bytes - 1] != '\n') return false;
  const char* end = g_manifest + g_manifest_bytes - kEndBytes;
  return Same(end - 1, "\nEND ", 5);
}

void CheckManifest() {
  const size_t bytes = g_manifest_bytes - kEndBytes;
  Sha256 hash;
  hash.Add(g_manifest, bytes);
  char hex[Sha256::kHexBytes];
  hash.Finish(hex);
  if (!Same(hex, g_manifest + bytes + 4, sizeof hex)) Refuse("the manifest was damaged on the way");
}

void ReceiveManifest() {
  while (!ManifestIsWhole()) {
    if (g_manifest_bytes == kMaxManifestBytes) Refuse("the manifest is too long");
    g_manifest_bytes +=
        Receive(g_manifest + g_manifest_bytes, kMaxManifestBytes - g_manifest_bytes);
  }
  CheckManifest();
}

// Cuts words, at blanks and ends of lines, out of the manifest; each gets an end of its own.
class Words {
 public:
  const char* Next(char behind) {
    char* begin = at_;
    while (at_ < End() && *at_ != ' ' && *at_ != '\n') ++at_;
    if (at_ == End() || *at_ != behind || at_ == begin) Refuse("the manifest is malformed");
    *at_++ = '\0';
    return begin;
  }
  uint64_t Number(char behind) {
    uint64_t v = 0;
    const char* word = Next(behind);
    for (; *word != '\0'; ++word) {
      if (*word < '0' || *word > '9' || v > (uint64_t{1} << 40)) {
        Refuse("a number of the manifest is malformed");
      }
      v = v * 10 + static_cast<uint64_t>(*word - '0');
    }
    return v;
  }

 private:
  static char* End() { return g_manifest + g_manifest_bytes; }
  char* at_ = g_manifest;
};

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '+' || c == '.';
}

// A name below DIR: plain, no hidden file, no way up.
bool IsName(const char* name) {
  if (Length(name) > kMaxShipNameBytes) return false;
  char before = '/';
  for (; *name != '\0'; ++name) {
    if (before == '/' && (*name == '.' || *name == '/')) return false;
    if (*name != '/' && !IsPlain(*name)) return false;
    before = *name;
  }
  return before != '/';
}

void ParseFile(Words& words, File* file) {
  const char* kind = words.Next(' ');
  file->program = kind[0] == 'p';
  file->bytes = words.Number(' ');
  file->digest = words.Next(' ');
  file->name = words.Next(' ');
  file->source = words.Next('\n');
  const bool known = (kind[0] == 'p' || kind[0] == 'l') && kind[1] == '\0';
  if (!known || Length(file->digest) != Sha256::kHexBytes || !IsName(file->name) ||
      file->source[0] != '/') {
    Refuse("a line of the manifest is malformed");
  }
}

void ParseManifest() {
  Words words;
  if (!Same(words.Next(' '), "MANIFEST", 9)) Refuse("the manifest is malformed");
  const uint64_t count = words.Number(' ');
  g_libc_path = words.Next('\n');
  if (count < 1 || count > kMaxShipFiles) Refuse("the manifest's count is malformed");
  g_count = count;
  for (size_t i = 0; i < g_count; ++i) ParseFile(words, &g_files[i]);
  if (!Same(words.Next(' '), "END", 4)) Refuse("the manifest is malformed");
}

// ---- what is here already

// "2.36": the newest symbol version that the file offers; false: it can't be read, or offers none.
bool TakeLibcVersion(const char* path) {
  const long fd = sys::Call(sys::kOpenat, sys::kAtFdcwd, sys::Address(path), sys::kOCloexec);
  if (fd < 0) return false;
  constexpr char kPrefix[] = "GLIBC_2.";
  constexpr size_t kPrefixBytes = sizeof kPrefix - 1;
  unsigned best = 0;
  size_t matched = 0;
  unsigned minor = 0;
  bool digits = false;
  for (;;) {
    const long n = sys::Call(sys::kRead, fd, sys::Address(g_block), sizeof g_block);
    if (n == -sys::kEintr) continue;
    if (n <= 0) break;
    for (long i = 0; i < n; ++i) {
      const char c = g_block[i];
      if (matched == kPrefixBytes) {
        if (c >= '0' && c <= '9' && minor < 1000) {
          minor = minor * 10 + static_cast<unsigned>(c - '0');
          digits = true;
          continue;
        }
        if (digits && minor > best) best = minor;
        matched = 0;
      }
      matched = c == kPrefix[matched] ? matched + 1 : c == kPrefix[0] ? 1 : 0;
      minor = 0;
      digits = false;
    }
  }
  sys::Call(sys::kClose, fd);
  if (best == 0) return false;
  g_libc[0] = '2';
  g_libc[1] = '.';
  size_t at = 2;
  if (best >= 100) g_libc[at++] = static_cast<char>('0' + best / 100 % 10);
  if (best >= 10) g_libc[at++] = static_cast<char>('0' + best / 10 % 10);
  g_libc[at++] = static_cast<char>('0' + best % 10);
  g_libc[at] = '\0';
  return true;
}

void FindLibc() {
  if (TakeLibcVersion(g_libc_path)) return;
  static constexpr const char* kPlaces[] = {
      "/lib64/libc.so.6", "/usr/lib64/libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6",
      "/lib/libc.so.6",   "/usr/lib/libc.so.6",   "/lib/aarch64-linux-gnu/libc.so.6"};
  for (const char* path : kPlaces) {
    if (TakeLibcVersion(path)) return;
  }
}

// Whether the file at `path` has these contents.
bool HasContents(const char* path, const File& file) {
  const long fd = sys::Call(sys::kOpenat, sys::kAtFdcwd, sys::Address(path), sys::kOCloexec);
  if (fd < 0) return false;
  const long size = sys::Call(sys::kLseek, fd, 0, sys::kSeekEnd);
  sys::Call(sys::kLseek, fd, 0, 0);
  Sha256 hash;
  while (size == static_cast<long>(file.bytes)) {
    const long n = sys::Call(sys::kRead, fd, sys::Address(g_block), sizeof g_block);
    if (n == -sys::kEintr) continue;
    if (n <= 0) break;
    hash.Add(g_block, static_cast<size_t>(n));
  }
  sys::Call(sys::kClose, fd);
  char hex[Sha256::kHexBytes];
  hash.Finish(hex);
  return Same(hex, file.digest, sizeof hex);
}

void Answer() {
  Line line;
  line.Add("\x1erex-ship need ").Add(g_libc).Add(" ");
  bool any = false;
  for (size_t i = 0; i < g_count; ++i) {
    File& file = g_files[i];
    file.needed = file.program || !HasContents(file.source, file);
    if (!file.needed) continue;
    if (any) line.Add(",");
    line.Number(i);
    any = true;
  }
  line.Add(any ? "\n" : "-\n").Write(1);
}

// ---- the files

void Link(const File& file) {
  const long done =
      sys::Call(kSymlinkat, sys::Address(file.source), g_dir_fd, sys::Address(file.name));
  if (done < 0) Fail("can't make the link", file.name, done);
}

void Store(const File& file) {
  const long fd = sys::Call(sys::kOpenat, g_dir_fd, sys::Address(file.name),
                            kOWronly | kOCreat | kOExcl | kONofollow | sys::kOCloexec, 0600);
  if (fd < 0) Fail("can't make the file", file.name, fd);
  const long room = sys::Call(kFallocate, fd, 0, 0, static_cast<long>(file.bytes));
  if (room == -28 || room == -122) Fail("no room for the file", file.name, room);
  Sha256 hash;
  for (uint64_t left = file.bytes; left > 0;) {
    const size_t n = Receive(g_block, left < sizeof g_block ? left : sizeof g_block);
    hash.Add(g_block, n);
    for (size_t at = 0; at < n;) {
      const long done = sys::Call(sys::kWrite, fd, sys::Address(g_block + at), n - at);
      if (done == -sys::kEintr) continue;
      if (done <= 0) Fail("can't write the file", file.name, done);
      at += static_cast<size_t>(done);
    }
    left -= n;
  }
  char hex[Sha256::kHexBytes];
  hash.Finish(hex);
  if (!Same(hex, file.digest, sizeof hex)) Fail("damaged on the way, so not run:", file.name);
  const long made = sys::Call(kFchmod, fd, file.program ? 0700 : 0600);
  if (made < 0) Fail("can't make executable", file.name, made);
  const long closed = sys::Call(sys::kClose, fd);
  if (closed < 0) Fail("can't write the file", file.name, closed);
}

// ---- the beginning and the end

void Join(char* to, const char* a, const char* b) {
  while (*a != '\0') *to++ = *a++;
  while (*b != '\0') *to++ = *b++;
  *to = '\0';
}

void Prepare() {
  const long fd = sys::Call(sys::kOpenat, sys::kAtFdcwd, sys::Address(g_dir),
                            kODirectory | kONofollow | sys::kOCloexec);
  if (fd < 0) Fail("can't open the directory", g_dir, fd);
  g_dir_fd = static_cast<int>(fd);
  // A later keeper takes a directory for a dead one's when its `lock` is free.
  const long locked = sys::Call(kFlock, kShipWatchFd, kLockExNb);
  if (locked < 0) Fail("can't lock the fifo of", g_dir, locked);
  const long named =
      sys::Call(kRenameat, g_dir_fd, sys::Address("w"), g_dir_fd, sys::Address("lock"));
  if (named < 0) Fail("can't name the lock of", g_dir, named);
  static constexpr const char* kBelow[] = {"lib", "lib/pmix"};
  for (const char* below : kBelow) {
    const long made = sys::Call(kMkdirat, g_dir_fd, sys::Address(below), 0700);
    if (made < 0) Fail("can't make the directory", below, made);
  }
}

[[noreturn]] void BecomeRexd(char** environment) {
  const long result = sys::Call(sys::kExecve, sys::Address(g_rexd), sys::Address(g_words),
                                sys::Address(environment));
  Fail("can't run", g_rexd, result);
}

}  // namespace

// `stack`: argc, argv, null, environment, null; execve(2).
extern "C" __attribute__((used)) void rex_stage0(long* stack) {
  const long argc = stack[0];
  char** argv = reinterpret_cast<char**>(stack + 1);
  char** environment = argv + argc + 1;
  if (argc < 2 || argc > 60 || argv[1][0] != '/' || Length(argv[1]) > kMaxShipPathBytes) {
    Refuse("started by rex only");
  }
  g_dir = argv[1];
  Prepare();
  Line().Add("\x1erex-ship stage 1\n").Write(1);
  ReceiveManifest();
  ParseManifest();
  FindLibc();
  Answer();
  for (size_t i = 0; i < g_count; ++i) g_files[i].needed ? Store(g_files[i]) : Link(g_files[i]);
  Join(g_rexd, g_dir, "/rexd");
  Join(g_ship_dir, "--ship-dir=", g_dir);
  g_words[0] = g_rexd;
  for (long i = 2; i < argc; ++i) g_words[i - 1] = argv[i];
  g_words[argc - 1] = g_ship_dir;
  BecomeRexd(environment);
}

}  // namespace rex
