"""Start failures that are provoked on purpose: what docs/troubleshooting.md shows, one place for all.

A case's `run` is a command of sh(1). In it $LAUNCH is rexlaunch or mpirun, $SSH the option that names a
remote shell command, $PROGRAMS the directory of the tests' programs, $WORK a directory of the case's own and
where it runs. `mpirun` is the command for mpirun where its options differ; None: it has nothing like it.
`before` comes first, without being shown. In clusters `on` has what is done to nodes before: (node, script).
"""

import dataclasses

HERE, CLUSTER, SLURM = "here", "cluster", "slurm"
SAME = "the same"


@dataclasses.dataclass
class Case:
    name: str
    what: str  # for people: the situation
    run: str
    mpirun: "str | None" = SAME
    before: str = ""
    place: str = HERE
    on: tuple = ()
    hide: tuple = ()  # for `cluster up`; @BUILD@ is the build directory
    faults: tuple = ()  # verbs of `cluster`


def _fake_ssh(then):
    """A remote shell command without a network: `then` is what happens for hosts named bad…"""
    return ("printf '%s\\n' '#!/bin/sh' 'host=$1; shift' 'case $host in' 'bad*) " + then +
            " ;;' esac 'exec sh -c \"$*\"' >rsh; chmod +x rsh; ")


_REFUSE = ('echo "ssh: connect to host $host port 22: Connection refused" >\\&2; exit 255').replace("\\&", "&")
_MPI = "$PROGRAMS/mpi_hello"

ONE_NODE = [
    Case("program-not-found", "The program is in no directory of PATH", "$LAUNCH -n 2 no-such-program"),
    Case("path-not-found", "The program's path does not exist", "$LAUNCH -n 2 ./no/such/program"),
    Case("second-program-not-found", "The second of two programs does not exist",
         "$LAUNCH -n 1 sleep 60 : -n 1 no-such-program"),
    Case("not-executable", "The program has no execute permission", "$LAUNCH -n 2 ./app",
         before="printf '#!/bin/sh\\n' >app"),
    Case("directory", "The program is a directory", "$LAUNCH -n 2 ./app", before="mkdir app"),
    Case("empty-file", "The program is an empty file", "$LAUNCH -n 2 ./app", before=": >app; chmod +x app"),
    Case("other-architecture", "The program is for another processor", "$LAUNCH -n 2 ./app",
         before="cp /bin/true app; printf '\\363\\000' | dd of=app bs=1 seek=18 conv=notrunc 2>/dev/null"),
    Case("missing-interpreter", "A script whose interpreter is missing", "$LAUNCH -n 2 ./script",
         before="printf '#!/no/such/interpreter\\n' >script; chmod +x script"),
    Case("missing-library", "A shared library of the program is missing",
         "$LAUNCH -n 2 $PROGRAMS/needs_missing_library"),
    Case("missing-directory", "The working directory does not exist", "$LAUNCH -n 2 --wdir /no/such/dir true"),
    Case("directory-is-file", "The working directory is a file", "$LAUNCH -n 2 --wdir /etc/passwd true"),
    Case("own-directory-gone", "The directory in which one stands was removed",
         "mkdir gone; cd gone; rmdir ../gone; $LAUNCH -n 1 true"),
    Case("no-program", "No program is named", "$LAUNCH -n 2"),
    Case("unknown-option", "An option is misspelt", "$LAUNCH --oversubscibe -n 2 true"),
    Case("bad-number", "The number of ranks is no number", "$LAUNCH -n four true"),
    Case("zero-ranks", "No ranks are wanted", "$LAUNCH -n 0 true"),
    Case("not-enough-slots", "More ranks than slots", "$LAUNCH --host localhost:2 -n 3 true"),
    Case("n-against-per-node", "-n and -N do not go together", "$LAUNCH -n 5 -N 2 true"),
    Case("hostfile-missing", "The hostfile does not exist", "$LAUNCH --hostfile nodes -n 2 true"),
    Case("hostfile-bad-line", "A line of the hostfile makes no sense", "$LAUNCH --hostfile nodes -n 2 true",
         before="printf 'localhost slots=2\\nlocalhost slots=many\\n' >nodes"),
    Case("hostfile-empty", "The hostfile names no node", "$LAUNCH --hostfile nodes -n 2 true",
         before="printf '# nobody\\n' >nodes"),
    Case("max-slots", "max_slots of the hostfile is exceeded",
         "$LAUNCH --hostfile nodes --oversubscribe -n 3 true",
         before="printf 'localhost slots=1 max_slots=2\\n' >nodes"),
    Case("relative-node", "A relative node that the hostfile does not have",
         "$LAUNCH --hostfile nodes --host +n7 -n 1 true", before="printf 'localhost slots=2\\n' >nodes"),
    Case("all-excluded", "Every node is excluded", "$LAUNCH --hostfile nodes -n 1 true",
         before="printf 'localhost slots=2\\n^localhost\\n' >nodes"),
    Case("bad-slots", "--host with slots that are no number", "$LAUNCH --host localhost:two -n 1 true"),
    Case("default-hostfile-missing", "The default hostfile does not exist",
         "$LAUNCH --default-hostfile nodes -n 1 true"),
    Case("rank-never-comes", "A rank never calls MPI_Init; the time limit ends the job",
         f"$LAUNCH --timeout 3 -n 1 {_MPI} : -n 1 sleep 60"),
    Case("rank-leaves-early", "A rank ends without MPI_Init while others wait there",
         f"$LAUNCH --timeout 20 -n 1 {_MPI} : -n 1 true"),
    Case("incomplete-installation", "A part of rex is missing on this machine",
         "inst/bin/rexlaunch -n 2 true", mpirun=None,
         before="mkdir -p inst/bin inst/libexec/rex; cp @BUILD@/bin/rexlaunch inst/bin; "
                "cp @BUILD@/libexec/rex/rexd inst/libexec/rex"),
]

