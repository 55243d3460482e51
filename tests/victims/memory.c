// Deaths by memory: eating until the kernel's OOM killer comes.
#include "victim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void touch(char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 4096)
        ((volatile char *)from)[i] = 1;
}

int eat(void) {
    const size_t chunk = 1 << 20;
    for (;;) {
        char *block = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED)
            return fail("cannot map", "memory");
        touch(block, chunk);
    }
}

// eat [WORDS]: with WORDS, says them first.
static int eat_word(int argc, char **argv) {
    if (argc > 1) {
        printf("%s\n", argv[1]);
        fflush(stdout);
    }
    return eat();
}

// port-table: a runtime that sizes its port table by the descriptor limit before it says a word.
static int port_table_word(int argc, char **argv) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    size_t entries = limit.rlim_cur < 1 << 20 ? limit.rlim_cur : 1 << 20;
    size_t bytes = entries * (128 << 10);
    char *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED)
        return fail("cannot map", "the port table");
    touch(table, bytes);
    return 0;
}

// eat-in-child: the child is killed, the parent gives up after it.
static int eat_in_child_word(int argc, char **argv) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(eat());
    waitpid(pid, &status, 0);
    fprintf(stderr, "worker %d is gone\n", pid);
    return 1;
}

// eat-in-group: the parent would wait for ever; memory.oom.group takes it with the child.
static int eat_in_group_word(int argc, char **argv) {
    pid_t pid = fork();
    if (pid == 0)
        _exit(eat());
    waitpid(pid, NULL, 0);
    pause();
    return 0;
}

const struct word MEMORY_WORDS[] = {{"eat", eat_word},
                                    {"port-table", port_table_word},
                                    {"eat-in-child", eat_in_child_word},
                                    {"eat-in-group", eat_in_group_word},
                                    {0}};
