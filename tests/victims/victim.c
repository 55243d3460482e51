// One static program that dies in every plain way: `victim WORD ARGS...`. Each death is the plainest
// program text that produces it, so that what the recorder sees is the kernel's doing, not a library's.
#include "victim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fail(const char *what, const char *name) {
    fprintf(stderr, "%s %s: %s\n", what, name, strerror(errno));
    return 1;
}

void ready(const char *fifo, int value) {
    char line[64];
    int length = snprintf(line, sizeof line, "%d %d\n", (int)getpid(), value);
    int fd = open(fifo, O_WRONLY);
    if (fd < 0 || write(fd, line, length) != length) {
        perror(fifo);
        exit(99);
    }
    close(fd);
}

int main(int argc, char **argv) {
    const struct word *tables[] = {FILE_WORDS, LIMIT_WORDS, NET_WORDS, FAULT_WORDS, MEMORY_WORDS,
                                   SIGNAL_WORDS, TREE_WORDS, WITH_WORDS, BPF_WORDS};
    for (size_t t = 0; argc > 1 && t < sizeof tables / sizeof *tables; t++)
        for (const struct word *word = tables[t]; word->name; word++)
            if (!strcmp(word->name, argv[1]))
                return word->run(argc - 1, argv + 1);
    fprintf(stderr, "usage: victim WORD ARGS...\n");
    return 99;
}
