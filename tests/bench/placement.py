"""Placement: where jobs go when other things run on some nodes, what that is worth, and what it costs.

Nodes are namespaces on this machine (tests/cluster/cluster; root only, left out without), each with one
core and pids of its own; on a machine with fewer cores than nodes several share one. A burner is a
process that is not rex's, in a node's namespaces and on its core.
- rexlaunch has the nodes from a configured pool, and starts with `-n 1 PROGRAM`; mpirun has them by
  `--host`, and uses the first.
- Two nodes, the first with a burner: 20 jobs one after the other, how many are not on the idle node; and
  a job that needs the core for some seconds, the whole command from its start to its end.
- Eight nodes, four with burners: four jobs that use their cores and stay, each started when the one
  before has begun; 20 rounds; how many rounds in which the four idle nodes do not have one each.
- Placing 100,000 ranks on 10,000 nodes, of the policies that loads decide: milliseconds, fastest of five.
- Load events: CPU time of head and node together for each second with 1000 ranks that start and 1000 that
  end, in percent of a core (tests/bench/load_events.cc has what is counted).
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

import launchers
from harness import Case
from launchers import OURS
from many_nodes import CLUSTER, DRIVER, Nodes, cluster, mpiruns, ours, read_numbers

PLACED = re.compile(r"^(\S+) +rank by .* nodes: +([0-9.]+) ms", re.MULTILINE)
LAND = "20 jobs, 2 nodes, one busy"
SPREAD = "20 x 4 jobs, 8 nodes, four busy"
WORK = "CPU-bound job, 2 nodes, the first busy"
PLACE = "100,000 ranks on 10,000 nodes"
EVENTS = "1000 starts and 1000 ends a second"
BURN = ["sh", "-c", "while :; do :; done"]
WORK_MILLIONS = "1500"  # about two seconds of a core


def read_placed(run):
    found = {name: float(ms) for name, ms in PLACED.findall(run.out)}
    if not {"load", "lightest"} <= found.keys():
        return None
    return {"load_ms": found["load"], "lightest_ms": found["lightest"], "slowest_ms": max(found.values())}


def read_wall(run):
    return {"wall_s": (run.end_us - run.begin_us) / 1e6}


class DrivenCase(Case):
    """rexlaunch's command, run again and again by a driver."""

    def __init__(self, name, driver, program, limit_s):
        super().__init__(name, 1, {"any": program}, read_numbers, 1, limit_s, among=(OURS,))
        self.driver = driver

    def argv(self, launcher):
        plain = super().argv(launcher)
        return plain and [sys.executable, DRIVER, *self.driver, "--"] + plain


class AloneCase(Case):
    """A program that is no job."""

    def __init__(self, name, program, read, limit_s):
        super().__init__(name, 1, {"any": program}, read, 1, limit_s, among=(OURS,))

    def argv(self, launcher):
        return self.program["any"] if launcher.name == OURS else None


class BusyNodes:
    """A cluster of one-core nodes, burners on some, and a pool that names all."""

    def __init__(self, count, busy):
        self.nodes = Nodes(count, "--cpus", "1", "--fast-ssh")
        self.config = tempfile.TemporaryDirectory(prefix="rexbench-", dir="/var/tmp")
        os.mkdir(os.path.join(self.config.name, "rex"))
        with open(os.path.join(self.config.name, "rex", "nodes"), "w", encoding="ascii") as pool:
            pool.writelines(f"n{i} slots=1\n" for i in range(1, count + 1))
        self.busy = busy
        self.burners = []

    def __enter__(self):
        """The burners burn while cases run here, and not beside those of another cluster."""
        self.burners = [subprocess.Popen([sys.executable, CLUSTER, "--id", self.nodes.id, "exec", node, *BURN],
                                         stdin=subprocess.DEVNULL, start_new_session=True) for node in self.busy]

    def __exit__(self, *_):
        for burner in self.burners:
            os.killpg(burner.pid, signal.SIGKILL)
            burner.wait()
        self.burners = []

    def at_head(self):
        return ["env", f"XDG_CONFIG_HOME={self.config.name}"] + self.nodes.at_head()

    def close(self):
        self.nodes.close()
        self.config.cleanup()


class Stage:
    """What the suite runs on: [(case, launchers)], why others are left out, close()."""

    def __init__(self, build, wanted):
        self.left_out = []
        self.work = []
        self.clusters = []
        bench = os.path.join(build, "tests", "bench")
        work = {"any": [os.path.join(bench, "work"), WORK_MILLIONS]}
        two = [DrivenCase(LAND, ["land", "--jobs", "20", "--wanted", "n2"], ["hostname"], 120),
               Case(WORK, 1, work, read_wall, 5, 60, among=(OURS, "mpirun"), words={"mpirun": ["--host", "n1,n2"]})]
        stay = ["sh", "-c", "hostname; while :; do :; done"]
        eight = [DrivenCase(SPREAD, ["spread", "--jobs", "4", "--rounds", "20", "--wanted", "n2,n3,n5,n8"], stay, 600)]
        self.add(build, [c for c in two if wanted(c)], 2, ["n1"])
        self.add(build, [c for c in eight if wanted(c)], 8, ["n1", "n4", "n6", "n7"])
        alone = [AloneCase(PLACE, [os.path.join(bench, "placements")], read_placed, 120),
                 AloneCase(EVENTS, [os.path.join(bench, "load_events")], read_numbers, 60)]
        here = [ours(build, [])]
        self.work += [(case, here) for case in alone if wanted(case)]

    def add(self, build, cases, count, busy):
        if not cases:
            return
        here = cluster("check")
        if here.returncode == 77:
            self.left_out.append("nodes: " + (here.stderr or here.stdout).strip())
            return
        nodes = BusyNodes(count, busy)
        self.clusters.append(nodes)
        everyone = [ours(build, nodes.at_head())]
        if launchers.have_mpirun():
            everyone += mpiruns(build, nodes.at_head())[:1]
        elif launchers.NO_MPIRUN not in self.left_out:
            self.left_out.append(launchers.NO_MPIRUN)
        for case in cases:
            case.beside = nodes
        self.work += [(case, everyone) for case in cases]

    def close(self):
        for nodes in self.clusters:
            nodes.close()


def stage(build, _full, wanted):
    return Stage(build, wanted)


TARGETS = [
    (LAND, "missed", None, 0.0),
    (SPREAD, "missed", None, 0.0),
    (WORK, "wall_s", "mpirun", 1.6),
    (PLACE, "slowest_ms", None, 1000.0),
    (EVENTS, "percent", None, 1.0),
]
