// Uses a function of a later glibc. It has no start files: the loader refuses it before it would run.
extern int function_of_a_later_glibc(void);

void _start(void) {
    function_of_a_later_glibc();
}
