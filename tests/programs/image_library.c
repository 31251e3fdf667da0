int image_library(void) { return 42; }
