// A program that calls one function of a library; the library it finds later is another one or none.
extern int greet(void);

int main(void) {
    return greet();
}
