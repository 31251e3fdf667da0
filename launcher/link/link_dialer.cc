#include "launcher/link/link_dialer.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <list>

#include "launcher/link/handshake_run.h"
#include "launcher/link/tcp.h"

namespace rex {

namespace {
constexpr std::chrono::milliseconds kStagger{250};
// A connection that stands is most likely the right one, and its parent busy: the next address
// waits so long, or the parent would be called twice.
constexpr std::chrono::milliseconds kPatience{500};
constexpr int kMostTries =
    3;  // of an address whose listener hung up on us: it may have been flooded

struct Try {
  std::string address;
  int number = 1;
};

HandshakeParams HandshakeOf(const LinkParams& link, LinkStream stream) {
  HandshakeParams params;
  params.role = LinkRole::kChild;
  params.stream = stream;
  params.self = link.self;
  params.peer = link.peer;
  params.dvm = link.dvm;
  params.key = link.key;
  params.version = link.version;
  return params;
}

std::deque<Try> WithoutDoubles(const std::vector<std::string>& addresses) {
  std::deque<Try> once;
  for (const std::string& address : addresses) {
    const auto same = [&address](const Try& other) { return other.address == address; };
    if (std::none_of(once.begin(), once.end(), same)) once.push_back({address});
  }
  return once;
}

bool Stands(int socket) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return ::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

// A connection stood, and the other end hung up without a word against us.
bool HungUp(const Error& error) {
  return error.code == Errc::kClosed && (error.sys_errno == 0 || error.sys_errno == ECONNRESET);
}
}  // namespace

class LinkDialer::Core : public std::enable_shared_from_this<LinkDialer::Core> {
 public:
  using OnDone = std::function<void(Result<AuthenticatedStream>)>;

  Core(EventLoop& loop, LinkParams params, const std::vector<std::string>& addresses, uint16_t port,
       std::chrono::milliseconds bound, OnDone on_done, LinkStream stream)
      : loop_(loop),
        params_(std::move(params)),
        stream_(stream),
        waiting_(WithoutDoubles(addresses)),
        port_(port),
        on_done_(std::move(on_done)),
        deadline_(loop.clock().Now() + bound),
        next_timer_(loop, [this] { StartNext(); }),
        bound_timer_(loop, [this] { OnBound(); }) {
    next_timer_.Set(Clock::Time(0));  // never from the constructor of the dialer
    bound_timer_.Set(bound);
  }

  void Abandon() {
    on_done_ = nullptr;
    Forget();
  }

 private:
  struct Attempt {
    Attempt(EventLoop& loop, UniqueFd socket, Try what)
        : stream(loop, std::move(socket), UniqueFd(), {}), tried(std::move(what)) {}
    ByteStream stream;
    Try tried;
    Clock::Time begin{0};
    std::unique_ptr<HandshakeRun> run;
  };
  using Place = std::list<Attempt>::iterator;

  void StartNext();
  void Start(const Try& what);
  void OnEnd(Place place, Result<HandshakeRun::Done> result);
  void OnFailed(const std::string& address, const std::string& how);
  void OnBound();
  void GiveUpWhenAllFailed();
  void Finish(Result<AuthenticatedStream> result);
  void Forget();
  Error AllFailed() const;

