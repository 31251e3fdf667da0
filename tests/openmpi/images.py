#!/usr/bin/python3
"""Do programs reach nodes that lack them, once, by mpirun --launch-agent rexlaunch? images.py [NAME...]

mpirun gets mca_filem_rex.so by its component path, nodes by rexlaunch. Programs are in the head's /tmp, which nodes of
tests/cluster don't see. Exit code 1: one check failed; 77: no cluster.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from battery import BUILD, PATIENCE, ROOT, run_checks  # noqa: E402
from parts import expect, tree  # noqa: E402

NODES = "--host n1:2,n2:2,n3:2"
STORE = "rm -rf /dev/shm/rexstore-0"


class Home:
    """A directory that only the head has, and an mpirun with rex in it."""

    def __init__(self, place):
        self.place = place
        self.path = f"/tmp/images-{os.getpid()}"
        self.root = tree(place)
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(os.path.join(BUILD, "tests", "programs", "image"), self.path)
        self.app = f"{self.path}/bin/image_app"

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def copy_to(self, node):
        """`node` has the directory, too."""
        pack = f"{self.place.work}/pack.tar"
        self.place.run("head", f"tar -C / -cf {pack} {self.path[1:]}")
        self.place.run(node, f"tar -C / -xf {pack}")

    def data_program(self, size):
        """A script of that size, as no two blocks of it are equal."""
        path = f"{self.path}/large"
        with open(path, "wb") as file:
            file.write(b"#!/bin/sh\necho large\nexit 0\n" + os.urandom(size))
        os.chmod(path, 0o755)
        return path

    def mpirun(self, words, *, agent="--rex-verbose", environment=None, component=True, before=""):
        """(exit code, stdout's lines sorted, stderr); `before`: what starts mpirun"""
        paths = {"OMPI_MCA_mca_base_component_path": f"SYSTEM_DEFAULT:{self.root}/lib/rex/openmpi:USER_DEFAULT"}
        command = f"cd /; exec {before} mpirun --launch-agent '{self.root}/bin/rexlaunch {agent}' {words}"
        done = subprocess.run(self.place.inside("head", command), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=PATIENCE,
                              env={**os.environ, **ROOT, **(paths if component else {}), **(environment or {})})
        return done.returncode, sorted(done.stdout.split("\n")), done.stderr

    def on_nodes(self, command):
        for node in ("n1", "n2", "n3", "n4"):
            self.place.run(node, command)


def sent(err):
    """Bytes that left mpirun's node, and for how many nodes; or None."""
    found = re.search(r"image: .*?(\d+) bytes sent(?: for (\d+) nodes)?", err)
    return (int(found[1]), int(found[2] or 0)) if found else None


def lines_of(out, text):
    return sum(text in line for line in out)


def everywhere(home):
    """Program, library: to three nodes, once; the second time nothing; ranks see nothing of it."""
    problems = []
    home.on_nodes(STORE)
    for way in ("--rex-verbose", "--rex-verbose --rex-exec"):
        code, out, err = home.mpirun(f"{NODES} -n 6 {home.app}", agent=way)
        expect(problems, "it runs", code == 0 and lines_of(out, "library=42") == 6, (code, out, err))
        expect(problems, "unseen by ranks", lines_of(out, "path=(unset) preload=(unset)") == 6, out)
        expect(problems, "named as typed", lines_of(out, f"name={home.app} ") == 6, out)
        wanted = "by exec" if "exec" in way else "2 ranks by template"
        expect(problems, wanted, wanted in err, err)
        nodes = 3 if way == "--rex-verbose" else 0
        counted = sent(err)
        expect(problems, f"sent for {nodes} nodes", counted is not None and counted[1] == nodes and
               (counted[0] > 0) == (nodes > 0), err)
    return problems


def environment_is_clean(home):
    problems = []
    script = f"{home.path}/script"
    with open(script, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nenv | grep -v -e orte_launch_agent -e component_path | grep -i rex\n"
                   "ls /dev/shm | grep -c rex-\nexit 0\n")
    os.chmod(script, 0o755)
    code, out, err = home.mpirun(f"--host n1:1 -n 1 {script}")
    expect(problems, "nothing but the script's own directory", (code, out) == (0, ["", "1"]), (code, out, err))
    left = subprocess.run(home.place.inside("n1", "sleep 1; ls -d /dev/shm/rex-* /tmp/rex-* 2>/dev/null | wc -l"),
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    expect(problems, "nothing is left", left.stdout.strip() == "0", left.stdout)
    return problems


def only_who_lacks_it(home):
    """n2 has it already."""
    problems = []
    home.on_nodes(STORE)
    home.copy_to("n2")
    code, out, err = home.mpirun(f"{NODES} -n 6 {home.app}")
    home.place.run("n2", f"rm -r {home.path}")
    expect(problems, "it runs", code == 0 and lines_of(out, "library=42") == 6, (code, out, err))
    expect(problems, "in place on n2", lines_of(out, f"exe={home.app} ") == 2, out)
    expect(problems, "sent for two", (sent(err) or (0, 0))[1] == 2, err)
    return problems


def chain_carries_it(home):
    """Each byte leaves mpirun's node once, not once for each node."""
    problems = []
    home.on_nodes(STORE)
    size = 8 << 20
    program = home.data_program(size)
    code, out, err = home.mpirun(f"{NODES} -n 3 --map-by node {program}")
    expect(problems, "it runs", (code, lines_of(out, "large")) == (0, 3), (code, out, err))
    bytes_sent = (sent(err) or (0, 0))[0]
    expect(problems, "once", size < bytes_sent < size * 5 // 4, err)
    return problems


def preload_binary(home):
    problems = []
    home.on_nodes(STORE)
    code, out, err = home.mpirun(f"{NODES} -n 3 --map-by node --preload-binary {home.app}")
    expect(problems, "it runs", code == 0 and lines_of(out, "library=42") == 3, (code, out, err))
    expect(problems, "by rex", (sent(err) or (0, 0))[1] == 3, err)
    return problems


def preload_files(home):
    """Stock's, in the session directory, beside a program of ours."""
    problems = []
    data = f"{home.path}/data.txt"
    with open(data, "w", encoding="utf-8") as file:
        file.write("user's file\n")
    words = f"--host n1:1,n2:1 -n 2 --preload-files {data} sh -c 'find /tmp/ompi.* -name data.txt -type f | wc -l'"
    code, out, err = home.mpirun(words)
    expect(problems, "it is there", (code, out) == (0, ["", "1", "1"]), (code, out, err))
    return problems


def mpirun_without(home):
    """Stock mpirun, rex on the nodes: as without."""
    problems = []
    code, _, err = home.mpirun(f"--host n1:1 -n 1 {home.app}", component=False)
    expect(problems, "not found, as ever", code != 0 and "was unable" in err, (code, err))
    script = f"{home.path}/small"
    with open(script, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho small\n")
    os.chmod(script, 0o755)
    code, out, err = home.mpirun(f"--host n1:1,n2:1 -n 2 --preload-binary {script}", component=False)
    expect(problems, "raw's transfer", (code, out) == (0, ["", "small", "small"]), (code, out, err))
    return problems


def a_node_without(home):
    """n2's daemon lacks the component: the job runs there with what n2 has, and elsewhere by rex."""
    problems = []
    home.on_nodes(STORE)
    home.copy_to("n2")
    wrapper = f"{home.root}/bin/rexlaunch"
    os.rename(wrapper, f"{wrapper}.real")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n[ $(hostname) != n2 ] && exec {wrapper}.real \"$@\"\nshift\n"
                   "for word; do shift; case $word in *lib/rex*) word=SYSTEM_DEFAULT;; esac; set -- \"$@\" \"$word\"; "
                   "done\nexec orted \"$@\"\n")
    os.chmod(wrapper, 0o755)
    code, out, err = home.mpirun(f"{NODES} -n 6 {home.app}")
    home.place.run("n2", f"rm -r {home.path}")
    os.rename(f"{wrapper}.real", wrapper)
    expect(problems, "it runs", code == 0 and lines_of(out, "library=42") == 6, (code, out, err))
    expect(problems, "without rex on n2", "2 of 3 nodes take programs by rex" in err, err)
    expect(problems, "sent for two", (sent(err) or (0, 0))[1] == 2, err)
    return problems


def damaged_piece(home):
    problems = []
    home.on_nodes(STORE)
    program = home.data_program(3 << 20)
    code, out, err = home.mpirun(f"{NODES} -n 3 --map-by node {program}", environment={"REX_IMAGE_FAULT": "n1:damage=5"})
    expect(problems, "it runs", (code, lines_of(out, "large")) == (0, 3), (code, out, err))
    expect(problems, "and was noticed", re.search(r"n1: .*, 1 damaged pieces", err) is not None, err)
    return problems


def full_disk(home):
    problems = []
    program = home.data_program(6 << 20)
    home.on_nodes("mkdir -p /var/tmp/small && mount -t tmpfs -o size=64m tmpfs /var/tmp/small")
    home.place.run("n2", "mount -o remount,size=2m /var/tmp/small")
    words = f"{NODES} -n 3 --map-by node --mca filem_rex_store /var/tmp/small"
    code, _, err = home.mpirun(f"{words} {program}")
    expect(problems, "the node is named", code != 0 and "n2 can't be given the program" in err, (code, err))
    expect(problems, "and ORTE says what follows", "was unable" in err, err)
    code, _, err = home.mpirun(f"{words} --preload-binary {program}")
    expect(problems, "--preload-binary fails", code != 0 and "n2 can't be given the program" in err, (code, err))
    home.on_nodes("umount /var/tmp/small")
    return problems


def unreadable_file(home):
    problems = []
    code, out, err = home.mpirun("--host n1:1 -n 1 --preload-binary /no/such/program")
    expect(problems, "an error", code != 0 and "/no/such/program" in err, (code, out, err))
    program = f"{home.path}/locked"
    shutil.copy2("/bin/true", program)
    library = f"{home.path}/lib/libimage_library.so"
    os.rename(library, library + ".away")
    os.mkdir(library)
    code, out, err = home.mpirun(f"--host n1:1 -n 1 --preload-binary {home.app}")
    os.rmdir(library)
    os.rename(library + ".away", library)
    expect(problems, "no hang, an error", code not in (0, 124), (code, out, err))
    return problems


def stager_killed(home):
    """On a node, and mpirun's, while all wait for pieces."""
    problems = []
    for node in ("n1", "head"):
        home.on_nodes(STORE)
        program = home.data_program(3 << 20)
        paths = {"OMPI_MCA_mca_base_component_path": f"SYSTEM_DEFAULT:{home.root}/lib/rex/openmpi:USER_DEFAULT",
                 "REX_IMAGE_FAULT": "*:mute=3"}
        command = f"exec mpirun --launch-agent '{home.root}/bin/rexlaunch --rex-verbose' {NODES} -n 3 --map-by node {program}"
        process = subprocess.Popen(home.place.inside("head", command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env={**os.environ, **ROOT, **paths})
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            done = subprocess.run(home.place.inside(node, "kill -9 $(pidof rexd-stager)"), capture_output=True,
                                  text=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode == 0:
                break
            time.sleep(0.02)
        try:
            _, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            _, err = process.communicate()
            problems.append(f"{node}: a hang")
        wanted = "n1 can't be given the program" if node == "n1" else "rexd-stager: it has ended"
        expect(problems, f"{node}: {wanted}", wanted in err, err)
        expect(problems, f"{node}: ends with an error", process.returncode not in (0, None), err)
    return problems


CHECKS = (everywhere, environment_is_clean, only_who_lacks_it, chain_carries_it, preload_binary, preload_files,
          mpirun_without, a_node_without, damaged_piece, full_disk, unreadable_file, stager_killed)


if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[1:], lambda place: contextlib.closing(Home(place))))
