! Fortran over `use mpi`: a sum over all ranks.
program mpi_fortran
  use mpi
  implicit none
  integer :: ierr, rank, nranks, total
  character(len=80) :: line
  call MPI_Init(ierr)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ierr)
  call MPI_Comm_size(MPI_COMM_WORLD, nranks, ierr)
  call MPI_Allreduce(rank, total, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD, ierr)
  write (line, '(A,I0,A,I0,A,I0)') 'fortran rank=', rank, ' size=', nranks, ' sum=', total
  print '(A)', trim(line)
  call MPI_Finalize(ierr)
end program mpi_fortran
