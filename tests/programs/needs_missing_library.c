/* Links against a library that is not there when it runs. */
int absent(void);

int main(void) { return absent(); }
