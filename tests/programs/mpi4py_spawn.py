#!/usr/bin/python3
"""mpi4py: N copies of itself, which send their ranks to the parent."""
import sys

from mpi4py import MPI

parent = MPI.Comm.Get_parent()
if parent == MPI.COMM_NULL:
    count = int(sys.argv[1])
    children = MPI.COMM_SELF.Spawn(sys.executable, [sys.argv[0]], count)
    print("parent gathered", children.gather(None, root=MPI.ROOT), flush=True)
    children.Disconnect()
else:
    parent.gather(MPI.COMM_WORLD.Get_rank(), root=0)
    parent.Disconnect()
