#!/usr/bin/python3
"""Launch-agent mode with parts of rex missing, unfit or installed elsewhere: parts.py [NAME...]

Each check makes a tree of its own out of the build (REX_BUILD_DIR), spoils it, and runs jobs on nodes of tests/cluster.
Exit code 1: a check failed; 77: no cluster can be had here.
"""

import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from battery import BUILD, PATIENCE, ROOT, Place, run_checks, slurm_place  # noqa: E402

FILES = ("bin/rexlaunch", "lib/rex/openmpi/mca_odls_rex.so", "libexec/rex/librex_template.so", "libexec/rex/rexd-spawner",
         "lib/rex/openmpi/mca_filem_rex.so", "libexec/rex/rexd-stager")
STAGER = FILES[5]
PLUGIN = FILES[1]
OTHER_VERSION = os.path.join(BUILD, "tests", "openmpi", "other_version", "mca_odls_rex.so")
UNLOADABLE = os.path.join(BUILD, "tests", "openmpi", "unloadable", "mca_odls_rex.so")
BY_TEMPLATE = "4 ranks by template"
BY_EXEC = "4 ranks by exec"


def tree(place, *spoil):
    """A copy of what launch-agent mode needs; `spoil` are functions of its directory."""
    root = os.path.join(place.work, "rex")
    shutil.rmtree(root, ignore_errors=True)
    for name in FILES:
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        shutil.copy2(os.path.join(BUILD, name), os.path.join(root, name))
    for one in spoil:
        one(root)
    return root


def without(name):
    return lambda root: os.unlink(os.path.join(root, name))


def garbage(name):
    def spoil(root):
        with open(os.path.join(root, name), "w", encoding="utf-8") as file:
            file.write("this is no program\n")
    return spoil


