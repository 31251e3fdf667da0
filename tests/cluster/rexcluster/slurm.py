"""Slurm in a cluster: munged and slurmctld in the head, munged and a slurmd in each node.

Everything is the cluster's own: configuration and state below its directory, sockets and spools in
the nodes' /run, cgroups below one of the cluster's. Where Slurm's packages are not installed, what
`cluster get-slurm` has unpacked is laid over /usr, in head and nodes only.

What is not as on a real machine: all nodes share the machine's cores and memory, so that Slurm gives
the same core out once per node; nothing is accounted; everybody is root.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time

from . import system
from .store import CGROUPS, CONTROLLERS, HEAD, MUNGE_DIR, CannotHere

PACKAGES = ("munge", "slurm-client", "slurm-wlm-basic-plugins", "slurmctld", "slurmd")
_DAEMONS = ("slurmctld", "slurmd", "slurmstepd")
_MEMORY_MB = 4000  # of each node; more than any test asks for
_DEVICE = "/dev/full"  # harmless, and Slurm's to give: gres "token"
_PATIENCE = 40.0  # seconds, on a loaded machine


def find(unpacked):
    """The unpacked tree to lay over /usr, or None when Slurm is installed."""
    if all(shutil.which(name, path="/usr/sbin:/usr/bin") for name in _DAEMONS + ("munged", "srun")):
        return None
    if os.access(os.path.join(unpacked, "usr/sbin/slurmctld"), os.X_OK):
        return unpacked
    raise CannotHere("there is no Slurm; run 'tests/cluster/cluster get-slurm', or apt-get install " +
                     " ".join(PACKAGES))


def add_names(unpacked):
    """What Debian's alternatives would do."""
    for name in _DAEMONS:
        os.symlink(f"{name}-wlm", os.path.join(unpacked, "usr/sbin", name))


def has_cgroups():
    return all(os.path.isdir(os.path.join(CGROUPS, name)) for name in CONTROLLERS)


# Before the members are made.

def write_files(cluster, addresses, options):
    os.mkdir(cluster.path("slurm"), 0o700)
    os.mkdir(cluster.path("slurm", "state"), 0o700)
    with open(os.open(cluster.path("slurm", "munge.key"), os.O_WRONLY | os.O_CREAT, 0o400), "wb") as file:
        file.write(secrets.token_bytes(1024))
    cluster.write("slurm/slurm.conf", _slurm_conf(cluster, addresses, options), 0o644)
    cluster.write("slurm/gres.conf", f"Name=token File={_DEVICE}\n", 0o644)
    cluster.write("slurm/cgroup.conf", "\n".join([
        "CgroupAutomount=no", "CgroupPlugin=cgroup/v1", "ConstrainCores=yes", "ConstrainRAMSpace=yes",
        "ConstrainDevices=yes", "AllowedRAMSpace=100", "MinRAMSpace=16"]) + "\n", 0o644)


def _slurm_conf(cluster, addresses, options):
    cgroups = options["cgroups"]
    cores = len(os.sched_getaffinity(0))
    lines = [
        f"ClusterName=rexcluster{cluster.id}",
        f"SlurmctldHost={HEAD}({addresses.ipv4(HEAD)})",
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        "CredType=cred/munge",
        "MpiDefault=none",
        "ProctrackType=" + ("proctrack/cgroup" if cgroups else "proctrack/linuxproc"),
        "TaskPlugin=" + ("task/cgroup,task/affinity" if cgroups else "task/affinity"),
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=batch_sched_delay=0,sched_min_interval=0",
        "SwitchType=switch/none",
        "ReturnToService=2",
        "GresTypes=token",
        "PropagateResourceLimits=ALL",
        "CompleteWait=0",
        "KillWait=3",
        "MessageTimeout=60",
        "SlurmctldTimeout=60",
        f"SlurmdTimeout={options['slurmd_timeout']}",
        "SlurmctldPort=6817",
        "SlurmdPort=6818",
        f"StateSaveLocation={cluster.path('slurm', 'state')}",
        "SlurmdSpoolDir=/run/slurmd",
        "SlurmctldPidFile=" + cluster.path("slurm", "slurmctld.pid"),
        "SlurmdPidFile=/run/slurmd.pid",
        "SlurmctldDebug=info",
        "SlurmdDebug=info",
    ]
    for name in addresses.members:
        if name != HEAD:
            own = len(options["cores"].get(name, [])) or cores
            lines.append(f"NodeName={name} NodeAddr={addresses.ipv4(name)} CPUs={own} "
                         f"RealMemory={_MEMORY_MB} Gres=token:1")
    lines += ["SlurmdParameters=config_overrides",
              "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO"]
    return "\n".join(lines) + "\n"


