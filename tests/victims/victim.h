// What the parts of the multi-call victim share: the word list and how a part says why it gives up.
#pragma once

struct word {
    const char *name;
    int (*run)(int argc, char **argv); // argv[0] is the word itself; the result is the exit status
};

extern const struct word FILE_WORDS[], LIMIT_WORDS[], NET_WORDS[], FAULT_WORDS[], MEMORY_WORDS[],
    SIGNAL_WORDS[], TREE_WORDS[], WITH_WORDS[], BPF_WORDS[];

// Prints "WHAT NAME: strerror(errno)" to stderr, as most programs do, and returns 1.
int fail(const char *what, const char *name);

// Tells the stage through its FIFO that the victim is ready: "PID VALUE\n".
void ready(const char *fifo, int value);

// Ends with 99 and says why when a preparation fails: RESULT is negative.
void need(int result, const char *what);

// For `with`: see node.c.
void become_node(void);
void enter_node(const char *pid);

// The forms that other parts use too.
int eat(void);