ALLOCATIONS = [
    Case("slurm-list", "Slurm's node list is cut off", "SLURM_JOB_ID=7 SLURM_JOB_NODELIST='n[1-' $LAUNCH -n 2 true"),
    Case("slurm-several", "srun starts one rexlaunch for each task",
         "SLURM_JOB_ID=7 SLURM_JOB_NODELIST='n[1-2]' SLURM_TASKS_PER_NODE='1(x2)' SLURM_STEP_ID=0 "
         "SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 $LAUNCH true", mpirun=None),
    Case("slurm-heterogeneous", "A heterogeneous Slurm job",
         "SLURM_JOB_ID=7 SLURM_JOB_NODELIST=n1 SLURM_HET_SIZE=2 $LAUNCH -n 2 true", mpirun=None),
    Case("pbs-file", "PBS's node file is missing: not the job's first node",
         "PBS_JOBID=7 PBS_NODEFILE=/no/such/file PBS_ENVIRONMENT=PBS_BATCH $LAUNCH -n 2 true"),
    Case("lsf-list", "LSF's list has a count that is none", "LSB_JOBID=7 LSB_MCPU_HOSTS='a two' $LAUNCH -n 2 true",
         mpirun=None),
    Case("flux-missing", "Inside Flux, without the flux command", "FLUX_URI=local:///x $LAUNCH -n 2 true",
         mpirun=None),
    Case("host-outside", "--host names a node outside of the allocation",
         "SLURM_JOB_ID=7 SLURM_JOB_NODELIST='n[1-2]' SLURM_TASKS_PER_NODE='1(x2)' $LAUNCH --host n3 -n 1 true"),
    Case("not-inside", "--allocation slurm outside of Slurm", "$LAUNCH --allocation slurm -n 2 true", mpirun=None),
]

