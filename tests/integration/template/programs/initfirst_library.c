/* Linked -z initfirst: wants the constructor call that a template needs. */
int initfirst_answer(void) { return 0; }
