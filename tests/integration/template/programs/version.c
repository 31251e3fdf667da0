#include <stdio.h>
extern int library_version(void);
int main(void) {
  printf("program=%d library=%d\n", PROGRAM_VERSION, library_version());
  return 0;
}
