"""In a running DVM: one rank of a program that does nothing, the whole command, against launchers that start everything; and many at once."""
import os
import shutil
import subprocess
import sys
import tempfile

import launchers
from harness import Case, Launcher
from launchers import OURS

ALONE = "rexlaunch alone"  # the same without the DVM
AMONG = [OURS, ALONE, "mpirun"]


DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "drivers.py")
SHELLS, EACH = 8, 25


def read_numbers(run):
    return {name: float(number) for name, number in (line.split("=") for line in run.out.split())}


def read_whole(run):
    return {"whole_ms": (run.end_us - run.begin_us) / 1000}


class Stage:
    """What a suite runs on: [(case, launchers)], why others are left out, close()."""

    def __init__(self, build, full, wanted):
        self.ctl = os.path.join(build, "bin", "rexctl")
        rexlaunch = os.path.join(build, "bin", "rexlaunch")
        self.tmp = tempfile.mkdtemp(prefix="rexbench-dvm-")
        # Runs have a TMPDIR of their own, where this DVM would not be found.
        self.env = {**os.environ, "TMPDIR": self.tmp}
        subprocess.run([self.ctl, "start"], env=self.env, check=True, stdout=subprocess.DEVNULL, timeout=60)
        peers, left_out = launchers.peers(build)
        self.left_out = [why for why in left_out if why.startswith("mpirun")]
        everyone = [Launcher(OURS, lambda ranks, short: [rexlaunch, "--dvm", "default", "-n", str(ranks)],
                             env={"TMPDIR": self.tmp}, version=launchers.rexlaunch(build).version, stays=True),
                    Launcher(ALONE, lambda ranks, short: [rexlaunch, "--dvm", "none", "-n", str(ranks)])]
        everyone += [peer for peer in peers if peer.name in AMONG]
        rounds = 60 if full else 30
        case = Case("true in a DVM", 1, {"openmpi": ["true"]}, read_whole, rounds, 30, short_lived=True, among=AMONG)
        # Of rexlaunch alone: mpirun starts no DVM that stays.
        launch = [sys.executable, DRIVER, "shells", "--shells", str(SHELLS), "--each", str(EACH), "--", rexlaunch,
                  "--dvm", "default", "-n", "1"]
        shells = Launcher(OURS, lambda ranks, short: launch, env={"TMPDIR": self.tmp}, stays=True)
        many = Case(f"{SHELLS * EACH} launches from {SHELLS} shells", 1, {"openmpi": ["echo", "launched"]},
                    read_numbers, 5, 120, among=[OURS])
        self.work = [(c, l) for c, l in [(case, everyone), (many, [shells])] if wanted(c)]

    def close(self):
        subprocess.run([self.ctl, "stop"], env=self.env, check=False, stdout=subprocess.DEVNULL, timeout=100)
        shutil.rmtree(self.tmp, ignore_errors=True)


def stage(build, full, wanted):
    return Stage(build, full, wanted)


# Case, metric, peer (None: ours alone), at least so many times ours, or at most so much.
TARGETS = [
    ("true in a DVM", "whole_ms", "mpirun", 10.0),
    ("true in a DVM", "whole_ms", None, 15.0),
    (f"{SHELLS * EACH} launches from {SHELLS} shells", "lost", None, 0.0),
]
