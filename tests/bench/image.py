"""Images: a file or program that only the head has, on its way to nodes that have none of it.

Nodes are namespaces (tests/cluster/cluster, root only) whose links are limited to 100 Mbit/s both ways,
the head's too; without that limit all schemes look alike on one machine. Every run is cold: the file is
new random bytes, the nodes' stores are emptied before the clock starts. What to know:
- `of_wire`: time of the transfer (for other tools: of the whole command) by size/bandwidth. Headers of
  TCP, IP and Ethernet alone make that 1.05.
- `head_bytes`: bytes out of the head's port by size.
- `cpu_s_per_GB`: CPU seconds of the agents, the kernel's work in their name included, by GB and node
  (the head is one).
- `last_main_s`: from the moment all nodes are up until the last rank is in its program.
- The scp loop copies to one node after the other; sbcast runs inside an allocation, with its own choice
  of fan-out.
- `multicast`: the same by one UDP stream (--image-transport=multicast).
"""
import os
import sys

import many_nodes
from harness import Case, Launcher
from launchers import OURS
from many_nodes import Nodes, cluster, hosts, ours

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "image_driver.py")
SCP = "scp loop"
SBCAST = "sbcast --send-libs"
LIMIT_S = 175


class ImageCase(Case):
    """`ranks_each` 0: a file with `true`; else a program of that size, with so many ranks a node."""

    def __init__(self, name, nodes, megabytes, mbit, rounds=2, ranks_each=0, program="", among=None, ours=()):
        super().__init__(name, nodes * max(ranks_each, 1), {"any": []}, many_nodes.read_numbers, rounds,
                         LIMIT_S, among=among)
        self.ours = list(ours)
        self.nodes = nodes
        self.ranks_each = ranks_each
        self.file_program = program
        self.driver = ["--nodes", str(nodes), "--mb", str(megabytes), "--mbit", str(mbit)]

    def argv(self, launcher):
        if self.among is not None and launcher.name not in self.among:
            return None
        driver = [sys.executable, DRIVER, "--cluster", launcher.cluster, "--build", launcher.build,
                  *self.driver]
        if self.file_program:
            driver += ["--program", self.file_program]
        if launcher.name == SCP:
            return driver + ["scp"]
        if launcher.name == SBCAST:
            salloc = ["salloc", "-Q", f"-N{self.nodes}", "--ntasks-per-node=1"]
            return driver + ["--"] + launcher.before + salloc + ["sbcast", "--send-libs", "-f", "FILE",
                                                                 "/dev/shm/image-copy"]
        each = max(self.ranks_each, 1)
        words = launcher.command(self.nodes * each, False) + hosts(self.nodes, each) + ["--timeline", "-"] + self.ours
        if self.ranks_each:
            return driver + ["--"] + words + ["FILE"]
        return driver + ["--"] + words + ["--preload-files", "FILE", "/bin/true"]


def tree_name(nodes, mbit=100):
    return f"100 MB, {nodes} nodes, {mbit} Mbit/s"


MULTICAST = tree_name(8) + ", multicast"
PROGRAM = "12 MB program, 12 nodes x 4"


class Stage:
    def __init__(self, build, full, wanted):
        self.left_out = []
        self.work = []
        self.clusters = []
        here = cluster("check")
        if here.returncode == 77:
            self.left_out.append("nodes: " + (here.stderr or here.stdout).strip())
            return
        program = os.path.join(build, "tests", "programs", "testprog")
        plain = [ImageCase(tree_name(n), n, 100, 100, among=(OURS, SCP) if n == 8 else (OURS,))
                 for n in (2, 8, 12)]
        plain.append(ImageCase(MULTICAST, 8, 100, 100, among=(OURS,), ours=["--image-transport=multicast"]))
        plain.append(ImageCase(PROGRAM, 12, 12, 100, rounds=3, ranks_each=4, program=program,
                               among=(OURS,)))
        self.add(build, [c for c in plain if wanted(c)], 12, "--rate", "100mbit")
        fast = [ImageCase(tree_name(8, 1000), 8, 100, 1000, among=(OURS, SCP))]
        self.add(build, [c for c in fast if wanted(c)], 8, "--rate", "1000mbit")
        slurm = [ImageCase(tree_name(8) + ", Slurm", 8, 100, 100, rounds=1, among=(SBCAST,))]
        slurm = [c for c in slurm if wanted(c)]
        if slurm and cluster("check", "--slurm").returncode == 77:
            self.left_out.append("Slurm: not here")
        else:
            self.add(build, slurm, 8, "--rate", "100mbit", "--slurm")

    def add(self, build, cases, count, *words):
        if not cases:
            return
        nodes = Nodes(count, *words)
        self.clusters.append(nodes)
        everyone = [ours(build, nodes.at_head()), Launcher(SCP, lambda ranks, short: []),
                    Launcher(SBCAST, lambda ranks, short: [])]
        for launcher in everyone:
            launcher.cluster = nodes.id
            launcher.build = build
            launcher.before = nodes.at_head()
        self.work += [(case, everyone) for case in cases]

    def close(self):
        for nodes in self.clusters:
            nodes.close()


def stage(build, full, wanted):
    return Stage(build, full, wanted)


TARGETS = [
    (tree_name(8), "of_wire", None, 1.15),
    (tree_name(8), "head_bytes", None, 1.05 * 1.05),  # with the headers of TCP, IP and Ethernet
    (tree_name(8), "cpu_s_per_GB", None, 1.5),
    (tree_name(12), "of_wire", None, 1.15),
    (MULTICAST, "of_wire", None, 1.25),
    (MULTICAST, "head_bytes", None, 1.10),
]
