/* pmix_finalize: a rank without MPI that says `ready pid=P` after PMIx_Init, waits for the end of
 * its stdin, finalizes and exits with 0, whatever the server answers. */
#include <pmix.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
  pmix_proc_t self;
  char byte;
  if (PMIx_Init(&self, NULL, 0) != PMIX_SUCCESS) return 3;
  dprintf(1, "ready pid=%d\n", (int)getpid());
  while (read(0, &byte, 1) > 0) {
  }
  PMIx_Finalize(NULL, 0);
  return 0;
}
