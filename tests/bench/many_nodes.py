"""Many nodes: launches over ssh against mpirun, messages through the head, fences, signals under
load, and hundreds of virtual nodes.

Real nodes are namespaces on this machine, made by tests/cluster/cluster (root only; without root
those cases are left out and the virtual ones remain). What to know about them:
- Everybody starts nodes by the same plain `ssh`, from the cluster's head, with the cluster's keys
  and the machine's usual key exchange; there is no shared connection (ControlMaster).
- The nodes share this machine's cores. mpirun gets `--bind-to none`: with its own choice the ranks
  of all nodes would be bound to the same core.
- ~/.bashrc and ~/.profile are empty in the nodes: what a login shell runs is nobody's launcher, and
  would add the same to every row.
- A rank on each node, then 4; the head itself has none.
- Signals: 4 nodes with links of 10 Mbit/s; rank 0 writes 100 MB/s to stdout, which goes to
  /dev/null, all ranks exchange 300 KB each, again and again. From kill(2) on rexlaunch or mpirun to
  the handler of the last rank.
- Slurm: each launcher inside an allocation of its own, as a user's batch script has it; the clock starts
  when the launcher does, not with salloc. slurmctld, slurmd and munge are Debian's, one slurmd a node.
- Idle virtual nodes: private memory by /proc/PID/smaps_rollup, of the agent (agent_KiB), and of
  agent, keeper, PMIx host and spawner together (node_KiB); a median over the nodes.
"""
import os
import re
import subprocess
import sys

import launchers
from harness import Case, Launcher, first_line
from launchers import OURS
from one_node import read_probe

HERE = os.path.dirname(os.path.abspath(__file__))
CLUSTER = os.path.join(HERE, "..", "cluster", "cluster")
DRIVER = os.path.join(HERE, "drivers.py")
LINKS = re.compile(r"^links .* (\d+) messages \((\d+) bytes\) sent, (\d+) messages \((\d+) bytes\) received",
                   re.MULTILINE)
NODES_PHASE = re.compile(r"^nodes +([0-9.]+) +([0-9.]+)", re.MULTILINE)
FENCES_LINE = re.compile(r"fences count=(\d+) bytes=\d+ ranks=(\d+) us=(\d+)")
BEGIN_LINE = re.compile(r"begin_us=(\d+)")
NUMBER = re.compile(r"^(\w+)=([0-9.]+)$", re.MULTILINE)

SRUN = "srun --mpi=pmix"
SLOW_LINK_NODES = 4
SCALE = 512
SIGNALS = "signals, 4 nodes, 10 Mbit/s, under load"
IDLE = f"{SCALE} virtual nodes, idle"
SCALE_FENCES = f"1000 fences, {SCALE} virtual nodes"


def cluster(*words):
    done = subprocess.run([sys.executable, CLUSTER, *words], capture_output=True, text=True, timeout=120,
                          check=False)
    if done.returncode not in (0, 77):
        sys.exit(f"bench: cluster {words[0]}: {done.stderr.strip()}")
    return done


class Nodes:
    """One cluster, as long as this process lives at most."""

    def __init__(self, count, *words):
        self.id = cluster("up", str(count), "--owner", str(os.getpid()), "--pass-env", "MARK_REXBENCH",
                          *words).stdout.split()[0]
        status = cluster("--id", self.id, "status").stdout
        self.head = re.search(r"^ +head +pid (\d+)", status, re.MULTILINE).group(1)

    def at_head(self):
        """Words that run a command in the cluster's head; it replaces env and nsenter."""
        configuration = f"/run/rexcluster/{self.id}/slurm/slurm.conf"
        slurm = [f"SLURM_CONF={configuration}"] if os.path.exists(configuration) else []
        return ["env", *slurm, "nsenter", "--target", self.head, "--net", "--uts", "--mount", "--"]

    def close(self):
        cluster("--id", self.id, "down")


def hosts(nodes, ranks_each):
    return ["--host", ",".join(f"n{i}:{ranks_each}" for i in range(1, nodes + 1))]


def root_words(program):
    return [program, "--allow-run-as-root"] if os.getuid() == 0 else [program]


def ours(build, before):
    rex = os.path.join(build, "bin", "rexlaunch")
    return Launcher(OURS, lambda ranks, short: before + root_words(rex) + ["--oversubscribe", "-n", str(ranks)],
                    version=first_line([rex, "--version"]))


