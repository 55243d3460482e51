// Deaths by files and by refused calls: a missing or unreadable file, a read-only or full file system,
// a call that needs a capability.
#define _GNU_SOURCE
#include "victim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

static int open_word(int argc, char **argv) {
    int fd = open(argv[1], O_RDONLY);
    if (fd < 0)
        return argc > 2 ? 1 : fail("cannot open", argv[1]); // a third word keeps it silent
    return 0;
}

// say FILE PATH: prints what is in FILE, then dies silently since there is no PATH. So what it prints is in none of its
// arguments.
static int say_word(int argc, char **argv) {
    static char text[4096];
    int fd = open(argv[1], O_RDONLY);
    ssize_t length = read(fd, text, sizeof text);
    if (length < 0 || write(2, text, length) != length)
        return 99;
    return open(argv[2], O_RDONLY) < 0;
}

static int create_word(int argc, char **argv) {
    int fd = open(argv[1], O_WRONLY | O_CREAT, 0600);
    return fd < 0 ? fail("cannot create", argv[1]) : 0;
}

static int fill_word(int argc, char **argv) {
    static char block[4096];
    int fd = open(argv[1], O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return fail("cannot create", argv[1]);
    while (write(fd, block, sizeof block) > 0)
        ;
    return fail("cannot write", argv[1]);
}

// read PATH: whoever opens a folder learns only by reading that it is one.
static int read_word(int argc, char **argv) {
    char byte;
    int fd = open(argv[1], O_RDONLY);
    return fd < 0 || read(fd, &byte, 1) < 0 ? fail("cannot read", argv[1]) : 0;
}

static int rename_word(int argc, char **argv) {
    return rename(argv[1], argv[2]) ? fail("cannot rename to", argv[2]) : 0;
}

static int lock(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    need(fd, path);
    return flock(fd, LOCK_EX | LOCK_NB);
}

static int lock_word(int argc, char **argv) {
    return lock(argv[1]) ? fail("cannot lock", argv[1]) : 0;
}

// hold-lock PATH FIFO
static int hold_lock_word(int argc, char **argv) {
    need(lock(argv[1]), argv[1]);
    ready(argv[2], 0);
    pause();
    return 0;
}

// pid-file PATH
static int pid_file_word(int argc, char **argv) {
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL, 0644);
    return fd < 0 ? fail("cannot create pid file", argv[1]) : 0;
}

// run-open PATH: executes what it has open for writing itself.
static int run_open_word(int argc, char **argv) {
    need(open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC), argv[1]);
    execv(argv[1], argv + 1);
    return fail("cannot execute", argv[1]);
}

static int remove_word(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++)
        if (remove(argv[i]) < 0)
            failed = fail("cannot remove", argv[i]);
    return failed;
}

static int call_word(int argc, char **argv) {
    int result = -1;
    if (!strcmp(argv[1], "mount"))
        result = mount("none", "/mnt", "tmpfs", 0, NULL);
    else if (!strcmp(argv[1], "chroot"))
        result = chroot("/");
    else if (!strcmp(argv[1], "setuid"))
        result = setuid(0);
    else
        return 99;
    return result < 0 ? fail("cannot call", argv[1]) : 0;
}

// compat-readlink PATH: asks by the 32-bit entry, whose number for readlink is that of creat in the other table.
static int compat_readlink_word(int argc, char **argv) {
#ifdef __x86_64__
    char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    need(low == MAP_FAILED ? -1 : 0, "mmap");
    strcpy(low, argv[1]);
    long result = 85;
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(low), "c"(low + 4096), "d"(100), "D"(low)
                     : "memory", "r8", "r9", "r10", "r11");
    need(result == -ENOENT ? 0 : -1, "readlink");
#endif
    return 1;
}

const struct word FILE_WORDS[] = {{"compat-readlink", compat_readlink_word},
                                  
    {"open", open_word}, {"say", say_word},   {"create", create_word},
    {"fill", fill_word}, {"call", call_word}, {"remove", remove_word},
    {"read", read_word}, {"rename", rename_word}, {"lock", lock_word},
    {"hold-lock", hold_lock_word}, {"pid-file", pid_file_word}, {"run-open", run_open_word},
    {0}};
