"""What is run under mpirun alone and under mpirun --launch-agent rexlaunch: battery.py.

@P@ is the directory of the tests' programs, @W@ an empty directory that all nodes share. Nodes are n1 to n4.
"""

import signal
from dataclasses import dataclass

H4 = "--host n1:4,n2:4,n3:4,n4:4"
MPI = "--mca pml ob1 --mca btl tcp,self,vader"


@dataclass(frozen=True)
class Case:
    name: str
    run: str                    # mpirun's words
    stdin: bytes = b""
    after: float = 0.0          # seconds to @W@/ready's appearance at most; then `then`
    then: str = ""              # a shell command in the head; $MPIRUN is mpirun's pid
    where: str = "head"         # or a node: where `then` runs
    files: bool = False         # what is below @W@/out counts, too
    prepare: str = ""           # a shell command in the head, before
    agent: str = ""             # words of --launch-agent behind rexlaunch
    expect: int | None = None   # the exit code, where the case would say nothing with another
    stock: str = ""             # other words for mpirun alone


def signal_case(name):
    """A rank that dies of it."""
    return Case(f"rank-dies-of-{name}", f"-n 4 --host n1:2,n2:2 @P@/testprog at 2 signal "
                f"{int(getattr(signal, 'SIG' + name))} else sleep 30000")


def forwarded(name):
    """A signal that mpirun passes on."""
    return Case(f"mpirun-gets-{name}", "-n 4 --host n1:2,n2:2 sh -c 'trap \"echo got it; exit 0\" "
                f"{name}; touch @W@/ready.$OMPI_COMM_WORLD_RANK; while :; do sleep 0.1; done'",
                after=20, then=f"kill -{name} $MPIRUN")