def mpirun(place, words, root=None, agent="--rex-verbose", environment=None):
    """(exit code, stdout's lines sorted, stderr)"""
    command = "exec mpirun "
    if root is not None:
        command += f"--launch-agent '{root}/bin/rexlaunch {agent}' "
    done = subprocess.run(place.inside("head", command + words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=PATIENCE, env={**os.environ, **ROOT, **(environment or {})})
    return done.returncode, sorted(done.stdout.split("\n")), done.stderr


# The option itself is in the environment by mpirun's hand.
JOB = "-n 4 --host n1:4 sh -c 'echo $OMPI_COMM_WORLD_RANK; env | grep -v orte_launch_agent | grep -i -e rex -e hwloc; true'"


def expect(problems, what, condition, seen):
    if not condition:
        problems.append(f"{what}: {seen}")


def runs(place, *spoil, say="", quiet=False):
    """The job has to be what mpirun alone makes of it, and `say` in what the daemons say."""
    problems = []
    wanted = mpirun(place, JOB)
    seen = mpirun(place, JOB, tree(place, *spoil))
    expect(problems, "exit code and output", seen[:2] == wanted[:2], (seen, wanted))
    expect(problems, f"'{say}' on stderr", say in seen[2], seen[2])
    if quiet:
        expect(problems, "no births by rex", " ranks by " not in seen[2], seen[2])
    return problems


def moved_tree(place):
    return runs(place, say=BY_TEMPLATE)


def no_plugin(place):
    return runs(place, without(PLUGIN), quiet=True)


def plugin_is_garbage(place):
    return runs(place, garbage(PLUGIN), say="orted cannot load", quiet=True)


def plugin_is_cut_off(place):
    return runs(place, lambda root: os.truncate(os.path.join(root, PLUGIN), 20000), say="orted cannot load", quiet=True)


def plugin_lacks_a_symbol(place):
    # As that of another Open MPI may.
    return runs(place, lambda root: shutil.copy2(UNLOADABLE, os.path.join(root, PLUGIN)),
                say="undefined symbol: orte_of_another_version", quiet=True)


def other_components(place):
    """Chosen by the user in place of both of ours, or of the one that makes ranks."""
    problems = []
    for words in ("--mca odls default --mca filem raw", "--mca odls default", "--mca filem raw"):
        job = f"{words} {JOB}"
        wanted = mpirun(place, job)
        seen = mpirun(place, job, tree(place))
        expect(problems, words, seen[:2] == wanted[:2], (seen, wanted))
    return problems


def plugin_unreadable(place):
    return runs(place, without(PLUGIN), lambda root: os.symlink("/nowhere", os.path.join(root, PLUGIN)), quiet=True)


def no_template_library(place):
    return runs(place, without(FILES[2]), say="cannot use", quiet=True)


def template_library_is_garbage(place):
    return runs(place, garbage(FILES[2]), lambda root: os.chmod(os.path.join(root, FILES[2]), 0o755), say=BY_EXEC)


def no_spawner(place):
    return runs(place, without(FILES[3]), say="cannot use", quiet=True)


def other_version(place):
    return runs(place, lambda root: shutil.copy2(OTHER_VERSION, os.path.join(root, PLUGIN)),
                say="rex was built for Open MPI 4.0.9", quiet=True)


def garbage_for_images(place):
    # Nothing of it is needed where mpirun has no images to send.
    return runs(place, garbage(FILES[4]), garbage(STAGER), say=BY_TEMPLATE)


def all_parts_missing(place):
    return runs(place, *(without(name) for name in FILES[1:]), quiet=True)


def no_rexlaunch(place):
    problems = []
    code, _, err = mpirun(place, JOB, tree(place, without(FILES[0])))
    expect(problems, "a failed node", code != 0 and code != 124, code)
    expect(problems, "mpirun's report", "ORTE was unable to reliably start one or more daemons" in err, err)
    return problems


def wrong_word(place):
    problems = []
    code, _, err = mpirun(place, JOB, tree(place), agent="--rex-verbos")
    expect(problems, "a failed node", code != 0, code)
    expect(problems, "the word is named", "'--rex-verbos' in --launch-agent is unknown" in err, err)
    return problems


def preload_binary(place):
    """Fails in mpirun alone: were it otherwise, ours would be for nothing."""
    problems = []
    words = "-n 2 --host n1:1,n2:1 --preload-binary /tmp/hello a"
    place.run("head", f"printf '#!/bin/sh\\necho hello $1\\n' > {place.work}/hello; chmod +x {place.work}/hello")
    words = words.replace("/tmp/hello", f"{place.work}/hello")
    stock = mpirun(place, words)
    expect(problems, "mpirun alone fails", stock[0] != 0, stock)
    code, out, err = mpirun(place, words, tree(place))
    expect(problems, "it runs", (code, out) == (0, ["", "hello a", "hello a"]), (code, out, err))
    return problems


def mpirun_itself(place):
    """Ranks on mpirun's own node, with the plug-in in its path."""
    problems = []
    root = tree(place)
    paths = f"SYSTEM_DEFAULT:{root}/lib/rex/openmpi:USER_DEFAULT"
    code, out, err = mpirun(place, "-n 4 --oversubscribe --mca odls_rex_verbose 1 sh -c 'echo $OMPI_COMM_WORLD_RANK'",
                            environment={"OMPI_MCA_mca_base_component_path": paths})
    expect(problems, "it runs", (code, out) == (0, ["", "0", "1", "2", "3"]), (code, out, err))
    expect(problems, "by template", BY_TEMPLATE in err, err)
    return problems


def check_openmpi(place):
    problems = []
    for spoil, wanted, words in (((), 0, "fits: mpirun --launch-agent"), ((), 0, "mpirun does not see"),
                                 ((without(STAGER),), 0, "not sent by rex: rex's own program 'rexd-stager'"),
                                 ((without(PLUGIN),), 116, "not installed"),
                                 ((lambda root: shutil.copy2(UNLOADABLE, os.path.join(root, PLUGIN)),), 116,
                                  "does not fit: "),
                                 ((without(FILES[3]),), 116, "is missing")):
        done = subprocess.run([f"{tree(place, *spoil)}/bin/rexlaunch", "--check-openmpi"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=PATIENCE)
        expect(problems, words, done.returncode == wanted and words in done.stdout, done)
    return problems


def under_limits(place):
    """A daemon with few descriptors, with a full /dev/shm, with 200 MB, with signals ignored, in a directory that is gone."""
    problems = []
    root = tree(place)
    agent = os.path.join(place.work, "agent")
    place.run("n1", "mount -o remount,size=4k /dev/shm")
    for limit in ("ulimit -n 60", "true", "ulimit -v 200000", "umask 077; trap '' HUP TERM USR1",
                  "mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone"):
        seen = []
        for daemon in ("orted", f"{root}/bin/rexlaunch --rex-verbose"):
            with open(agent, "w", encoding="utf-8") as file:
                file.write(f'#!/bin/sh\n{limit}\nexec {daemon} "$@"\n')
            os.chmod(agent, 0o755)
            words = f"--launch-agent {agent} -n 4 --host n1:4 sh -c 'umask; ulimit -n; pwd; grep SigIgn /proc/self/status'"
            seen.append(mpirun(place, words))
        expect(problems, limit, seen[0][:2] == seen[1][:2] and seen[1][0] == 0, seen)
        expect(problems, f"{limit}: by template", BY_TEMPLATE in seen[1][2], seen[1])
    place.run("n1", "mount -o remount,size=50% /dev/shm")
    return problems


def slurm(_):
    """srun starts the daemons."""
    problems = []
    place = slurm_place()
    if place is None:
        return []
    try:
        agent = f"--launch-agent '{tree(place)}/bin/rexlaunch --rex-verbose'"
        # What daemons say is not shown with srun; whether a rank's parent has the plug-in mapped is.
        command = f"exec salloc -Q -N 2 mpirun {agent} -n 4 --oversubscribe sh -c 'grep -q mca_odls_rex " \
            "/proc/$PPID/maps && echo $OMPI_COMM_WORLD_RANK'"
        done = subprocess.run(place.inside("head", command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=PATIENCE, env={**os.environ, **ROOT})
        expect(problems, "it runs", (done.returncode, sorted(done.stdout.split())) == (0, ["0", "1", "2", "3"]), done)
    finally:
        place.close()
    return problems


CHECKS = (moved_tree, no_plugin, plugin_is_garbage, plugin_is_cut_off, plugin_lacks_a_symbol, plugin_unreadable, other_components, no_template_library, template_library_is_garbage,
          no_spawner, other_version, garbage_for_images, all_parts_missing, no_rexlaunch, wrong_word, preload_binary, mpirun_itself,
          check_openmpi, under_limits, slurm)


if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[1:]))