FAKE_SSH = [
    Case("remote-shell-missing", "The remote shell command does not exist",
         "$LAUNCH $SSH no-such-ssh --host bad1 -n 1 true"),
    Case("remote-shell-silent", "The remote shell never answers",
         "$LAUNCH $SSH ./rsh --start-timeout 2 --host good1,bad1 -n 2 true",
         mpirun="$LAUNCH $SSH ./rsh --host good1,bad1 -n 2 true", before=_fake_ssh("exec sleep 600")),
    Case("limit-while-starting", "The time limit runs out while nodes are started",
         "$LAUNCH $SSH ./rsh --timeout 2 --host good1,bad1 -n 2 true", before=_fake_ssh("exec sleep 600")),
    Case("remote-shell-dies", "The remote shell is killed",
         "$LAUNCH $SSH ./rsh --host good1,bad1 -n 2 true", before=_fake_ssh("kill -KILL $$")),
    Case("wrong-prefix", "--prefix names a directory without rex (Open MPI), which may not be sent",
         "$LAUNCH --ship-agent never $SSH ./rsh --prefix /no/such/rex --host bad1 -n 1 true",
         mpirun="$LAUNCH $SSH ./rsh --prefix /no/such/rex --host bad1 -n 1 true",
         before=_fake_ssh("exec sh -c \"$*\"")),
    Case("two-refused", "Two of three nodes refuse connections",
         "$LAUNCH $SSH ./rsh --host good1,bad1,bad2 -n 3 true", before=_fake_ssh(_REFUSE)),
    Case("missing-allowed", "A node is missing, which is allowed, and too few slots are left",
         "$LAUNCH $SSH ./rsh --allow-missing-nodes --host good1,bad1 -n 2 true", mpirun=None,
         before=_fake_ssh(_REFUSE)),
    Case("all-missing", "All nodes are missing, which is allowed",
         "$LAUNCH $SSH ./rsh --allow-missing-nodes --host bad1,bad2 -n 2 true", mpirun=None,
         before=_fake_ssh(_REFUSE)),
]

_TWO = "$LAUNCH --host n1,n2 -n 2 hostname"
_TWO_UNSENT = "$LAUNCH --ship-agent never --host n1,n2 -n 2 hostname"
_SSHD = "kill -%s $(cat /run/sshd.pid)"
_SHELL = ("sed 's|^root:.*|root:x:0:0:root:/run/lock:%s|' /etc/passwd >/run/lock/passwd; "
          "mount --bind /run/lock/passwd /etc/passwd; rm -rf /run/mount")


def _instead(path, script):
    return (f"printf '%s\\n' {script} >/run/lock/instead; chmod 755 /run/lock/instead; "
            f"mount --bind /run/lock/instead {path}; rm -rf /run/mount")


