// The library that the program was built with.
int greet(void) {
    return 0;
}
