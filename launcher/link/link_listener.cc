#include "launcher/link/link_listener.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <list>

#include "launcher/base/log.h"
#include "launcher/link/handshake_run.h"
#include "launcher/link/tcp.h"

namespace rex {

namespace {
constexpr size_t kMostHalfOpen = 64;
constexpr std::chrono::seconds kHalfOpenBound{5};
constexpr std::chrono::seconds kLogEvery{10};
constexpr std::chrono::milliseconds kPauseWithoutDescriptors{200};
constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 16;

void AllowIpv4Too(int fd) {
  const int off = 0;
  (void)::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
}

Result<UniqueFd> ListenOn(int family, const char* any) {
  Result<UniqueFd> fd = MakeTcpSocket(family);
  if (!fd) return fd;
  if (family == AF_INET6) AllowIpv4Too(fd->get());
  const auto address = ParseAddress(any, 0);
  if (!address) return address.error();
  if (::bind(fd->get(), address->get(), address->size) != 0) {
    return Error::FromErrno(errno, "bind a TCP port");
  }
  if (::listen(fd->get(), kBacklog) != 0) return Error::FromErrno(errno, "listen on a TCP port");
  return fd;
}

// On every address of this node; where there is no IPv6, on those of IPv4.
Result<UniqueFd> Listen() {
  Result<UniqueFd> fd = ListenOn(AF_INET6, "::");
  return fd ? std::move(fd) : ListenOn(AF_INET, "0.0.0.0");
}

bool LinkLocal(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 16) == 0xa9fe;  // 169.254/16
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

socklen_t SizeOf(const sockaddr* address) {
  return address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

bool Usable(const ifaddrs& interface) {
  const sockaddr* address = interface.ifa_addr;
  if (address == nullptr || (interface.ifa_flags & IFF_UP) == 0) return false;
  const bool ip = address->sa_family == AF_INET || address->sa_family == AF_INET6;
  return ip && !LinkLocal(address);
}
}  // namespace

class LinkListener::Core : public std::enable_shared_from_this<LinkListener::Core> {
 public:
  Core(EventLoop& loop, NodeId self, DvmId dvm, const LinkKey& key, std::string version,
       Wanted wanted, OnChild on_child, UniqueFd socket)
      : loop_(loop),
        self_(self),
        dvm_(dvm),
        key_(key),
        version_(std::move(version)),
        wanted_(std::move(wanted)),
        on_child_(std::move(on_child)),
        socket_(std::move(socket)),
        watcher_(loop_, socket_.get(), [this] { OnReadable(); }),
        pause_(loop_, [this] { watcher_.Enable(true); }) {}

  uint16_t port() const {
    SocketAddress address;
    address.size = sizeof address.storage;
    REX_CHECK(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address.storage),
                            &address.size) == 0);
    // The port stands at the same place for both families.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
  }
  size_t half_open() const { return half_open_.size(); }
  void Abandon() {
    open_ = false;
    watcher_.Enable(false);
    pause_.Cancel();
    half_open_.clear();
  }

 private:
  struct HalfOpen {
    HalfOpen(EventLoop& loop, UniqueFd socket, std::string from)
        : stream(loop, std::move(socket), UniqueFd(), {}), address(std::move(from)) {}
    ByteStream stream;
    std::string address;
    std::unique_ptr<HandshakeRun> run;
  };
  using Place = std::list<HalfOpen>::iterator;

  void OnReadable();
  bool AcceptOne();
  void OnNoDescriptor();
  void Begin(UniqueFd socket, std::string address);
  Handshake MakeHandshake() const;
  void OnDone(Place place, Result<HandshakeRun::Done> result);
  void LogStranger(const std::string& address, const std::string& why);

  EventLoop& loop_;
  const NodeId self_;
  const DvmId dvm_;
  const LinkKey& key_;
  const std::string version_;
  const Wanted wanted_;
  const OnChild on_child_;
  UniqueFd socket_;
  bool open_ = true;
  std::list<HalfOpen> half_open_;  // oldest first
  std::optional<Clock::Time> logged_;
  size_t unlogged_ = 0;
  ReadWatcher watcher_;
  Timer pause_;
};

void LinkListener::Core::OnReadable() {
  const auto self = shared_from_this();
  for (int i = 0; i < kAcceptsPerTurn && AcceptOne(); ++i) {
  }
}

