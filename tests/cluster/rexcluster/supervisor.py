"""The process that owns a cluster. It makes the nodes, waits, and removes everything at the end:
when told (SIGTERM), or when the process that --owner names has ended. Killed itself, it takes the
nodes along; its directory is then stale, and the next `cluster up` or `down --stale` removes it."""

import os
import select
import signal
import sys
import time

from . import network, node, store, system
from .store import HEAD, ClusterError

_PATIENCE = 60.0  # seconds until all nodes must be ready


class Supervisor:
    def __init__(self, cluster, addresses, options):
        self._cluster = cluster
        self._addresses = addresses
        self._options = options
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._children = {}  # pid -> name
        self._pipes = {}     # name -> (from the member, to the member)

    def build(self):
        names = [node.SWITCH, HEAD] + store.member_names(self._options["count"])
        for name in names:
            self._fork(name)
        self._await_all("made")
        pids = {name: pid for pid, name in self._children.items()}
        self._limit_cores(pids)
        links = {name: pid for name, pid in pids.items() if name != node.SWITCH}
        network.inside(pids[node.SWITCH], lambda: self._build_switch(links))
        for _, to_member in self._pipes.values():
            os.write(to_member, b"go")
        self._await_all("ready")
        self._close_pipes()
        self._save(pids)

    def _build_switch(self, links):
        network.build_switch(links)
        if self._options["rate"] is not None:
            network.shape(list(links), self._options["rate"])

    def _fork(self, name):
        member = node.Member(name, self._cluster, self._addresses, self._options)
        if member.is_node:
            os.mkdir(self._cluster.path(name), 0o700)
        from_member, says = os.pipe()
        hears, to_member = os.pipe()
        if member.is_node:
            system.unshare(system.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            node.run(member, hears, says)
        system.setns(self._own_pid_namespace, system.CLONE_NEWPID)
        os.close(says)
        os.close(hears)
        self._children[pid] = name
        self._pipes[name] = (from_member, to_member)

    def _await_all(self, word):
        """One line from each member; the first bad news ends it."""
        deadline = time.monotonic() + _PATIENCE
        waiting = {pipes[0]: name for name, pipes in self._pipes.items()}
        while waiting:
            readable, _, _ = select.select(list(waiting), [], [], max(0, deadline - time.monotonic()))
            if not readable:
                raise ClusterError(f"not {word} after {_PATIENCE:g} s: {' '.join(waiting.values())}")
            for fd in readable:
                said = os.read(fd, 4096).decode(errors="replace").strip()
                if said != word:
                    raise ClusterError(said.removeprefix("error ") or f"{waiting[fd]} ended early")
                del waiting[fd]

    def _close_pipes(self):
        for pipes in self._pipes.values():
            for fd in pipes:
                os.close(fd)
        self._pipes = {}

    def _limit_cores(self, pids):
        """Before the node has any other process, so that all it will have are in the cpuset."""
        if not self._options["cores"] or not os.path.isdir(store.CPUSET_ROOT):
            return  # the affinity alone then
        try:
            self._make_cpusets(pids)
        except OSError as error:
            print(f"no cpusets, affinity alone: {error}", file=sys.stderr)
            store.remove_cgroups(self._cluster, patience=0)

    def _make_cpusets(self, pids):
        root = self._cluster.cpuset_dir()
        memory = _read(os.path.join(store.CPUSET_ROOT, "cpuset.mems"))
        os.makedirs(root, exist_ok=True)
        _write(os.path.join(root, "cpuset.mems"), memory)
        _write(os.path.join(root, "cpuset.cpus"), _read(os.path.join(store.CPUSET_ROOT, "cpuset.cpus")))
        for name, cores in self._options["cores"].items():
            own = os.path.join(root, name)
            os.mkdir(own)
            _write(os.path.join(own, "cpuset.mems"), memory)
            _write(os.path.join(own, "cpuset.cpus"), ",".join(map(str, cores)))
            _write(os.path.join(own, "tasks"), str(pids[name]))

    def _save(self, pids):
        def entry(name):
            return {"pid": pids[name], "start": system.start_time(pids[name]),
                    "net": system.namespace(pids[name], "net")}
        nodes = store.member_names(self._options["count"])
        self._cluster.save({
            "id": self._cluster.id,
            "supervisor": os.getpid(),
            "infrastructure": {name: entry(name) for name in (node.SWITCH, HEAD)},
            "nodes": {name: entry(name) for name in nodes},
        })

    def wait(self, owner, stop):
        """Until the end is wanted. `owner` is a pidfd or None, `stop` becomes readable on SIGTERM."""
        watched = [stop] + ([owner] if owner is not None else [])
        while True:
            readable, _, _ = select.select(watched, [], [])
            if owner in readable:
                return
            if os.read(stop, 1)[0] != signal.SIGCHLD:
                return
            self._reap()

    def _reap(self):
        """A node may be killed, as a fault; the others go on."""
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.pop(pid, None)

    def tear_down(self):
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in list(self._children):
            os.waitpid(pid, 0)  # a pid namespace's first process is reaped after all others in it
        self._children = {}
        store.remove(self._cluster)


def _read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _signals_as_bytes():
    reader, writer = os.pipe()
    os.set_blocking(reader, True)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signo, lambda *_: None)
    return reader


def main(cluster, addresses, options, owner, ready):
    """`ready` gets one line: "ready", or what is wrong. Returns when nothing is left."""
    stop = _signals_as_bytes()
    supervisor = Supervisor(cluster, addresses, options)
    try:
        supervisor.build()
        os.write(ready, b"ready\n")
    except (ClusterError, OSError) as error:
        supervisor.tear_down()
        _tell(ready, str(error))
        return
    os.close(ready)
    supervisor.wait(owner, stop)
    supervisor.tear_down()


def _tell(fd, text):
    try:
        os.write(fd, (text.replace("\n", "; ") + "\n").encode())
    except BrokenPipeError:
        pass  # who asked for the cluster has gone
