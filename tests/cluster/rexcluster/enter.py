"""Running a command inside a node, without ssh.

In the head the command replaces this process, so its pid is the caller's child. A node has a pid
namespace, which only a child can enter: this process stays, passes signals on and ends as the
command did.
"""

import os
import signal
import sys

from . import slurm, system
from .store import HEAD

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_SHARED_WITH_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # the command gets them from there, too


def run(cluster, name, argv):
    """Returns the command's exit code, or does not return."""
    pid = cluster.pid(name)
    directory = os.getcwd()
    _join_cpuset(cluster, name)
    os.sched_setaffinity(0, os.sched_getaffinity(pid))
    flags = system.CLONE_NEWNET | system.CLONE_NEWUTS | system.CLONE_NEWNS
    if name != HEAD:
        flags |= system.CLONE_NEWIPC | system.CLONE_NEWPID | system.CLONE_NEWCGROUP
    target = os.pidfd_open(pid)
    system.setns(target, flags)
    os.close(target)
    _change_to(directory)
    os.environ.update(slurm.environment(cluster))
    if name == HEAD:
        _execute(argv)
    _forget_missing_tmpdir()
    return _run_child(argv)


def _join_cpuset(cluster, name):
    tasks = os.path.join(cluster.cpuset_dir(), name, "tasks")
    if os.path.exists(tasks):
        with open(tasks, "w", encoding="ascii") as file:
            file.write(str(os.getpid()))


def _change_to(directory):
    """Private directories of the caller's do not exist in a node."""
    try:
        os.chdir(directory)
    except OSError:
        os.chdir("/")


def _forget_missing_tmpdir():
    if not os.path.isdir(os.environ.get("TMPDIR", "/")):
        del os.environ["TMPDIR"]


def _execute(argv):
    for signo in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(signo, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"cluster: {argv[0]}: {error.strerror}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(126 if isinstance(error, PermissionError) else 127)


def _run_child(argv):
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        system.die_with_parent(signal.SIGKILL)
        _execute(argv)
    for signo in _SHARED_WITH_TERMINAL:
        signal.signal(signo, signal.SIG_IGN)
    for signo in _PASSED_ON:
        signal.signal(signo, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    return _end_as(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _end_as(code):
    if code >= 0:
        return code
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code