CASES = [
    Case("hostname", f"-n 8 {H4} --map-by node hostname", expect=0),
    Case("exit-0", f"-n 8 {H4} true", expect=0),
    Case("exit-7", f"-n 4 --host n1:2,n2:2 @P@/testprog at 3 exit 7 else exit 0", expect=7),
    Case("exit-of-all", "-n 4 --host n1:2,n2:2 sh -c 'exit 4'", expect=4),
    Case("mpi-hello", f"-n 8 {H4} {MPI} @P@/mpi_hello", expect=0),
    Case("mpi-ring", f"-n 6 {H4} --map-by node {MPI} @P@/mpi_ring", expect=0),
    Case("mpi-collectives", f"-n 4 --host n1:2,n2:2 {MPI} @P@/mpi_collectives"),
    Case("mpi-abort", f"-n 4 --host n1:2,n2:2 {MPI} @P@/mpi_abort"),
    Case("mpi-exit-without-finalize", f"-n 4 --host n1:2,n2:2 {MPI} @P@/mpi_quit"),
    *[signal_case(name) for name in ("HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1",
                                     "SEGV", "USR2", "PIPE", "ALRM", "TERM", "XCPU", "SYS")],
    *[forwarded(name) for name in ("USR1", "USR2", "TERM", "INT")],
    Case("timeout", "-n 4 --host n1:2,n2:2 --timeout 5 sleep 60"),
    Case("stdin-to-rank-0", "-n 4 --host n1:2,n2:2 cat", stdin=bytes(range(10, 127)) * 8000, expect=0),
    Case("stdin-to-all", "-n 3 --host n1:2,n2:2 --stdin all md5sum", stdin=b"line\n" * 50000, expect=0),
    Case("stdin-to-none", "-n 2 --host n1:2,n2:2 --stdin none cat", stdin=b"lost", expect=0),
    Case("heavy-output", "-n 4 --host n1:2,n2:2 --output-filename @W@/out:nocopy sh -c 'seq -f \"$OMPI_COMM_WORLD_RANK of "
         "%06.0f\" 20000'", files=True, expect=0),
    Case("heavy-stderr", "-n 4 --host n1:2,n2:2 --output-filename @W@/out:nocopy sh -c 'seq -f \"$OMPI_COMM_WORLD_RANK of "
         "%06.0f\" 5000 >&2'", files=True, expect=0),
    Case("last-words", "-n 2 --host n1:1,n2:1 sh -c 'printf no-newline'", expect=0),
    Case("stdout-is-a-terminal", "-n 2 --host n1:2 sh -c 'test -t 1 && stty -a; test -t 2 || echo err no; test -t 0 "
         "|| echo in no'", expect=0),
    Case("environment", "-n 4 --host n1:2,n2:2 sh -c 'env | sort'", expect=0),
    Case("-x", "-n 2 --host n1:2 -x FOO='a b' sh -c 'echo \"$FOO\"' : -n 2 --host n2:2 -x FOO=2 sh -c 'echo $FOO'",
         expect=0),
    Case("wdir", "-n 4 --host n1:2,n2:2 --wdir /usr sh -c 'pwd; echo $PWD'", expect=0),
    Case("wdir-missing", "-n 4 --host n1:2,n2:2 --wdir /nowhere hostname"),
    Case("wdir-session", "-n 2 --host n1:2 --set-cwd-to-session-dir sh -c 'basename $PWD'", expect=0),
    Case("output-filename", "-n 4 --host n1:2,n2:2 --output-filename @W@/out sh -c 'echo $OMPI_COMM_WORLD_RANK; "
         "echo err >&2'", files=True, expect=0),
    Case("tag-output", "-n 4 --host n1:2,n2:2 --tag-output hostname", expect=0),
    Case("timestamp-output", "-n 2 --host n1:2 --timestamp-output true", expect=0),
    Case("merge-stderr", "-n 2 --host n1:2 --merge-stderr-to-stdout sh -c 'echo out; echo err >&2'", expect=0),
    Case("report-bindings", "-n 4 --host n1:2,n2:2 --report-bindings --bind-to core --oversubscribe true"),
    Case("bind-core-affinity", "-n 2 --host n1:2 --bind-to core grep Cpus_allowed_list /proc/self/status", expect=0),
    Case("bind-none-affinity", "-n 2 --host n1:2 --bind-to none --report-bindings grep Cpus_allowed_list "
         "/proc/self/status", expect=0),
    Case("bind-memory", "-n 2 --host n1:2 --bind-to core --mca hwloc_base_mem_alloc_policy local_only grep "
         "Mems_allowed_list /proc/self/status", expect=0),
    Case("too-many-for-cores", "-n 6 --host n1:6 --bind-to core true"),
    Case("mpmd", f"-n 2 --host n1:2 @P@/testprog print one : -n 3 --host n2:3 @P@/testprog print two", expect=0),
    Case("mpmd-mpi", f"{MPI} -n 2 --host n1:2 @P@/mpi_hello : {MPI} -n 2 --host n2:2 @P@/mpi_hello", expect=0),
    Case("script", "-n 4 --host n1:2,n2:2 @W@/hello.sh a 'b c'",
         prepare="printf '#!/bin/sh\\necho $0 \"$@\"\\n' > @W@/hello.sh; chmod +x @W@/hello.sh", expect=0),
    Case("script-relative", "-n 4 --host n1:2,n2:2 --wdir @W@ ./hello.sh",
         prepare="printf '#!/bin/sh\\necho $0\\n' > @W@/hello.sh; chmod +x @W@/hello.sh", expect=0),
    Case("script-of-env", "-n 4 --host n1:2,n2:2 @W@/hello.py",
         prepare="printf '#!/usr/bin/env python3\\nimport sys\\nprint(sys.argv)\\n' > @W@/hello.py; "
         "chmod +x @W@/hello.py", expect=0),
    Case("script-without-interpreter", "-n 4 --host n1:2,n2:2 @W@/bad.sh",
         prepare="printf '#!/no/such/sh\\n' > @W@/bad.sh; chmod +x @W@/bad.sh"),
    Case("script-without-first-line", "-n 2 --host n1:2 @W@/plain",
         prepare="echo 'echo hello' > @W@/plain; chmod +x @W@/plain"),
    Case("not-executable", "-n 2 --host n1:2 /etc/passwd"),
    Case("missing-program", "-n 4 --host n1:2,n2:2 /no/such/program"),
    Case("missing-program-on-one-node", "-n 2 --host n1:1,n2:1 /tmp/only-on-n1",
         prepare="@ON@ n1 cp /bin/true /tmp/only-on-n1"),
    Case("missing-library", "-n 2 --host n1:2 @P@/needs_missing_library"),
    Case("static-program", "-n 4 --host n1:2,n2:2 @P@/../../libexec/rex/rexd-spawner"),
    Case("limits", "-n 2 --host n1:2 --mca opal_set_max_sys_limits core:0,filesize:unlimited sh -c 'ulimit -c; ulimit "
         "-n; ulimit -s; umask'", expect=0),
    Case("signals-of-ranks", "-n 2 --host n1:2 grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status", expect=0),
    Case("descriptors-of-ranks", "-n 2 --host n1:2 sh -c 'ls /proc/$$/fd'", expect=0),
    Case("groups-of-ranks", "-n 2 --host n1:2 sh -c 'set -- $(cat /proc/$$/stat); test $1 = $5 && echo leads its "
         "group'", expect=0),
    Case("grandchildren-end", "-n 2 --host n1:2 @P@/testprog at 0 exit 3 else grandchildren", expect=3),
    Case("spawn", f"-n 1 --host n1:4,n2:4 {MPI} @P@/mpi_spawn_self @P@/mpi_spawn_self", expect=0),
    Case("killed-rank", "-n 4 --host n1:2,n2:2 sh -c 'test $OMPI_COMM_WORLD_RANK = 3 && echo $$ > @W@/victim; touch "
         "@W@/ready.$OMPI_COMM_WORLD_RANK; exec sleep 30'", after=20, then="kill -9 $(cat @W@/victim)", where="n2"),
    Case("killed-orted", "-n 4 --host n1:2,n2:2 sh -c 'test $OMPI_COMM_WORLD_RANK = 3 && echo $PPID > @W@/victim; "
         "touch @W@/ready.$OMPI_COMM_WORLD_RANK; exec sleep 30'", after=20, then="kill -9 $(cat @W@/victim)",
         where="n2"),
    Case("killed-mpirun", "-n 2 --host n1:1,n2:1 sh -c 'touch @W@/ready.$OMPI_COMM_WORLD_RANK; exec sleep 30'",
         after=20, then="kill -9 $MPIRUN"),
    Case("no-tree-spawn", f"-n 4 {H4} --map-by node --mca plm_rsh_no_tree_spawn 1 hostname", expect=0),
    Case("deep-tree", f"-n 4 {H4} --map-by node --mca routed radix --mca routed_radix 1 hostname", expect=0),
    Case("preload-files", "-n 2 --host n1:1,n2:1 --preload-files @W@/data sh -c 'cat $OMPI_FILE_LOCATION/*'",
         prepare="echo some data > @W@/data"),
    Case("own-component-path", "-n 2 --host n1:2 --mca mca_base_component_path SYSTEM_DEFAULT:USER_DEFAULT sh -c "
         "'env | grep component_path'", expect=0),
    Case("own-odls", "-n 2 --host n1:2 --mca odls default hostname", expect=0),
    Case("own-odls-environment", "-n 2 --host n1:2 --mca odls default --mca filem raw sh -c 'env | sort'", expect=0),
    Case("own-threads", "-n 8 --host n1:8 --mca odls_base_num_threads 2 hostname", expect=0),
    Case("fork-agent", "-n 2 --host n1:2 --mca orte_fork_agent '/usr/bin/env' sh -c 'echo agent'", expect=0),
    Case("allow-no-more-processes", "-n 4 --host n1:4 sh -c 'echo $OMPI_COMM_WORLD_RANK'", agent="--rex-exec", expect=0),
    Case("ld-preload", "-n 4 --host n1:2,n2:2 -x LD_PRELOAD=/lib/x86_64-linux-gnu/libutil.so.1 sh -c 'echo $LD_PRELOAD; grep -c "
         "libutil /proc/$$/maps'", expect=0),
    Case("ld-preload-missing", "-n 2 --host n1:2 -x LD_PRELOAD=/no/such/lib.so sh -c 'echo $LD_PRELOAD'"),
    Case("hostile-name", "-n 4 --host n1:2,n2:2 \"@W@/it's a \\\"b\\\" \\$c;d.sh\" 'x y' '' '*' \"q'r\"",
         prepare="printf '#!/bin/sh\\necho \"$0\"; for a; do echo \"[$a]\"; done\\n' > \"@W@/it's a \\\"b\\\" \\$c;d.sh\"; "
         "chmod +x @W@/it*"),
    Case("hostile-wdir", "-n 2 --host n1:2 --wdir \"@W@/a b'c\" sh -c 'pwd'", prepare="mkdir -p \"@W@/a b'c\""),
    Case("hostile-environment", "-n 2 --host n1:2 -x A='b=c;d $e `f` \"g\"' -x EMPTY= sh -c 'echo \"$A\"; env | grep EMPTY'"),
    Case("many-arguments", "-n 2 --host n1:2 sh -c 'echo $#' " + " ".join(str(i) for i in range(3000))),
    Case("mpmd-script-shell-program", "-n 2 --host n1:2 @W@/s.sh one : -n 2 --host n1:2 /bin/sh -c 'echo two' : -n 2 --host "
         "n1:2 @P@/testprog print three", prepare="printf '#!/bin/sh\\necho script $1\\n' > @W@/s.sh; chmod +x @W@/s.sh"),
    Case("mpmd-one-missing", "-n 2 --host n1:2 hostname : -n 2 --host n1:2 /no/such/x"),
    Case("program-in-PATH", "-n 2 --host n1:2 -x PATH=@W@:/usr/bin:/bin tool",
         prepare="printf '#!/bin/sh\\necho tool\\n' > @W@/tool; chmod +x @W@/tool"),
    Case("option-path", "-n 2 --host n1:2 --path @W@ tool", prepare="printf '#!/bin/sh\\necho tool\\n' > @W@/tool; chmod +x @W@/tool"),
    Case("index-argv", "-n 2 --host n1:2 --index-argv-by-rank sh -c 'tr \"\\0\" \" \" < /proc/$$/cmdline'"),
    Case("setuid-program", "-n 2 --host n1:2 @W@/su", prepare="cp /usr/bin/id @W@/su; chmod 4755 @W@/su"),
    Case("directory-as-program", "-n 2 --host n1:2 @W@"),
    Case("stopped-and-continued", "-n 2 --host n1:2 sh -c '(sleep 1; kill -CONT $$) & kill -STOP $$; echo on'", expect=0),
    Case("output-after-the-end", "-n 2 --host n1:2 sh -c '(sleep 1; echo late) & echo first'"),
    Case("oversubscribe-64", "-n 64 --oversubscribe --host n1 sh -c 'sleep 0.5; echo $OMPI_COMM_WORLD_RANK'", expect=0),
    Case("plain", "-n 4 --host n1:4 hostname", agent="--rex-plain", expect=0),
]