  EventLoop& loop_;
  const LinkParams params_;
  const LinkStream stream_;
  std::deque<Try> waiting_;
  const uint16_t port_;
  OnDone on_done_;
  const Clock::Time deadline_;
  std::list<Attempt> attempts_;
  std::vector<std::string> failures_;  // "address: how"
  Timer next_timer_;
  Timer bound_timer_;
};

void LinkDialer::Core::StartNext() {
  const auto self = shared_from_this();
  if (waiting_.empty()) return GiveUpWhenAllFailed();
  if (std::any_of(attempts_.begin(), attempts_.end(), [this](const Attempt& attempt) {
        return loop_.clock().Now() < attempt.begin + kPatience && Stands(attempt.stream.in());
      })) {
    return next_timer_.Set(kStagger);
  }
  const Try what = std::move(waiting_.front());
  waiting_.pop_front();
  next_timer_.Set(kStagger);
  Start(what);
}

// The handshake's first message waits in the stream until the connection stands; a connection that
// fails shows as an end of the stream, with its reason.
void LinkDialer::Core::Start(const Try& what) {
  const std::string& address = what.address;
  const auto to = ParseAddress(address, port_);
  if (!to) return OnFailed(address, to.error().text);
  Result<UniqueFd> socket = MakeTcpSocket(to->storage.ss_family);
  if (!socket) return OnFailed(address, socket.error().text);
  if (::connect(socket->get(), to->get(), to->size) != 0 && errno != EINPROGRESS) {
    return OnFailed(address, ::strerror(errno));
  }
  TuneTcp(socket->get());
  attempts_.emplace_back(loop_, std::move(*socket), what);
  const Place place = std::prev(attempts_.end());
  place->begin = loop_.clock().Now();
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - loop_.clock().Now());
  place->run = std::make_unique<HandshakeRun>(
      loop_, place->stream, Handshake(HandshakeOf(params_, stream_), MakeHandshakeNonce()), left,
      [this, place](Result<HandshakeRun::Done> result) { OnEnd(place, std::move(result)); });
}

void LinkDialer::Core::OnEnd(Place place, Result<HandshakeRun::Done> result) {
  const auto self = shared_from_this();
  Try tried = place->tried;
  UniqueFd socket = place->stream.TakeSocket();
  attempts_.erase(place);
  if (result) return Finish(AuthenticatedStream{std::move(socket), std::move(result->keys)});
  const Error& error = result.error();
  if (HungUp(error) && tried.number < kMostTries) {
    waiting_.push_back({std::move(tried.address), tried.number + 1});
    return next_timer_.Set(kStagger);
  }
  OnFailed(tried.address, error.sys_errno != 0 ? ::strerror(error.sys_errno) : error.text);
}

// The next address need not wait any longer.
void LinkDialer::Core::OnFailed(const std::string& address, const std::string& how) {
  failures_.push_back(address + ": " + how);
  next_timer_.Set(Clock::Time(0));
}

void LinkDialer::Core::GiveUpWhenAllFailed() {
  if (attempts_.empty()) Finish(AllFailed());
}

void LinkDialer::Core::OnBound() {
  const auto self = shared_from_this();
  for (const Attempt& attempt : attempts_) {
    failures_.push_back(attempt.tried.address + ": no answer in time");
  }
  for (const Try& left : waiting_) {
    failures_.push_back(left.address + (left.number > 1 ? ": it hung up" : ": no time was left"));
  }
  Finish(AllFailed());
}

Error LinkDialer::Core::AllFailed() const {
  std::string text =
      "no TCP connection to " + params_.peer_name + " at port " + std::to_string(port_);
  if (failures_.empty()) text += ": no address of it is known";
  const char* separator = " (";
  for (const std::string& failure : failures_) {
    text += separator + failure;
    separator = "; ";
  }
  if (!failures_.empty()) text += ")";
  return Error{Errc::kClosed, text};
}

void LinkDialer::Core::Finish(Result<AuthenticatedStream> result) {
  const auto on_done = std::exchange(on_done_, nullptr);
  Forget();
  if (on_done) on_done(std::move(result));
}

void LinkDialer::Core::Forget() {
  next_timer_.Cancel();
  bound_timer_.Cancel();
  attempts_.clear();
}

LinkDialer::LinkDialer(EventLoop& loop, LinkParams params, std::vector<std::string> addresses,
                       uint16_t port, std::chrono::milliseconds bound,
                       std::function<void(Result<AuthenticatedStream>)> on_done, LinkStream stream)
    : core_(std::make_shared<Core>(loop, std::move(params), addresses, port, bound,
                                   std::move(on_done), stream)) {}

LinkDialer::~LinkDialer() { core_->Abandon(); }

}  // namespace rex
