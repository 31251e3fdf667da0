// A program with a library of its own beside it (RUNPATH $ORIGIN/../lib), and a plug-in there that
// it opens by itself. Says what it is and what it sees. With arguments: sleeps so many ms first,
// and so many when it has opened the plug-in.
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int image_library(void);

static int OpenPlugin(void) {
  void* plugin = dlopen("libimage_plugin.so", RTLD_NOW);
  if (plugin == NULL) fprintf(stderr, "%s\n", dlerror());
  int (*function)(void) = plugin != NULL ? (int (*)(void))dlsym(plugin, "image_plugin") : NULL;
  return function != NULL ? function() : -1;
}

static const char* Show(const char* name) {
  const char* value = getenv(name);
  return value != NULL ? value : "(unset)";
}

int main(int argc, char** argv) {
  char exe[4096] = {0};
  char host[256] = {0};
  if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0 || gethostname(host, sizeof host - 1) < 0)
    return 3;
  if (argc > 1) usleep(1000 * atoi(argv[1]));
  printf("on=%s library=%d plugin=%d name=%s exe=%s path=%s preload=%s\n", host, image_library(),
         OpenPlugin(), argv[0], exe, Show("LD_LIBRARY_PATH"), Show("LD_PRELOAD"));
  fflush(stdout);
  if (argc > 2) usleep(1000 * atoi(argv[2]));
  return 0;
}
