"""Namespaces, mounts and process facts: thin, each call raises OSError that says what failed."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_NOSUID = 2
MS_NODEV = 4
MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _bytes(text):
    return None if text is None else os.fsencode(text)


def unshare(flags):
    _check(_libc.unshare(flags), "unshare(2)")


def setns(fd, flags):
    _check(_libc.setns(fd, flags), "setns(2)")


def mount(source, target, kind=None, flags=0, data=None):
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(data))
    _check(result, f"mount {source or kind} on {target}")


def unmount(target):
    _check(_libc.umount2(_bytes(target), MNT_DETACH), f"unmount {target}")


def set_hostname(name):
    encoded = os.fsencode(name)
    _check(_libc.sethostname(encoded, len(encoded)), "sethostname(2)")


def die_with_parent(signo):
    """The parent's death sends `signo` to this process; the first process of a pid namespace
    can be killed this way too, its parent being outside."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signo, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def set_process_name(name):
    """What ps(1) and top(1) call this process; 15 bytes at most."""
    _check(_libc.prctl(_PR_SET_NAME, _bytes(name), 0, 0, 0), "prctl(PR_SET_NAME)")


def start_time(pid):
    """Clock ticks since boot at which `pid` started; 0 when there is no such process, or only its
    remains. Together with the pid it names one process for ever."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def namespace(pid, kind):
    """An identity of the namespace `kind` ("net", "pid") of `pid`; None when it can't be seen."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
