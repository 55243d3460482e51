// A program with nothing wrong in it; what is wrong is where or how it is to be run.
int main(void) {
    return 0;
}
