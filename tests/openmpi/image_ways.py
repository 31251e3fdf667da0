#!/usr/bin/python3
"""Do programs reach nodes that lack them in deep trees of daemons, below Slurm, and by multicast? image_ways.py [NAME...]

As images.py, each check with a cluster of its own. Exit code 1: a check failed; 77: no cluster.
"""

import contextlib
import sys

sys.dont_write_bytecode = True
from battery import Place, slurm_place  # noqa: E402
from images import Home, lines_of, sent  # noqa: E402
from parts import expect  # noqa: E402

SEVEN = "--host " + ",".join(f"n{i}:1" for i in range(1, 8)) + " -n 7"
RADIX_2 = "--mca routed radix --mca routed_radix 2"
# Who a daemon's parent is: the address it was given.
PARENT = "sh -c 'tr \"\\0\" \"\\n\" < /proc/$PPID/cmdline | grep -A1 orte_parent_uri | tail -n 1'"


def runs_everywhere(problems, home, words, ranks, nodes, **more):
    """The program, and its library, run by `ranks`, having been sent to so many nodes. mpirun's stderr."""
    code, out, err = home.mpirun(f"{words} {home.app}", **more)
    expect(problems, "it runs", code == 0 and lines_of(out, "library=42") == ranks, (code, out, err))
    expect(problems, "unseen by ranks", lines_of(out, "path=(unset) preload=(unset)") == ranks, out)
    expect(problems, f"sent for {nodes} nodes", (sent(err) or (0, 0))[1] == nodes, err)
    return err


def deep_tree():
    """mpirun has two daemons below it, and so on: three levels."""
    problems = []
    with contextlib.closing(Place(nodes=7)) as place, contextlib.closing(Home(place)) as home:
        code, out, err = home.mpirun(f"{SEVEN} {RADIX_2} {PARENT}")
        parents = {line for line in out if line}
        expect(problems, "three levels: four parents", code == 0 and len(parents) == 4, (code, out, err))
        runs_everywhere(problems, home, f"{SEVEN} {RADIX_2}", 7, 7)
        # The second time every node has it.
        code, out, err = home.mpirun(f"{SEVEN} {RADIX_2} {home.app}")
        expect(problems, "and not again", code == 0 and (sent(err) or (1, 1))[1] == 0, (code, err))
    return problems


def chain_of_daemons():
    """Each daemon is started by the one before it."""
    problems = []
    with contextlib.closing(Place()) as place, contextlib.closing(Home(place)) as home:
        words = "--host n1:1,n2:1,n3:1,n4:1 -n 4 --mca routed radix --mca routed_radix 1"
        runs_everywhere(problems, home, words, 4, 4)
        home.on_nodes("rm -rf /dev/shm/rexstore-0")
        code, out, err = home.mpirun(f"{words} --preload-binary {home.app}")
        expect(problems, "--preload-binary", code == 0 and lines_of(out, "library=42") == 4, (code, out, err))
    return problems


def below_slurm():
    """srun starts the daemons."""
    problems = []
    place = slurm_place()
    if place is None:
        return []
    with contextlib.closing(place), contextlib.closing(Home(place)) as home:
        runs_everywhere(problems, home, "-n 3 --map-by node --oversubscribe", 3, 3, before="salloc -Q -N 3")
    return problems


def by_multicast():
    problems = []
    with contextlib.closing(Place()) as place, contextlib.closing(Home(place)) as home:
        words = "--host n1:1,n2:1,n3:1,n4:1 -n 4 --mca filem_rex_transport multicast"
        err = runs_everywhere(problems, home, words, 4, 4)
        expect(problems, "by multicast", "(multicast)" in err, err)
        # Each byte leaves mpirun's node once, and nobody sends it on.
        size = 8 << 20
        program = home.data_program(size)
        code, out, err = home.mpirun(f"{words} {program}")
        expect(problems, "it runs", (code, lines_of(out, "large")) == (0, 4), (code, out, err))
        expect(problems, "once", size < (sent(err) or (0, 0))[0] < size * 5 // 4, err)
    return problems


CHECKS = (deep_tree, chain_of_daemons, below_slurm, by_multicast)


def main(names):
    bad = 0
    for check in CHECKS:
        if names and check.__name__ not in names:
            continue
        problems = check()
        bad += bool(problems)
        print(f"{'FAILED' if problems else 'ok'} {check.__name__}", flush=True)
        for problem in problems:
            print(f"    {problem}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
