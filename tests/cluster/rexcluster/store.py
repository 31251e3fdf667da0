"""What is known of a cluster. Each has a directory below BASE, whose `lock` its supervisor holds
as long as it lives: a directory with a free lock is stale, and anyone may remove it."""

import contextlib
import errno
import fcntl
import ipaddress
import json
import os
import secrets
import shutil
import signal
import subprocess
import time

from . import system

BASE = "/run/rexcluster"
CGROUPS = "/sys/fs/cgroup"
CPUSET_ROOT = f"{CGROUPS}/cpuset"
CONTROLLERS = ("cpuset", "memory", "devices", "freezer")  # those that a cluster may have cgroups of
MUNGE_DIR = "/run/munge"  # libmunge knows no other
HEAD = "head"
DOMAIN = "cluster"


class ClusterError(Exception):
    """Ends the command with this line and exit code 1."""


class CannotHere(Exception):
    """This machine or user can't have clusters: exit code 77, which test harnesses call skipped."""


def member_names(count):
    return [f"n{i}" for i in range(1, count + 1)]


class Addresses:
    """Made from the cluster's id: other clusters have other subnets, so that a packet that strays
    is seen. They exist only inside the cluster's own network namespaces."""

    def __init__(self, cluster_id, count):
        net = int(cluster_id[:4], 16)
        self.ipv4_prefix = f"10.{net >> 8}.{net & 255}"
        self.ipv6_prefix = f"fd52:{cluster_id[:4]}:{cluster_id[4:8]}:"
        self.with_ipv6 = os.path.exists("/proc/sys/net/ipv6")
        self.members = {name: i for i, name in enumerate(member_names(count), 1)}
        self.members[HEAD] = 254

    def ipv4(self, name):
        return f"{self.ipv4_prefix}.{self.members[name]}"

    def ipv6(self, name):
        # As ssh writes it in known_hosts: without leading zeros.
        return ipaddress.ip_address(f"{self.ipv6_prefix}:{self.members[name]:x}").compressed

    def of(self, name):
        return [self.ipv4(name)] + ([self.ipv6(name)] if self.with_ipv6 else [])