def mpiruns(build, before):
    """mpirun as installed, and with the components excluded that rexlaunch excludes here."""
    pairs = {**dict(launchers.device_exclusions(build)), "pml": "ob1"}
    tuned = [word for key, value in pairs.items() for word in ("--mca", key, value)]
    version = first_line(["mpirun.openmpi", "--version"])

    def one(name, extra):
        words = root_words("mpirun.openmpi") + ["--oversubscribe", "--bind-to", "none"] + extra
        return Launcher(name, lambda ranks, short: before + words + ["-n", str(ranks)],
                        version=version + " " + " ".join(extra))
    return [one("mpirun", []), one("mpirun tuned", tuned)]


def read_links(run):
    """What went through the head's links in one launch; payloads with their addresses."""
    found = LINKS.search(run.err)
    if not found:
        return None
    out, out_bytes, back, back_bytes = map(int, found.groups())
    return {"sent": out, "sent_KB": out_bytes / 1000, "received": back, "received_KB": back_bytes / 1000}


def read_fences(ranks):
    def read(run):
        found = FENCES_LINE.search(run.out)
        if not found or int(found.group(2)) != ranks:
            return None
        us = int(found.group(3))
        return {"fence_us": us / int(found.group(1)), "all_s": us / 1e6}
    return read


def read_numbers(run):
    """NAME=NUMBER lines of a driver."""
    return {name: float(value) for name, value in NUMBER.findall(run.out)} or None


def read_ready(run):
    numbers = read_numbers(run)
    phase = NODES_PHASE.search(run.err)
    if not numbers or not phase:
        return None
    return {"ready_ms": float(phase.group(1)) + float(phase.group(2)), **numbers}


class NodeCase(Case):
    """A case over nodes of the cluster: everybody gets the same list of hosts."""

    def __init__(self, name, nodes, ranks_each, program, read, rounds, limit_s, among=None, words=None):
        super().__init__(name, nodes * ranks_each, program, read, rounds, limit_s, among=among, words=words)
        self.hosts = hosts(nodes, ranks_each)

    def argv(self, launcher):
        plain = super().argv(launcher)
        if plain is None:
            return None
        program = self.program.get(launcher.mpi) or self.program["any"]
        at = len(plain) - len(program)
        return plain[:at] + self.hosts + plain[at:]


class SignalCase(NodeCase):
    """Runs the launcher under a driver, which sends the signals."""

    def argv(self, launcher):
        plain = super().argv(launcher)
        if plain is None:
            return None
        return [sys.executable, DRIVER, "signals", "--ranks", str(self.ranks), "--"] + plain


class SlurmCase(Case):
    """Inside an allocation: nobody names hosts. The driver says when the launcher begins."""

    def __init__(self, nodes, ranks_each, program, rounds, limit_s):
        self.plain_read = read_probe(nodes * ranks_each)
        super().__init__(f"Slurm, MPI_Init, {nodes} nodes x {ranks_each}", nodes * ranks_each, program,
                         self.read_inside, rounds, limit_s, among=(OURS, SRUN, "mpirun"))
        tasks = min(ranks_each, os.cpu_count())  # each node has this machine's cores
        self.salloc = ["salloc", "-Q", f"-N{nodes}", f"--ntasks-per-node={tasks}", sys.executable, DRIVER,
                       "timed", "--"]

    def argv(self, launcher):
        plain = super().argv(launcher)
        if plain is None:
            return None
        at = plain.index("--", plain.index("nsenter")) + 1  # in the cluster's head
        return plain[:at] + self.salloc + plain[at:]

    def read_inside(self, run):
        begin = BEGIN_LINE.search(run.out)
        if not begin:
            return None
        run.begin_us = int(begin.group(1))
        return self.plain_read(run)


class VirtualCase(Case):
    """rexlaunch alone, over virtual nodes of this machine."""

    def __init__(self, name, nodes, ranks, program, read, rounds, limit_s, before=()):
        super().__init__(name, ranks, {"any": program}, read, rounds, limit_s, among=(OURS,))
        self.nodes = nodes
        self.before = list(before)

    def argv(self, launcher):
        if launcher.name != OURS:
            return None
        rex = launcher.command(self.ranks, False)
        rex = rex[rex.index("--") + 1:] if "--" in rex else rex  # not in a cluster
        return (self.before + rex + ["--virtual-nodes", str(self.nodes), "--timeline", "-"] +
                self.program["any"])


def launch_cases(programs, full):
    probe = {"openmpi": [os.path.join(programs, "mpi_init_probe")]}
    sizes = [(2, 1, 7, 30), (8, 1, 7, 30), (16, 1, 5, 60), (32, 1, 5, 60),
             (2, 4, 5, 30), (8, 4, 5, 60), (16, 4, 3, 60)]
    if full:  # mpirun takes minutes, or does not end, with 128 ranks on few cores
        sizes.append((32, 4, 2, 120))
    return [NodeCase(f"MPI_Init, {nodes} nodes x {each}", nodes, each, probe, read_probe(nodes * each), rounds,
                     limit) for nodes, each, rounds, limit in sizes]


