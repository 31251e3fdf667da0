"""One machine: start-up of MPI programs, cost of MPI_Init, and programs that are no MPI programs."""
import os
import re

import launchers
from harness import Case
from launchers import FORK_LOOP, OURS, OURS_EXEC

BIRTHS_PHASE = re.compile(r"^births +[0-9.]+ +([0-9.]+)", re.MULTILINE)
BIRTHS_LINE = re.compile(r"births_us=(\d+)")
MEMORY_LINE = re.compile(r"memory main_private=(\d+) private=(\d+) shared=(\d+) pss=(\d+)")
PROBE_LINE = re.compile(r"probe rank=(\d+) main_us=(\d+) init_us=(\d+) cpu_us=(\d+)")


def read_probe(ranks):
    """Milliseconds from the command's start to the last rank out of MPI_Init, and what it cost."""
    def read(run):
        rows = [tuple(map(int, match)) for match in PROBE_LINE.findall(run.out)]
        if len(rows) != ranks:
            return None
        return {
            "init_ms": (max(row[2] for row in rows) - run.begin_us) / 1000,
            "main_ms": (min(row[1] for row in rows) - run.begin_us) / 1000,
            "cpu_ms_per_rank": sum(row[3] for row in rows) / len(rows) / 1000,
            "whole_ms": (run.end_us - run.begin_us) / 1000,
        }
    return read


def read_whole(lines):
    def read(run):
        if len(run.out.splitlines()) != lines:
            return None
        return {"whole_ms": (run.end_us - run.begin_us) / 1000}
    return read


def read_births(run):
    """The whole command, and of those who tell it the time from the first birth to the last."""
    metrics = {"whole_ms": (run.end_us - run.begin_us) / 1000}
    phase = BIRTHS_PHASE.search(run.err)
    line = BIRTHS_LINE.search(run.out)
    if phase:
        metrics["births_ms"] = float(phase.group(1))
    elif line:
        metrics["births_ms"] = int(line.group(1)) / 1000
    return metrics


def read_memory(ranks):
    def read(run):
        rows = [tuple(map(int, match)) for match in MEMORY_LINE.findall(run.out)]
        if len(rows) != ranks:
            return None
        return {name: sum(row[i] for row in rows) / ranks
                for i, name in enumerate(("main_KiB", "private_KiB", "shared_KiB", "pss_KiB"))}
    return read


def cases(build, full):
    programs = os.path.join(build, "tests", "programs")
    probe = {"openmpi": [os.path.join(programs, "mpi_init_probe")]}
    mpich = os.path.join(programs, "mpi_init_probe_mpich")
    if os.path.exists(mpich):
        probe["mpich"] = [mpich]
    sizes = [(1, 9, 30), (8, 7, 30), (32, 5, 60), (64, 5, 120)] + ([(128, 3, 240)] if full else [])
    found = [Case(f"MPI_Init, {ranks} ranks", ranks, probe, read_probe(ranks), rounds, limit)
             for ranks, rounds, limit in sizes]
    found.append(Case("true, 1 rank", 1, {"any": ["true"]}, read_whole(0), 15, 20, short_lived=True))
    found.append(Case("hostname, 64 ranks", 64, {"any": ["hostname"]}, read_whole(64), 7, 60,
                      short_lived=True))
    table = ["--timeline", "-"]
    bench = os.path.join(build, "tests", "bench")
    for name, program in (("births, 256 ranks", "births"),
                          ("births, 256 ranks, libraries of MPI", "births_mpi")):
        births = [os.path.join(bench, program)]
        loop = {"any": births, "loop": ["env", "FORK_LOOP=256",
                                        "LD_PRELOAD=" + os.path.join(bench, "fork_loop.so")] + births}
        found.append(Case(name, 256, loop, read_births, 9, 60, short_lived=True,
                          words={OURS: table, OURS_EXEC: table}))
    memory = os.path.join(bench, "mpi_memory")
    found.append(Case("dirty memory per rank, 32 ranks", 32, {"openmpi": [memory]}, read_memory(32), 3,
                      60, among=(OURS, OURS_EXEC)))
    return found


class Stage:
    """What a suite runs on: [(case, launchers)], why others are left out, close()."""

    def __init__(self, build, full, wanted):
        peers, self.left_out = launchers.peers(build)
        everyone = [launchers.rexlaunch(build)] + launchers.variants(build) + peers
        self.work = [(case, everyone) for case in cases(build, full) if wanted(case)]

    def close(self):
        pass


def stage(build, full, wanted):
    return Stage(build, full, wanted)


# (case, metric, peer, at least this many times ours); peer None: ours, at most this many. Below 1:
# at most 1/N times as much as the peer.
TARGETS = [
    ("MPI_Init, 1 ranks", "init_ms", "mpirun", 3.0),
    ("MPI_Init, 32 ranks", "init_ms", "mpirun", 2.2),
    ("MPI_Init, 128 ranks", "init_ms", "mpirun", 3.0),
    ("MPI_Init, 1 ranks", "init_ms", "mpirun tuned", 1.0),
    ("MPI_Init, 8 ranks", "init_ms", "mpirun tuned", 1.0),
    ("MPI_Init, 32 ranks", "init_ms", "mpirun tuned", 1.0),
    ("MPI_Init, 64 ranks", "init_ms", "mpirun tuned", 1.0),
    ("true, 1 rank", "whole_ms", "mpirun", 3.0),
    ("true, 1 rank", "whole_ms", "hydra", 1 / 2),
    ("MPI_Init, 32 ranks", "cpu_ms_per_rank", None, 30.0),
    ("births, 256 ranks", "whole_ms", "mpirun", 3.0),
    ("births, 256 ranks", "births_ms", FORK_LOOP, 1 / 1.5),
    ("births, 256 ranks, libraries of MPI", "whole_ms", "mpirun", 3.0),
    ("births, 256 ranks, libraries of MPI", "births_ms", FORK_LOOP, 1 / 1.5),
    ("dirty memory per rank, 32 ranks", "private_KiB", OURS_EXEC, 1.0),
]
