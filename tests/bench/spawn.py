"""MPI_Comm_spawn on one machine: 1, 8 and 32 children of the same program, a first time and once more."""
import os
import re

import launchers
from harness import Case
from launchers import OURS

SPAWN_LINE = re.compile(r"spawn first_us=(\d+) second_us=(\d+)")
AMONG = [OURS, "mpirun", "mpirun tuned"]


def read_spawn(run):
    """Milliseconds in MPI_Comm_spawn, which ends when parents and children have met; and of all."""
    line = SPAWN_LINE.search(run.out)
    if not line:
        return None
    return {
        "first_ms": int(line.group(1)) / 1000,
        "second_ms": int(line.group(2)) / 1000,
        "whole_ms": (run.end_us - run.begin_us) / 1000,
    }


def cases(build, full):
    program = os.path.join(build, "tests", "bench", "spawn_children")
    sizes = [(1, 9, 30), (8, 7, 60), (32, 5, 120)] + ([(64, 3, 240)] if full else [])
    return [Case(f"spawn of {count}", 1, {"openmpi": [program, str(count)]}, read_spawn, rounds, limit,
                 among=AMONG)
            for count, rounds, limit in sizes]


class Stage:
    """What a suite runs on: [(case, launchers)], why others are left out, close()."""

    def __init__(self, build, full, wanted):
        peers, left_out = launchers.peers(build)
        self.left_out = [why for why in left_out if why.startswith("mpirun")]
        everyone = [l for l in [launchers.rexlaunch(build)] + peers if l.name in AMONG]
        self.work = [(case, everyone) for case in cases(build, full) if wanted(case)]

    def close(self):
        pass


def stage(build, full, wanted):
    return Stage(build, full, wanted)


# Case, metric, peer, at least so many times ours.
TARGETS = [
    ("spawn of 1", "first_ms", "mpirun", 1.0),
    ("spawn of 32", "first_ms", "mpirun", 2.0),
]
