/* Prints where its stack's and libc's pages are: the same in all ranks of one template, different
 * in each process that was exec'ed (where addresses are random). */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  (void)argc;
  printf("address=%p,%p\n", (void*)argv, (void*)&qsort);
  return 0;
}
