// The library that came in its place: the function is gone.
int wave(void) {
    return 0;
}
