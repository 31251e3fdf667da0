import ctypes
import os
import sys


if os.environ.get("OMPI_COMM_WORLD_RANK", "0") != "0":
    sys.exit()  # one rank is enough


def text(path):
    with open(path, "rb") as file:
        return file.read()


AT_EXECFN = 31
getauxval = ctypes.CDLL(None).getauxval
getauxval.restype = ctypes.c_char_p
getauxval.argtypes = [ctypes.c_ulong]
print("execfn", getauxval(AT_EXECFN))
print("argv", sys.argv, "orig", sys.orig_argv, "executable", sys.executable)
print("comm", text("/proc/self/comm"), "exe", os.readlink("/proc/self/exe"))
print("cmdline", text("/proc/self/cmdline").split(b"\0"))
for entry in text("/proc/self/environ").split(b"\0"):
    print("env", entry.decode())
print("environ", sorted(os.environ) == sorted(
    e.split(b"=")[0].decode() for e in text("/proc/self/environ").split(b"\0") if e))
print("descriptors", sorted(int(n) for n in os.listdir("/proc/self/fd"))[:3])
print("file", os.path.basename(__file__), "cwd", os.getcwd())
