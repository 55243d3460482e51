// Stands for a newer libc at link time only, so that the program asks for a GLIBC version that no system has.
int function_of_a_later_glibc(void) {
    return 0;
}
