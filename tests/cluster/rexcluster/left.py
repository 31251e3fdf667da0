"""What is in a node that the cluster did not put there. A node begins with nothing, so whatever is
there after a job has ended, the job left, but for the user's store. A dead node has nothing."""

import json
import os

from . import system
from .store import HEAD, ClusterError

_PRIVATE = ("/tmp", "/dev/shm", "/run")
_OWN_FILES = ("/run/sshd", "/run/sshd.pid", "/run/lock", "/run/munge", "/run/slurmd", "/run/slurmd.pid")
_STAYS = "rexstore-"  # the user's store of programs: for later launches
_OWN_PID_FILES = ("run/sshd.pid", "run/munge/munged.pid", "run/slurmd.pid")


def _first_process(cluster, name):
    if name == HEAD:
        raise ClusterError("the head shares the machine's processes and files: look there")
    try:
        return cluster.pid(name)
    except ClusterError:
        return None


def files(cluster, name):
    first = _first_process(cluster, name)
    if first is None:
        return []
    with open(cluster.path("options.json"), encoding="utf-8") as file:
        known = json.load(file)["share"] + [cluster.dir, *_OWN_FILES]
    root = f"/proc/{first}/root"
    return [f"file {path}" for top in _PRIVATE for path in _unknown_below(root, top, known)]


def _unknown_below(root, top, known):
    for entry in sorted(os.listdir(root + top)):
        path = os.path.join(top, entry)
        if path in known or entry.startswith(_STAYS):
            continue
        if any(place.startswith(path + "/") for place in known):
            yield from _unknown_below(root, path, known)
        else:
            yield path


def processes(cluster, name):
    """All but the first process, the sshd that waits for connections, and Slurm's daemons."""
    first = _first_process(cluster, name)
    if first is None:
        return []
    own = {1} | {_pid_in(f"/proc/{first}/root/{path}") for path in _OWN_PID_FILES}
    namespace = system.namespace(first, "pid")
    return [line for pid in system.all_pids() if system.namespace(pid, "pid") == namespace
            for line in _describe(pid, own)]


def _pid_in(path):
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None  # not there, or stopped, as a fault


def _describe(pid, own):
    """One line, or none for the node's own processes and for one that ended meanwhile."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read().rstrip("\0").replace("\0", " ")
    except OSError:
        return []
    inner = int(status["NSpid"].split()[-1])
    if inner in own or status["State"].split()[0] in "ZX":
        return []
    return [f"process {inner} ({pid} outside): {words or status['Name'].strip()}"]
