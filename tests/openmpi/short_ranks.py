#!/usr/bin/python3
"""Does a job of many short-lived ranks always end? short_ranks.py [--stock] [RUNS]

RUNS (30) jobs of 64 ranks that end at once, on one node, by mpirun --launch-agent rexlaunch; with --stock by mpirun alone,
whose hangs are only counted. A hang is a run of more than 30 s. Exit code 1: rexlaunch's hung or failed; 77: no cluster.
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
from battery import BUILD, ROOT, Place  # noqa: E402

PATIENCE = 30.0  # seconds
WAYS = {"template": "--rex-verbose", "exec": "--rex-verbose --rex-exec"}


def run(place, agent):
    """A problem, or nothing."""
    command = "exec timeout -k 2 30 mpirun --host n1:64 -n 64 "
    if agent is not None:
        command += f"--launch-agent '{BUILD}/bin/rexlaunch {WAYS[agent]}' "
    try:
        done = subprocess.run(place.inside("head", command + "true"), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=PATIENCE + 10, env={**os.environ, **ROOT})
    except subprocess.TimeoutExpired:
        return "hang"
    if done.returncode in (124, 137, -9):  # timeout(1) ends itself as its child ended
        return "hang"
    if done.returncode != 0:
        return f"exit code {done.returncode}: {done.stderr}"
    if agent is not None and f"ranks by {agent}" not in done.stderr:
        return f"not by {agent}: {done.stderr}"
    return ""


def main(words):
    runs = int(([word for word in words if word.isdigit()] or ["30"])[0])
    place = Place()
    bad = 0
    try:
        for way in [None] if "--stock" in words else list(WAYS):
            problems = [problem for problem in (run(place, way) for _ in range(runs)) if problem]
            hangs = problems.count("hang")
            print(f"{'mpirun alone' if way is None else 'rexlaunch, ' + way}: {runs} runs, {hangs} hangs, "
                  f"{len(problems) - hangs} other failures", *[p for p in problems if p != "hang"], flush=True)
            bad += len(problems) if way is not None else 0
    finally:
        place.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
