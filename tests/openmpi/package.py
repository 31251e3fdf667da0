#!/usr/bin/python3
"""Does a plain `mpirun --launch-agent rexlaunch` find all of rex once the Debian package is installed?

The package is made, and its content laid over /usr of a cluster's head and nodes (overlay mounts in their own mount
namespaces): nothing of this machine changes. Exit code 77: no cluster, no cpack, or no overlay mounts here.
"""

import glob
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from battery import BUILD, PATIENCE, ROOT, Place  # noqa: E402
from parts import expect  # noqa: E402

CANNOT_HERE = 77
PREFIX_SEEN = "programs that nodes lack: sent by /usr/lib/"


def make_package(into):
    """The content's root, or None."""
    if shutil.which("cpack") is None or shutil.which("dpkg-deb") is None:
        return None
    subprocess.run(["cpack", "-G", "DEB", "--config", f"{BUILD}/CPackConfig.cmake", "-B", into], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=600)
    root = os.path.join(into, "root")
    subprocess.run(["dpkg-deb", "-x", *glob.glob(f"{into}/*.deb"), root], check=True, timeout=600)
    return root


def inside(place, node, command):
    return subprocess.run(place.inside(node, command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=PATIENCE, env={**os.environ, **ROOT})


def install(place, root):
    return all(inside(place, node, f"mount -t overlay overlay -o lowerdir={root}/usr:/usr /usr").returncode == 0
               for node in ("head", "n1", "n2"))


def check(place):
    problems = []
    done = inside(place, "head", "rexlaunch --check-openmpi")
    expect(problems, "it fits", done.returncode == 0 and PREFIX_SEEN in done.stdout, done)
    home = f"/tmp/package-{os.getpid()}"
    shutil.copytree(os.path.join(BUILD, "tests", "programs", "image"), home)
    try:
        words = f"--host n1:2,n2:2 -n 4 {home}/bin/image_app"
        done = inside(place, "head", f"exec mpirun --launch-agent 'rexlaunch --rex-verbose' {words}")
        expect(problems, "it runs", done.returncode == 0 and done.stdout.count("library=42") == 4, done)
        expect(problems, "by template", "2 ranks by template" in done.stderr, done)
        expect(problems, "sent by rex", "bytes sent for 2 nodes" in done.stderr, done)
        # The component lies there for everybody, and says nothing to who did not ask.
        done = inside(place, "head", "exec mpirun --mca filem_base_verbose 10 --host n1:2,n2:2 -n 4 hostname")
        expect(problems, "idle without rexlaunch", done.returncode == 0 and "Selected component [raw]" in done.stderr and
               "Selected component [rex]" not in done.stderr, done)
    finally:
        shutil.rmtree(home)
    return problems


def main():
    place = Place()
    try:
        root = make_package(os.path.join(place.work, "package"))
        if root is None or not install(place, root):
            print("no cpack, or no overlay mounts here")
            return CANNOT_HERE
        problems = check(place)
    finally:
        place.close()
    print("FAILED" if problems else "ok")
    for problem in problems:
        print(f"    {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
