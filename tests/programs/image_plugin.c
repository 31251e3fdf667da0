int image_plugin(void) { return 7; }
