// Deaths where the words or the other processes mislead: plain ends, an interpreter that probes for what
// need not exist, a child whose failure was handled, and the gateway whose key was never made.
#define _GNU_SOURCE
#include "victim.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// exit STATUS [WORDS]
static int exit_word(int argc, char **argv) {
    if (argc > 2)
        fprintf(stderr, "%s\n", argv[2]);
    return atoi(argv[1]);
}

// interpret FOLDER: looks for forty modules that need not exist, then dies of what it read.
static int interpret_word(int argc, char **argv) {
    char path[4096];
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "%s/module_%02d.so", argv[1], i);
        if (open(path, O_RDONLY) >= 0)
            return 99;
    }
    fprintf(stderr, "  File \"main.py\", line 7\nSyntaxError: invalid syntax\n");
    return 1;
}

// handle-child PATH: the child fails to open PATH, the parent goes on without it and ends for its own reason.
static int handle_child_word(int argc, char **argv) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(open(argv[1], O_RDONLY) < 0 ? 1 : 0);
    waitpid(pid, &status, 0);
    fprintf(stderr, "no licence, running without it\nlicence period is over\n");
    return 3;
}

// fail-children COUNT PATH: one child after the other fails to open PATH; nobody minds.
static int fail_children_word(int argc, char **argv) {
    for (int i = atoi(argv[1]); i > 0; i--) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(open(argv[2], O_RDONLY) < 0 ? 1 : 0);
        waitpid(pid, NULL, 0);
    }
    return 3;
}

// gateway FOLDER: lets a helper make a key in FOLDER, whose name it quotes once too often, with the
// helper's words thrown away; then needs the certificate that was to come of it.
static int gateway_word(int argc, char **argv) {
    char line[4096];
    snprintf(line, sizeof line, "openssl create '\"%s\"/key.pem' >/dev/null 2>&1", argv[1]);
    int status = system(line);
    snprintf(line, sizeof line, "%s/cert.pem", argv[1]);
    return status < 0 || open(line, O_RDONLY) < 0 ? 1 : 0;
}

// linger FIFO: leaves a child behind that waits to be killed, and ends with 3.
static int linger_word(int argc, char **argv) {
    pid_t pid = fork();
    if (pid == 0) {
        ready(argv[1], 0);
        for (;;)
            pause();
    }
    return 3;
}

// bomb: everybody forks until the whole family has tried 5000 times.
static int bomb_word(int argc, char **argv) {
    int *tries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tries == MAP_FAILED)
        return 99;
    while (__atomic_fetch_add(tries, 1, __ATOMIC_SEQ_CST) < 5000)
        fork();
    while (wait(NULL) > 0)
        ;
    return 1;
}

static int rest(void *nothing) {
    for (;;)
        pause();
}

// crowd FIFO COUNT: lives on with so many children, which share its memory and cost next to nothing.
static int crowd_word(int argc, char **argv) {
    const size_t stack = 8192;
    size_t count = atoi(argv[2]);
    char *stacks = mmap(NULL, count * stack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    need(stacks == MAP_FAILED ? -1 : 0, "mmap");
    for (size_t i = 0; i < count; i++)
        need(clone(rest, stacks + (i + 1) * stack, CLONE_VM | SIGCHLD, NULL), "clone");
    ready(argv[1], 0);
    return rest(NULL);
}

const struct word TREE_WORDS[] = {{"exit", exit_word},
                                  {"interpret", interpret_word},
                                  {"handle-child", handle_child_word},
                                  {"fail-children", fail_children_word},
                                  {"gateway", gateway_word},
                                  {"crowd", crowd_word},
                                  {"linger", linger_word},
                                  {"bomb", bomb_word},
                                  {0}};
