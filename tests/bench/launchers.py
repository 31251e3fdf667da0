"""The launchers that are compared: rexlaunch, and whichever peers this machine has."""
import os
import shutil
import subprocess

from harness import Launcher, first_line

OURS = "rexlaunch"
OURS_EXEC = "rexlaunch exec"  # the same without templates
FORK_LOOP = "fork loop"       # no launcher: what the births alone cost

# Frameworks whose components need a device. What rexlaunch leaves out there, "mpirun tuned" does too.
DEVICE_FRAMEWORKS = ("pml", "mtl", "btl", "osc", "coll", "opal_common_ucx")


def rexlaunch(build):
    path = os.path.join(build, "bin", "rexlaunch")
    return Launcher(OURS, lambda ranks, short: [path, "-n", str(ranks), "--oversubscribe"],
                    version=first_line([path, "--version"]))


def variants(build):
    """What else rexlaunch is compared with, not other people's launchers."""
    rex = os.path.join(build, "bin", "rexlaunch")
    return [
        Launcher(OURS_EXEC, lambda ranks, short: [rex, "--template=none", "-n", str(ranks),
                                                  "--oversubscribe"]),
        Launcher(FORK_LOOP, lambda ranks, short: [], mpi="loop", anything=False),
    ]


def device_exclusions(build):
    """[key, value] pairs of the components that rexlaunch excludes on this machine."""
    path = os.path.join(build, "bin", "rexlaunch")
    done = subprocess.run([path, "-n", "1", "env"], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, check=False)
    pairs = []
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        key = name.removeprefix("OMPI_MCA_")
        if key != name and key in DEVICE_FRAMEWORKS:
            pairs.append((key, value))
    return pairs


def mpirun_command(extra):
    def command(ranks, short_lived):
        words = ["mpirun.openmpi", "--oversubscribe"]
        if os.getuid() == 0:
            words.append("--allow-run-as-root")
        if short_lived:  # without it mpirun loses the pids of ranks that end at once, and hangs
            words += ["--mca", "odls_base_num_threads", "0"]
        return words + extra + ["-n", str(ranks)]
    return command


NO_MPIRUN = "mpirun: no mpirun.openmpi in the PATH (package openmpi-bin)"


def have_mpirun():
    return shutil.which("mpirun.openmpi") is not None


def peers(build):
    """(launchers found, [why others are left out])"""
    found, missing = [], []
    if have_mpirun():
        version = first_line(["mpirun.openmpi", "--version"])
        found.append(Launcher("mpirun", mpirun_command([]), version=version))
        pairs = {**dict(device_exclusions(build)), "pml": "ob1"}
        tuned = [word for key, value in pairs.items() for word in ("--mca", key, value)]
        found.append(Launcher("mpirun tuned", mpirun_command(tuned),
                              version=version + " " + " ".join(tuned)))
    else:
        missing.append(NO_MPIRUN)
    if shutil.which("mpiexec.hydra"):
        found.append(Launcher("hydra", lambda ranks, short: ["mpiexec.hydra", "-n", str(ranks)],
                              mpi="mpich", version=first_line(["mpichversion"])))
    else:
        missing.append("hydra: no mpiexec.hydra in the PATH (package mpich)")
    if shutil.which("srun") and os.environ.get("SLURM_JOB_ID"):
        words = ["srun", "--overlap", "--mpi=pmix", "--overcommit", "-n"]
        found.append(Launcher("srun", lambda ranks, short: words + [str(ranks)],
                              version=first_line(["srun", "--version"])))
    else:
        missing.append("srun: not inside a Slurm allocation (run this under salloc)")
    return found, missing
