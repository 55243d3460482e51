// Deaths by limits: file descriptors, processes, threads, address space.
#include "victim.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

static int descriptors_word(int argc, char **argv) {
    while (open("/dev/null", O_RDONLY) >= 0)
        ;
    return fail("cannot open", "/dev/null");
}

// The children wait for the end of a pipe, so that they end quietly once their parent could fork no more.
static int processes_word(int argc, char **argv) {
    int gate[2], error;
    char byte;
    if (pipe(gate))
        return 99;
    for (;;) {
        pid_t pid = fork();
        if (pid == 0) {
            close(gate[1]);
            if (read(gate[0], &byte, 1) < 0)
                _exit(99);
            _exit(0);
        }
        if (pid < 0)
            break;
    }
    error = errno;
    close(gate[1]);
    while (wait(NULL) > 0)
        ;
    errno = error;
    return fail("cannot fork", "a worker");
}

static void *sleeper(void *arg) {
    pause();
    return arg;
}

static int threads_word(int argc, char **argv) {
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    while ((errno = pthread_create(&thread, &attr, sleeper, NULL)) == 0)
        ;
    return fail("cannot start", "a thread");
}

static int instances_word(int argc, char **argv) {
    while (inotify_init1(IN_CLOEXEC) >= 0)
        ;
    return fail("cannot watch", "the configuration");
}

// long-argument PATH: the kernel takes 128 KiB for one string (MAX_ARG_STRLEN).
static int long_argument_word(int argc, char **argv) {
    static char text[256 << 10];
    memset(text, 'x', sizeof text - 1);
    char *arguments[] = {argv[1], text, NULL};
    execv(argv[1], arguments);
    return fail("cannot execute", argv[1]);
}

static int allocate_word(int argc, char **argv) {
    char *block = malloc(strtoull(argv[1], NULL, 10));
    if (!block)
        return fail("cannot allocate", "the cache");
    block[0] = 1;
    return 0;
}

const struct word LIMIT_WORDS[] = {{"descriptors", descriptors_word},
                                   {"processes", processes_word},
                                   {"threads", threads_word},
                                   {"allocate", allocate_word},
                                   {"instances", instances_word},
                                   {"long-argument", long_argument_word},
                                   {0}};