# In a member, from its first steps on.

def enter_cgroups(member):
    """A node's processes see its own cgroups as the roots; slurmd makes those of steps below."""
    for controller in CONTROLLERS:
        own = os.path.join(member.cluster.cgroup_dir(controller), member.name)
        os.makedirs(own, exist_ok=True)
        if controller == "cpuset":
            _inherit_cpuset(os.path.dirname(own))
            _inherit_cpuset(own)
        with open(os.path.join(own, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")
    system.unshare(system.CLONE_NEWCGROUP)


def _inherit_cpuset(path):
    """A new cpuset has no cores and no memory until it is given some."""
    for name in ("cpuset.mems", "cpuset.cpus"):
        with open(os.path.join(path, name), encoding="ascii") as file:
            if file.read().strip():
                continue
        with open(os.path.join(os.path.dirname(path), name), encoding="ascii") as file:
            value = file.read()
        with open(os.path.join(path, name), "w", encoding="ascii") as file:
            file.write(value)


def mount_cgroups():
    for controller in CONTROLLERS:
        place = os.path.join(CGROUPS, controller)
        system.unmount(place)  # the kernel takes no second one at the same place
        system.mount("cgroup", place, "cgroup", 0, controller)


def lay_over_usr(tree):
    system.mount("overlay", "/usr", "overlay", system.MS_RDONLY, f"lowerdir={tree}/usr:/usr")


def mount_munge_dir(member):
    """Nodes have a /run of their own; in the head a directory of the machine's is needed to lay the
    cluster's over."""
    os.makedirs(MUNGE_DIR, mode=0o755, exist_ok=True)
    if not member.is_node:
        os.makedirs(member.cluster.path("slurm", "munge"), mode=0o755, exist_ok=True)
        system.mount("tmpfs", MUNGE_DIR, "tmpfs", system.MS_NOSUID | system.MS_NODEV, "mode=755")


def environment(cluster):
    """What Slurm's commands need to find the cluster's Slurm, if it has one."""
    configuration = cluster.path("slurm", "slurm.conf")
    return {"SLURM_CONF": configuration} if os.path.exists(configuration) else {}


def start(member):
    """Returns when the member's own daemons have come as far as they can alone."""
    cluster = member.cluster
    munged = ["munged", "--foreground", "--force", f"--socket={MUNGE_DIR}/munge.socket.2",
              f"--key-file={cluster.path('slurm', 'munge.key')}", "--num-threads=1",
              f"--pid-file={MUNGE_DIR}/munged.pid", f"--seed-file={MUNGE_DIR}/munged.seed"]
    _spawn(member, "munged", munged)
    _await(lambda: os.path.exists(f"{MUNGE_DIR}/munge.socket.2"), member, "munged")
    configuration = cluster.path("slurm", "slurm.conf")
    if member.is_node:
        os.makedirs("/run/slurmd", mode=0o755, exist_ok=True)
        _spawn(member, "slurmd", ["slurmd", "-D", "-N", member.name, "-f", configuration])
    else:
        _spawn(member, "slurmctld", ["slurmctld", "-D", "-i", "-f", configuration])
        _await_nodes(member)


def _log(member, name):
    return member.cluster.path("slurm" if not member.is_node else member.name, f"{name}.log")


def _spawn(member, name, argv):
    log = os.open(_log(member, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    env = dict(os.environ, **environment(member.cluster))
    member.daemons[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd="/", start_new_session=True, env=env,
                                            preexec_fn=_end_with_member)


def _end_with_member():
    """The head has no pid namespace that would do this."""
    system.die_with_parent(signal.SIGKILL)


def _await(ready, member, name):
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        if member.daemons[name].poll() is not None or time.monotonic() > deadline:
            with open(_log(member, name), encoding="utf-8", errors="replace") as file:
                said = file.read().strip().splitlines()
            raise OSError(f"{name} does not come up: {said[-1] if said else 'it said nothing'}; "
                          f"see {_log(member, name)}")
        time.sleep(0.01)


def _await_nodes(member):
    env = dict(os.environ, **environment(member.cluster))

    def all_idle():
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        return done.returncode == 0 and done.stdout.split() == ["idle"]
    _await(all_idle, member, "slurmctld")