ON_NODES = [
    Case("unknown-host", "A node's name does not resolve", "$LAUNCH --host n1,nosuch -n 2 hostname"),
    Case("no-sshd", "No sshd runs on a node", _TWO, on=(("n2", _SSHD % "TERM"),)),
    Case("changed-host-key", "A node was installed anew and has another host key",
         "$LAUNCH $SSH 'ssh -o UserKnownHostsFile=$WORK/known' --host n2 -n 1 hostname",
         before="ssh-keygen -q -t ed25519 -N '' -f other; printf 'n2 ' | cat - other.pub >known"),
    Case("unknown-host-key", "A node's host key is not known",
         "$LAUNCH $SSH 'ssh -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes' --host n2 -n 1 hostname"),
    Case("no-key", "No key of the user's is accepted", "$LAUNCH $SSH 'ssh -l nobody' --host n2 -n 1 hostname"),
    Case("sshd-hangs", "A node's sshd does not answer", "$LAUNCH --start-timeout 3 --host n1,n2 -n 2 hostname",
         mpirun=_TWO, on=(("n2", _SSHD % "STOP"),)),
    Case("node-silent", "A node is cut off: no packet comes back",
         "$LAUNCH --start-timeout 3 --host n1,n2 -n 2 hostname", mpirun=_TWO, faults=("blackhole n2",)),
    Case("node-dead", "A node's power is off", "$LAUNCH --start-timeout 5 --host n1,n2 -n 2 hostname",
         mpirun=_TWO, faults=("kill n2",)),
    Case("rex-missing", "rex (Open MPI) is not installed on a node, and may not be sent", _TWO_UNSENT, mpirun=_TWO,
         hide=("n2:@BUILD@/libexec", "n2:/usr/bin/orted")),
    Case("part-missing", "A part of rex is missing on a node, and may not be sent", _TWO_UNSENT, mpirun=None,
         on=(("n2", _instead("@BUILD@/libexec/rex/rexd-agent", "''") + "; chmod 644 /run/lock/instead"),)),
    Case("other-version", "Another version of rex is on a node", _TWO, mpirun=None,
         on=(("n2", _instead("@BUILD@/libexec/rex/rexd",
                             "'#!/bin/sh' \"printf '\\\\036rex-join 0.0.7\\\\n'; exec cat >/dev/null\"")),)),
    Case("no-login", "The account may not log in on a node", _TWO, on=(("n2", _SHELL % "/usr/sbin/nologin"),)),
    Case("shell-fails", "The login shell on a node does not exist", _TWO,
         on=(("n2", _SHELL % "/no/such/shell"),)),
    Case("program-on-one-node", "The program is missing on one node", "$LAUNCH --host n1,n2 -n 2 /run/lock/app",
         on=(("n1", "cp /bin/true /run/lock/app"),)),
    Case("directory-on-one-node", "The working directory is missing on one node",
         "$LAUNCH --host n1,n2 --wdir /run/lock/dir -n 2 true", on=(("n1", "mkdir /run/lock/dir"),)),
    Case("library-on-one-node", "A library of the program is missing on one node, and may not be sent",
         f"$LAUNCH --stage=never --host n1,n2 -n 2 {_MPI}", mpirun=f"$LAUNCH --host n1,n2 -n 2 {_MPI}", hide=("n2:/usr/lib/x86_64-linux-gnu/libmpi.so.40",)),
]

_IN_SLURM = "salloc -Q -N2 --ntasks-per-node=1 sh -c '%s'"

IN_SLURM = [
    Case("slurm-rex-missing", "Under Slurm: rex (Open MPI) is not installed on a node",
         _IN_SLURM % "$LAUNCH hostname", hide=("n2:@BUILD@/libexec", "n2:/usr/bin/orted")),
    Case("slurm-dead-slurmd", "Under Slurm: a node's slurmd has died",
         _IN_SLURM % "kill -KILL $(pgrep -f \"^slurmd .*-N n2 .*@ID@\"); exec $LAUNCH hostname"),
    Case("slurm-no-munge", "Under Slurm: munge does not run",
         "SLURM_JOB_ID=1 SLURM_JOB_NODELIST='n[1-2]' SLURM_TASKS_PER_NODE='1(x2)' $LAUNCH hostname",
         before="rm -f /run/munge/munge.socket.2"),
    Case("slurm-old-job", "Under Slurm: the allocation has ended",
         "SLURM_JOB_ID=77 SLURM_JOB_NODELIST='n[1-2]' SLURM_TASKS_PER_NODE='1(x2)' $LAUNCH hostname"),
]

for _case in ON_NODES:
    _case.place = CLUSTER
for _case in IN_SLURM:
    _case.place = SLURM

GROUPS = [
    ("Programs, directories and the command line", ONE_NODE),
    ("Allocations of resource managers", ALLOCATIONS),
    ("Remote shells", FAKE_SSH),
    ("Nodes", ON_NODES),
    ("Slurm", IN_SLURM),
]
