// eBPF objects of the kernel, seen by who did not make them.
#include "victim.h"
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int call(int command, union bpf_attr *attr) {
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

// `pinned FILE...`: what the kernel says of the object behind each pin, its id among it.
static int pinned(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        union bpf_attr attr;
        memset(&attr, 0, sizeof attr);
        attr.pathname = (unsigned long)argv[i];
        int fd = call(BPF_OBJ_GET, &attr);
        if (fd < 0)
            return fail("BPF_OBJ_GET", argv[i]);
        char line[256];
        snprintf(line, sizeof line, "/proc/self/fdinfo/%d", fd);
        FILE *info = fopen(line, "r");
        while (info && fgets(line, sizeof line, info))
            fputs(line, stdout);
        if (info)
            fclose(info);
        close(fd);
    }
    return 0;
}

// `loaded prog_id:|map_id:|link_id: ID...`: those that are still there.
static int loaded(int argc, char **argv) {
    if (argc < 2)
        return 99;
    int command = argv[1][0] == 'p'   ? BPF_PROG_GET_FD_BY_ID
                  : argv[1][0] == 'm' ? BPF_MAP_GET_FD_BY_ID
                                      : BPF_LINK_GET_FD_BY_ID;
    for (int i = 2; i < argc; i++) {
        union bpf_attr attr;
        memset(&attr, 0, sizeof attr);
        attr.prog_id = (unsigned)atoi(argv[i]);
        int fd = call(command, &attr);
        if (fd < 0)
            continue;
        printf("%s %s\n", argv[1], argv[i]);
        close(fd);
    }
    return 0;
}

const struct word BPF_WORDS[] = {{"pinned", pinned}, {"loaded", loaded}, {0}};