@contextlib.contextmanager
def _guard():
    """One at a time makes or removes entries of BASE. The lock is on the directory around it, so
    that BASE itself can go with the last cluster."""
    fd = os.open(os.path.dirname(BASE), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _lock(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


class Cluster:
    def __init__(self, cluster_id):
        self.id = cluster_id
        self.dir = os.path.join(BASE, cluster_id)
        self._state = None

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=0o600):
        temporary = self.path(name + ".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        os.fchmod(fd, mode)  # whatever the umask
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.rename(temporary, self.path(name))

    def save(self, state):
        self._state = state
        self.write("state.json", json.dumps(state, indent=1))

    @property
    def state(self):
        if self._state is None:
            try:
                with open(self.path("state.json"), encoding="utf-8") as file:
                    self._state = json.load(file)
            except FileNotFoundError:
                raise ClusterError(f"cluster {self.id} is not up (yet, or any more)") from None
        return self._state

    def nodes(self):
        return list(self.state["nodes"])

    def pick(self, words):
        """The members that "n1,n3", "n2-n5", "head" or "all" (nodes) mean."""
        if words == "all":
            return self.nodes()
        known = self.nodes() + [HEAD]
        picked = []
        for word in words.split(","):
            first, _, last = word.partition("-")
            if first not in known or (last and last not in known):
                raise ClusterError(f"no node '{word}'; there are: {' '.join(known)}")
            picked += known[known.index(first):known.index(last or first) + 1]
        return picked

    def pid(self, name):
        """The first process of a node, of the head or of the switch, provided it lives."""
        member = self.state["nodes"].get(name) or self.state["infrastructure"].get(name)
        if member is None:
            raise ClusterError(f"no node '{name}'; there are: {' '.join(self.nodes() + [HEAD])}")
        if system.start_time(member["pid"]) != member["start"]:
            raise ClusterError(f"node {name} is dead")
        return member["pid"]

    def cgroup_dir(self, controller):
        return os.path.join(CGROUPS, controller, f"rexcluster-{self.id}")

    def cpuset_dir(self):
        return self.cgroup_dir("cpuset")

    def is_live(self):
        try:
            fd = os.open(self.path("lock"), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            return True
        finally:
            os.close(fd)


def create():
    """A new cluster's directory and the descriptor that holds its lock."""
    with _guard():
        os.makedirs(BASE, mode=0o755, exist_ok=True)
        cluster = Cluster(secrets.token_hex(4))
        os.mkdir(cluster.dir, 0o700)
        return cluster, _lock(cluster.path("lock"))


def every():
    try:
        names = os.listdir(BASE)
    except FileNotFoundError:
        return []
    return [Cluster(name) for name in sorted(names)]


def find(cluster_id):
    """The cluster meant by --id or REX_CLUSTER, or the only one there is."""
    wanted = cluster_id or os.environ.get("REX_CLUSTER")
    live = [cluster for cluster in every() if cluster.is_live()]
    if wanted:
        for cluster in live:
            if cluster.id == wanted:
                return cluster
        raise ClusterError(f"no cluster '{wanted}' is up; up are: {_ids(live)}")
    if len(live) != 1:
        raise ClusterError(f"say which cluster with --id or REX_CLUSTER; up are: {_ids(live)}")
    return live[0]


def _ids(clusters):
    return " ".join(cluster.id for cluster in clusters) or "none"


# What remains of a cluster.

def _belongs(pid, cluster, net_namespace):
    """Namespaces' numbers are used again, so the hosts file must say whose it is, too."""
    if system.namespace(pid, "net") != net_namespace:
        return False
    try:
        with open(f"/proc/{pid}/root/etc/hosts", encoding="utf-8", errors="replace") as file:
            return file.readline().strip() == f"# rexcluster {cluster.id}"
    except OSError:
        return False


def inhabitants(cluster):
    """Processes in the head's namespaces: it has no pid namespace whose end would end them."""
    head = cluster.state["infrastructure"][HEAD]
    return [pid for pid in system.all_pids() if _belongs(pid, cluster, head["net"])]


def evict(cluster, patience=1.0):
    """Ends what runs in the head: TERM, and KILL for what remains after `patience` seconds."""
    try:
        pids = inhabitants(cluster)
    except ClusterError:
        return  # it never came up
    for signo in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, signo)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + patience
        while pids and time.monotonic() < deadline:
            time.sleep(0.01)
            pids = inhabitants(cluster)


def remove_cgroups(cluster, patience=3.0):
    """A cgroup is busy until the last of its processes has been reaped."""
    deadline = time.monotonic() + patience
    for root in [cluster.cgroup_dir(controller) for controller in CONTROLLERS]:
        while os.path.isdir(root):
            try:
                for directory, _, _ in os.walk(root, topdown=False):
                    os.rmdir(directory)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _remove(cluster):
    evict(cluster)
    remove_cgroups(cluster)
    shutil.rmtree(cluster.dir, ignore_errors=True)


def _remove_base():
    try:
        os.rmdir(BASE)
        if os.stat(MUNGE_DIR).st_uid == 0:  # an installed munge's is its user's
            os.rmdir(MUNGE_DIR)
    except OSError:
        pass  # other clusters are there, or it was not needed


def remove(cluster):
    """Everything outside of the namespaces; the caller is the owner, and has ended the nodes."""
    _remove(cluster)
    with _guard():
        _remove_base()


def remove_stale():
    """Removes what supervisors that were killed have left; returns the ids."""
    with _guard():
        stale = [cluster for cluster in every() if not cluster.is_live()]
        for cluster in stale:
            _remove(cluster)
        if stale:
            _remove_base()
        return [cluster.id for cluster in stale]


# Files that every node sees.

def make_keys(cluster):
    """One host key and one client key for all nodes: they are for this cluster only."""
    makers = [subprocess.Popen(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"rexcluster-{cluster.id}",
                                "-f", cluster.path(name)], stdin=subprocess.DEVNULL)
              for name in ("host_key", "client_key")]
    if any([maker.wait() != 0 for maker in makers]):
        raise ClusterError("ssh-keygen failed, see above")


def hosts_file(cluster, addresses):
    lines = [f"# rexcluster {cluster.id}", "127.0.0.1 localhost"]
    if addresses.with_ipv6:
        lines.append("::1 localhost ip6-localhost ip6-loopback")
    for name in addresses.members:
        lines += [f"{address} {name}.{DOMAIN} {name}" for address in addresses.of(name)]
    return "\n".join(lines) + "\n"


def known_hosts_file(cluster, addresses):
    names = []
    for name in addresses.members:
        names += [name, f"{name}.{DOMAIN}"] + addresses.of(name)
    with open(cluster.path("host_key.pub"), encoding="ascii") as file:
        return ",".join(names) + " " + file.read()


# Half of what ssh costs on one machine is the post-quantum key exchange.
FAST_SSH = ["KexAlgorithms curve25519-sha256", "HostKeyAlgorithms ssh-ed25519"]


def ssh_config(cluster, options):
    lines = [
        "Host *",
        "User root",
        f"IdentityFile {cluster.path('client_key')}",
        "IdentitiesOnly yes",
        f"UserKnownHostsFile {cluster.path('known_hosts')}",
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "BatchMode yes",
        "LogLevel ERROR",
        "SendEnv " + " ".join(["LANG", "LC_*"] + options["pass_env"]),
        "GSSAPIAuthentication " + ("no" if options["fast_ssh"] else "yes"),  # yes: as Debian has it
    ]
    return "\n".join(lines + (FAST_SSH if options["fast_ssh"] else [])) + "\n"


def sshd_config(cluster, options):
    return "\n".join([
        f"HostKey {cluster.path('host_key')}",
        f"AuthorizedKeysFile {cluster.path('client_key.pub')}",
        "PidFile /run/sshd.pid",
        "UsePAM no",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        f"MaxStartups {options['max_startups']}",
        "MaxSessions 1000",
        "PrintMotd no",
        "PrintLastLog no",
        "AcceptEnv " + " ".join(["LANG", "LC_*"] + options["pass_env"]),
        "SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "Subsystem sftp internal-sftp",
    ]) + "\n"


def _with_sshd_user(text):
    if any(line.startswith("sshd:") for line in text.splitlines()):
        return text
    return text.rstrip("\n") + "\nsshd:x:64999:65534::/run/sshd:/usr/sbin/nologin\n"


def _unlocked_root(text):
    """sshd without PAM refuses a user whose password starts with '!'; '*' is no password either."""
    lines = [line.split(":") for line in text.splitlines()]
    for fields in lines:
        if fields[0] == "root" and fields[1].startswith("!"):
            fields[1] = "*"
    return "\n".join(":".join(fields) for fields in lines) + "\n"


def account_files(cluster):
    """The machine's accounts as sshd wants them; they are laid over the real ones in the nodes."""
    for name, change, mode in (("passwd", _with_sshd_user, 0o644), ("shadow", _unlocked_root, 0o600)):
        with open(f"/etc/{name}", encoding="utf-8", errors="surrogateescape") as file:
            cluster.write(name, change(file.read()), mode)
