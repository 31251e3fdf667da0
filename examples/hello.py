#!/usr/bin/python3
"""The same in Python: importing mpi4py.MPI initialises MPI, leaving Python finalizes it."""
from mpi4py import MPI

comm = MPI.COMM_WORLD
print(f"Hello from rank {comm.Get_rank()} of {comm.Get_size()} in Python", flush=True)
