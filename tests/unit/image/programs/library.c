#define JOIN(a, b) a##b
#define SYMBOL(name) JOIN(closure_, name)
int SYMBOL(NAME)(void) { return 1; }
