/* Calls a function that nobody has: loads lazily, and never at once. */
extern void nobody_has_this_function(void);
void call_it(void) { nobody_has_this_function(); }