bool LinkListener::Core::AcceptOne() {
  SocketAddress from;
  from.size = sizeof from.storage;
  UniqueFd socket(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from.storage), &from.size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) {
    Begin(std::move(socket), AddressText(from.get(), from.size));
    return true;
  }
  const bool none = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
  if (none) OnNoDescriptor();
  return !none && errno != EAGAIN && errno != EWOULDBLOCK;  // else one that came to nothing
}

// The connection stays in the backlog, so the watcher would fire again at once.
void LinkListener::Core::OnNoDescriptor() {
  LogStranger("an unknown address", "no descriptor is left to accept its connection");
  if (!half_open_.empty()) half_open_.pop_front();
  watcher_.Enable(false);
  pause_.Set(kPauseWithoutDescriptors);
}

void LinkListener::Core::Begin(UniqueFd socket, std::string address) {
  if (half_open_.size() >= kMostHalfOpen) {
    LogStranger(half_open_.front().address, "more than 64 connections wait for their handshake");
    half_open_.pop_front();
  }
  TuneTcp(socket.get());
  half_open_.emplace_back(loop_, std::move(socket), std::move(address));
  const Place place = std::prev(half_open_.end());
  place->run = std::make_unique<HandshakeRun>(
      loop_, place->stream, MakeHandshake(), kHalfOpenBound,
      [this, place](Result<HandshakeRun::Done> result) { OnDone(place, std::move(result)); });
}

Handshake LinkListener::Core::MakeHandshake() const {
  HandshakeParams params;
  params.role = LinkRole::kParent;
  params.self = self_;
  params.dvm = dvm_;
  params.key = &key_;
  params.version = version_;
  params.wanted = wanted_;
  return Handshake(std::move(params), MakeHandshakeNonce());
}

void LinkListener::Core::OnDone(Place place, Result<HandshakeRun::Done> result) {
  const auto self = shared_from_this();
  const std::string address = place->address;
  UniqueFd socket = place->stream.TakeSocket();
  half_open_.erase(place);
  if (!result) return LogStranger(address, result.error().text);
  // While the handshake ran the child may have come by another connection, or gone.
  if (!wanted_(result->peer, result->stream))
    return LogStranger(address, "it is not awaited any more");
  if (!open_) return;
  on_child_(result->peer, result->stream, {std::move(socket), std::move(result.value().keys)});
}

void LinkListener::Core::LogStranger(const std::string& address, const std::string& why) {
  const Clock::Time now = loop_.clock().Now();
  if (logged_ && now - *logged_ < kLogEvery) {
    ++unlogged_;
    return;
  }
  logged_ = now;
  const size_t more = std::exchange(unlogged_, 0);
  Log(LogLevel::kWarn, "a connection was refused from=" + address + " why=\"" + why + "\"" +
                           (more > 0 ? " unlogged=" + std::to_string(more) : ""));
}

LinkListener::LinkListener(std::shared_ptr<Core> core) : core_(std::move(core)) {}

LinkListener::~LinkListener() { core_->Abandon(); }

Result<std::unique_ptr<LinkListener>> LinkListener::Open(EventLoop& loop, NodeId self, DvmId dvm,
                                                         const LinkKey& key, std::string version,
                                                         Wanted wanted, OnChild on_child) {
  Result<UniqueFd> socket = Listen();
  if (!socket) return socket.error();
  auto core = std::make_shared<Core>(loop, self, dvm, key, std::move(version), std::move(wanted),
                                     std::move(on_child), std::move(*socket));
  return std::unique_ptr<LinkListener>(new LinkListener(std::move(core)));
}

uint16_t LinkListener::port() const { return core_->port(); }
size_t LinkListener::half_open() const { return core_->half_open(); }

std::vector<std::string> LinkListener::OwnAddresses() {
  std::vector<std::string> others;
  std::vector<std::string> loopback;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {"127.0.0.1"};
  for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
    if (!Usable(*i)) continue;
    auto& list = (i->ifa_flags & IFF_LOOPBACK) != 0 ? loopback : others;
    list.push_back(AddressText(i->ifa_addr, SizeOf(i->ifa_addr)));
  }
  ::freeifaddrs(all);
  others.insert(others.end(), loopback.begin(), loopback.end());
  return others;
}

}  // namespace rex
