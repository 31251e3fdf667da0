! The same in Fortran.
program hello
  use mpi
  implicit none
  integer :: ierr, rank, nranks
  call MPI_Init(ierr)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ierr)
  call MPI_Comm_size(MPI_COMM_WORLD, nranks, ierr)
  print '(A,I0,A,I0,A)', 'Hello from rank ', rank, ' of ', nranks, ' in Fortran'
  call MPI_Finalize(ierr)
end program hello
