/* MPI_INFO_ENV and the attributes of MPI_COMM_WORLD, `name=value` a line, from each rank. */
#include <mpi.h>
#include <stdio.h>

static int rank;

static void print_info(void) {
  const char* const keys[] = {"command", "argv", "maxprocs", "soft",        "host",
                              "arch",    "wdir", "file",     "thread_level"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; ++i) {
    char value[MPI_MAX_INFO_VAL + 1];
    int found = 0;
    MPI_Info_get(MPI_INFO_ENV, keys[i], MPI_MAX_INFO_VAL, value, &found);
    printf("rank=%d info.%s=%s\n", rank, keys[i], found ? value : "(none)");
  }
}

static void print_attribute(const char* name, int key) {
  int* value = NULL;
  int found = 0;
  MPI_Comm_get_attr(MPI_COMM_WORLD, key, &value, &found);
  if (found) {
    printf("rank=%d attr.%s=%d\n", rank, name, *value);
  } else {
    printf("rank=%d attr.%s=(none)\n", rank, name);
  }
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  print_info();
  print_attribute("universe_size", MPI_UNIVERSE_SIZE);
  print_attribute("appnum", MPI_APPNUM);
  print_attribute("tag_ub", MPI_TAG_UB);
  print_attribute("wtime_is_global", MPI_WTIME_IS_GLOBAL);
  MPI_Finalize();
  return 0;
}
