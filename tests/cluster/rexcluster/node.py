"""A member of a cluster: a node, the head, or the switch, from its first fork on.

The supervisor forks it, for a node into a new pid namespace, where it is process 1: it reaps what
others leave, and its death ends everything in the node. Protocol, over two pipes:

  member -> supervisor   "made"     its namespaces are there
  supervisor -> member   "go"       its link is there
  member -> supervisor   "ready"    it answers on port 22; or "error TEXT" at any point

It never outlives the supervisor: the kernel kills it, and before that took effect the pipe's end
tells it.
"""

import os
import pwd
import signal
import stat
import subprocess
import time

from . import network, slurm, system
from .store import HEAD

SWITCH = "switch"
_PATIENCE = 20.0  # seconds for sshd to listen, on a loaded machine
_LISTENING = "0A"  # state of a socket in /proc/net/tcp
_PRIVATE_LOGS = ("wtmp", "btmp", "lastlog")
# What a shell started by sshd reads. This machine's are its user's own affair: they can take longer than ssh itself.
_START_FILES = (".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshenv", ".cshrc", ".tcshrc")


class Member:
    """What a child needs to know; made before the fork."""

    def __init__(self, name, cluster, addresses, options):
        self.name = name
        self.cluster = cluster
        self.addresses = addresses
        self.options = options
        self.is_node = name not in (HEAD, SWITCH)
        self.hidden = [path for name_, path in options["hide"] if name_ == name]
        self.cores = options["cores"].get(name, [])
        self.daemons = {}  # of Slurm's: name -> Popen


def run(member, from_parent, to_parent):
    """The whole life of the child; never returns."""
    try:
        _forget_signals()
        system.die_with_parent(signal.SIGKILL)
        system.set_process_name(f"cluster-{member.name}")
        _close_all_but(from_parent, to_parent)
        _make_namespaces(member)
        _say(to_parent, "made")
        if os.read(from_parent, 2) != b"go":
            os._exit(1)
        _settle(member)
        _say(to_parent, "ready")
    except Exception as error:  # noqa: whatever it is, the supervisor must hear of it
        _say(to_parent, f"error {member.name}: {error}")
        os._exit(1)
    _reap_for_ever()


def _forget_signals():
    """The supervisor's handlers write to a pipe that is not ours."""
    signal.set_wakeup_fd(-1)
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signo, signal.SIG_DFL)


def _say(fd, text):
    try:
        os.write(fd, (text + "\n").encode())
    except BrokenPipeError:
        os._exit(1)  # the supervisor is gone


def _close_all_but(*kept):
    """Others' pipes must end when the supervisor does, and the lock is the supervisor's alone."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def _make_namespaces(member):
    flags = system.CLONE_NEWNET
    if member.name != SWITCH:
        flags |= system.CLONE_NEWUTS | system.CLONE_NEWNS
    if member.is_node:
        flags |= system.CLONE_NEWIPC
    system.unshare(flags)


def _settle(member):
    if member.name == SWITCH:
        return
    system.set_hostname(member.name)
    if member.is_node and member.options["cgroups"]:
        slurm.enter_cgroups(member)
    _mount_all(member)
    network.set_up_member(member.addresses, member.name)
    if member.options["rate"] is not None:
        network.shape(["eth0"], member.options["rate"])
    if not member.is_node:
        return _start_slurm(member)
    if member.cores:
        os.sched_setaffinity(0, member.cores)  # where there are cpusets, this agrees with them
    sshd = _start_sshd(member)
    _start_slurm(member)
    _wait_for_sshd(member, sshd)


def _start_slurm(member):
    if not member.options["slurm"]:
        return
    slurm.mount_munge_dir(member)
    slurm.start(member)


# Mounts. Sources are opened before anything is laid over them.

def _mount_all(member):
    system.mount(None, "/", None, system.MS_REC | system.MS_PRIVATE)
    own = _open(member.cluster.dir)
    _bind(own, "hosts", "/etc/hosts")
    _bind(own, "ssh_config", "/etc/ssh/ssh_config")
    if member.options["slurm_tree"] is not None:
        slurm.lay_over_usr(member.options["slurm_tree"])
    if not member.is_node:
        return
    _bind(own, "passwd", "/etc/passwd")
    _bind(own, "shadow", "/etc/shadow")
    member.cluster.write(f"{member.name}/hostname", member.name + "\n", 0o644)
    _bind(own, f"{member.name}/hostname", "/etc/hostname")
    for log in _PRIVATE_LOGS:
        if os.path.exists(f"/var/log/{log}"):
            member.cluster.write(f"{member.name}/{log}", "")
            _bind(own, f"{member.name}/{log}", f"/var/log/{log}")
    for path in _start_files() + member.hidden:
        _hide(own, path)
    _mount_private(member, own)
    system.mount("proc", "/proc", "proc", system.MS_NOSUID | system.MS_NODEV)
    if member.options["cgroups"]:
        slurm.mount_cgroups()


def _mount_private(member, own):
    shared = [(path, _open(path)) for path in member.options["share"]]
    nosuid = system.MS_NOSUID | system.MS_NODEV
    system.mount("tmpfs", "/tmp", "tmpfs", nosuid, "mode=1777")
    system.mount("tmpfs", "/dev/shm", "tmpfs", nosuid, "mode=1777")
    system.mount("tmpfs", "/run", "tmpfs", nosuid, "mode=755")
    os.mkdir("/run/sshd", 0o755)
    os.mkdir("/run/lock", 0o777)
    for path, fd in [(member.cluster.dir, own)] + shared:
        os.makedirs(path, exist_ok=True)
        _bind(fd, "", path)
    # A node is a machine of its own, and so are its cores: its leases are not the others'. The path in
    # the cluster's directory is the one that tests give to all nodes.
    os.mkdir("/run/lock/rex")
    os.chmod("/run/lock/rex", 0o1777)
    system.mount("/run/lock/rex", member.cluster.path("leases"), None, system.MS_BIND)


def _open(path):
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _bind(directory_fd, name, target):
    source = f"/proc/self/fd/{directory_fd}" + (f"/{name}" if name else "")
    system.mount(source, target, None, system.MS_BIND | system.MS_REC)


def _start_files():
    home = pwd.getpwuid(os.getuid()).pw_dir
    return [path for path in (os.path.join(home, name) for name in _START_FILES) if os.path.isfile(path)]


def _hide(own, path):
    """An empty directory over a directory, an empty file over a file."""
    is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    _bind(own, "empty" if is_directory else "empty_file", path)


def _start_sshd(member):
    log = os.open(member.cluster.path(member.name, "sshd.log"),
                  os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    argv = [member.options["sshd"], "-D", "-e", "-f", member.cluster.path("sshd_config")]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                            start_new_session=True)


def _wait_for_sshd(member, sshd):
    deadline = time.monotonic() + _PATIENCE
    while not _port_22_listens():
        if sshd.poll() is not None or time.monotonic() > deadline:
            with open(member.cluster.path(member.name, "sshd.log"), encoding="utf-8") as file:
                raise OSError(f"sshd does not listen: {file.read().strip() or 'it said nothing'}")
        time.sleep(0.005)


def _port_22_listens():
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[1].endswith(":0016") and fields[3] == _LISTENING:
                return True
    return False


def _reap_for_ever():
    """A first process has no default actions: only the supervisor's SIGKILL ends it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            signal.sigwait({signal.SIGCHLD})
