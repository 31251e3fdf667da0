/* Calls the one function of the library it is built with. */
extern int CALLED(void);
int main(void) { return CALLED(); }
