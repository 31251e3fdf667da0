/* The parts of `testprog`, one plain program (no MPI) with a verb for each thing a rank can do to
 * its launcher. testprog.c has the table of verbs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef int (*verb_fn)(int argc, char** argv); /* argv[0] is the verb; the result is exit code */

int my_rank(void); /* OMPI_COMM_WORLD_RANK, else PMIX_RANK, else 0 */
int my_size(void);
/* The word `index`, or `missing` when there are fewer. */
long number_arg(int argc, char** argv, int index, long missing);
void sleep_ms(long ms);
void write_all(int fd, const void* bytes, size_t size); /* ends the process on an error */

#define FNV_START 0xcbf29ce484222325ull
uint64_t fnv(uint64_t hash, const unsigned char* bytes, size_t size);

int run_verb(int argc, char** argv);

/* testprog_io.c */
int verb_print(int argc, char** argv);
int verb_binary(int argc, char** argv);
int verb_pattern(int argc, char** argv);
int verb_lines(int argc, char** argv);
int verb_both(int argc, char** argv);
int verb_prompt(int argc, char** argv);
int verb_stdin_cat(int argc, char** argv);
int verb_stdin_hash(int argc, char** argv);
int verb_stdin_first(int argc, char** argv);
int verb_close_stdin(int argc, char** argv);
int verb_close_stdout(int argc, char** argv);

/* testprog_process.c */
int verb_exit(int argc, char** argv);
int verb_signal(int argc, char** argv);
int verb_segv(int argc, char** argv);
int verb_sleep(int argc, char** argv);
int verb_ignore_term(int argc, char** argv);
int verb_clean_term(int argc, char** argv);
int verb_catch(int argc, char** argv);
int verb_grandchildren(int argc, char** argv);
int verb_session(int argc, char** argv);
int verb_fork_bomb(int argc, char** argv);
int verb_spin(int argc, char** argv);

/* testprog_show.c */
int verb_args(int argc, char** argv);
int verb_env(int argc, char** argv);
int verb_all_env(int argc, char** argv);
int verb_cwd(int argc, char** argv);
int verb_rank(int argc, char** argv);
int verb_tty(int argc, char** argv);
int verb_inherited(int argc, char** argv);