def traffic_cases(programs):
    probe = {"openmpi": [os.path.join(programs, "mpi_init_probe")]}
    return [NodeCase(f"head's traffic, {nodes} nodes x 1", nodes, 1, probe, read_links, 2, 60, among=(OURS,),
                     words={OURS: ["--timeline", "-"]}) for nodes in (2, 8, 16, 32)]


def fence_cases(bench):
    cases = []
    for count in ("", "1000"):
        text = f" with {count} bytes" if count else ""
        program = {"any": [os.path.join(bench, "fences"), "100"] + ([count] if count else [])}
        cases += [NodeCase(f"100 fences{text}, {nodes} nodes x 1", nodes, 1, program, read_fences(nodes), 3,
                           120) for nodes in (2, 8, 16, 32)]
    return cases


def signal_cases(bench):
    # DIR is the driver's to replace.
    program = {"any": [os.path.join(bench, "loaded_rank"), "DIR", "300000"]}
    return [SignalCase(SIGNALS, SLOW_LINK_NODES, 1, program, read_numbers, 3, 120)]


def slurm_cases(programs):
    probe = {"openmpi": [os.path.join(programs, "mpi_init_probe")]}
    return [SlurmCase(nodes, each, probe, 5, 90) for nodes in (8, 16) for each in (2, 4)]


def srun(before):
    return Launcher(SRUN, lambda ranks, short: before + ["srun", "--mpi=pmix", "--cpu-bind=none",
                                                         "--overcommit", "-n", str(ranks)])


def virtual_cases(bench):
    fences = [os.path.join(bench, "fences"), "1000"]
    idle = [sys.executable, DRIVER, "idle", "--nodes", str(SCALE), "--"]
    return [VirtualCase(IDLE, SCALE, 1, ["sleep", "600"], read_ready, 2, 120, idle),
            VirtualCase(SCALE_FENCES, SCALE, SCALE, fences, read_fences(SCALE), 1, 300)]


class Stage:
    """What a suite runs on: [(case, launchers)], why others are left out, close()."""

    def __init__(self, build, full, wanted):
        self.left_out = []
        self.work = []
        self.clusters = []
        programs = os.path.join(build, "tests", "programs")
        bench = os.path.join(build, "tests", "bench")
        over_nodes = launch_cases(programs, full) + traffic_cases(programs) + fence_cases(bench)
        self.add(build, [c for c in over_nodes if wanted(c)], 32)
        self.add(build, [c for c in signal_cases(bench) if wanted(c)], SLOW_LINK_NODES, "--rate", "10mbit")
        self.add(build, [c for c in slurm_cases(programs) if wanted(c)], 16, "--slurm")
        here = [ours(build, [])]
        self.work += [(c, here) for c in virtual_cases(bench) if wanted(c)]

    def add(self, build, cases, count, *words):
        if not cases:
            return
        slurm = "--slurm" in words
        here = cluster("check", *(["--slurm"] if slurm else []))
        if here.returncode == 77:
            self.left_out.append(("Slurm: " if slurm else "nodes: ") + (here.stderr or here.stdout).strip())
            return
        nodes = Nodes(count, *words)
        self.clusters.append(nodes)
        everyone = [ours(build, nodes.at_head())] + ([srun(nodes.at_head())] if slurm else [])
        if launchers.have_mpirun():
            everyone += mpiruns(build, nodes.at_head())
        elif "mpirun" not in " ".join(self.left_out):
            self.left_out.append(launchers.NO_MPIRUN)
        self.work += [(case, everyone) for case in cases]

    def close(self):
        for nodes in self.clusters:
            nodes.close()


def stage(build, full, wanted):
    return Stage(build, full, wanted)


TARGETS = [
    ("MPI_Init, 16 nodes x 1", "init_ms", "mpirun", 1.5),
    ("MPI_Init, 16 nodes x 4", "init_ms", "mpirun", 1.5),
    *((f"Slurm, MPI_Init, {nodes} nodes x {each}", "init_ms", peer, 1.0)
      for nodes in (8, 16) for each in (2, 4) for peer in (SRUN, "mpirun")),
    (SIGNALS, "last_rank_ms", None, 250.0),
    (SIGNALS, "slowest_ms", None, 250.0),
    (IDLE, "ready_ms", None, 20000.0),
    (IDLE, "agent_KiB", None, 6 * 1024.0),
    (SCALE_FENCES, "all_s", None, 60.0),
]
