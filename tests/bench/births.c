/* A small dynamic program: what its births cost is all that is measured. */
int main(void) { return 0; }
