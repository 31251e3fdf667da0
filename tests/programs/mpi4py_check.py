#!/usr/bin/python3
"""mpi4py: pickled objects, buffers and a collective."""
import array
import sys

from mpi4py import MPI

comm = MPI.COMM_WORLD
rank, size = comm.Get_rank(), comm.Get_size()
everyone = comm.allgather({"rank": rank, "text": "x" * rank})
good = [entry["rank"] for entry in everyone] == list(range(size))
values = array.array("d", [float(rank)] * 1000)
sums = array.array("d", [0.0] * 1000)
comm.Allreduce(values, sums, op=MPI.SUM)
good = good and all(value == size * (size - 1) / 2 for value in sums)
sys.stdout.write(f"mpi4py rank={rank} size={size} ok={int(good)}\n")
sys.stdout.flush()
sys.exit(0 if good else 1)
