// A C++ program over MPI's C interface; constructors before main, destructors after.
#include <mpi.h>

#include <iostream>
#include <numeric>
#include <sstream>
#include <vector>

namespace {
struct Session {
  Session() : ready(true) {}
  ~Session() { ready = false; }
  bool ready;
};
Session session;
}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::vector<int> ranks(static_cast<size_t>(size));
  MPI_Allgather(&rank, 1, MPI_INT, ranks.data(), 1, MPI_INT, MPI_COMM_WORLD);
  const int sum = std::accumulate(ranks.begin(), ranks.end(), 0);
  std::ostringstream line;
  line << "c++ rank=" << rank << " size=" << size << " sum=" << sum << " ready=" << session.ready
       << "\n";
  std::cout << line.str() << std::flush;
  MPI_Finalize();
  return 0;
}
