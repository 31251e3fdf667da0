int library_version(void) { return LIBRARY_VERSION; }
