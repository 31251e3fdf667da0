/* Starts a thread while it is relocated, before any constructor: from an IFUNC's resolver, which
 * may use system calls only. */
#include <sched.h>
#include <sys/syscall.h>

static char stack[4096] __attribute__((aligned(16)));
static int answer(void) { return 0; }

static void start_thread(void) {
#if defined(__x86_64__)
  const unsigned long flags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  register long r10 __asm__("r10") = 0;
  register long r8 __asm__("r8") = 0;
  long result;
  __asm__ volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 2f\n"
      "1: mov %[pause], %%eax\n"
      "syscall\n"
      "jmp 1b\n"
      "2:\n"
      : "=a"(result)
      : "a"((long)SYS_clone), "D"(flags), "S"(stack + sizeof stack), "d"(0L), "r"(r10),
        "r"(r8), [pause] "i"(SYS_pause)
      : "rcx", "r11", "memory");
#endif
}
static int (*resolve(void))(void) {
  start_thread();
  return answer;
}
int thread_answer(void) __attribute__((ifunc("resolve")));
