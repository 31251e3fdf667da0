/* Linked by needs_missing_library, then never found: no run path leads to it. */
int absent(void);

int absent(void) { return 0; }
