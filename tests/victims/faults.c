// Deaths by a fault of the program itself: the signals of the kernel, abort, and seccomp.
#include "victim.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// segfault ADDRESS
static int segfault_word(int argc, char **argv) {
    *(volatile int *)strtoul(argv[1], NULL, 0) = 1;
    return 0;
}

static void *segfault_thread(void *address) {
    *(volatile int *)address = 1;
    return NULL;
}

// segfault-thread ADDRESS: the thread that faults is not the leader.
static int segfault_thread_word(int argc, char **argv) {
    pthread_t thread;
    pthread_create(&thread, NULL, segfault_thread, (void *)strtoul(argv[1], NULL, 0));
    pthread_join(thread, NULL);
    return 0;
}

// bus FILE: the file is cut off under its mapping.
static int bus_word(int argc, char **argv) {
    int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
    if (ftruncate(fd, 8192))
        return 99;
    volatile char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0))
        return 99;
    map[4096] = 1;
    return 0;
}

static int illegal_word(int argc, char **argv) {
    __builtin_trap();
}

static int divide_word(int argc, char **argv) {
    volatile int zero = argc - 1;
    volatile int quotient = argc / zero;
    return quotient;
}

static int abort_word(int argc, char **argv) {
    abort();
}

static void filter(long call, unsigned action) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        exit(99);
}

static int seccomp_kill_word(int argc, char **argv) {
    filter(SYS_ptrace, SECCOMP_RET_KILL_PROCESS);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    return 0;
}

static int seccomp_trap_word(int argc, char **argv) {
    filter(SYS_ptrace, SECCOMP_RET_TRAP);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    return 0;
}

static void returns(int signal) {
}

// interrupted: signals arrive while its own code holds -13 to -1 where a system call's result would be, and the return from
// their handler (rt_sigreturn) puts that back.
static int interrupted_word(int argc, char **argv) {
    signal(SIGTRAP, returns);
#ifdef __x86_64__
    for (long held = -13; held < 0; held++)
        __asm__ volatile("int3" : : "a"(held) : "memory");
#else
    raise(SIGTRAP);
#endif
    return 1;
}

static int seccomp_errno_word(int argc, char **argv) {
    filter(SYS_mount, SECCOMP_RET_ERRNO | EPERM);
    return mount("none", "/mnt", "tmpfs", 0, NULL) ? fail("cannot mount", "/mnt") : 0;
}

// Filters older than a call answer so.
static int seccomp_enosys_word(int argc, char **argv) {
    filter(SYS_mount, SECCOMP_RET_ERRNO | ENOSYS);
    return mount("none", "/mnt", "tmpfs", 0, NULL) ? fail("cannot mount", "/mnt") : 0;
}

// systemd's RestrictAddressFamilies= answers so, as a kernel without IPv6 does.
static int no_family_word(int argc, char **argv) {
    filter(SYS_socket, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
    return socket(AF_INET6, SOCK_STREAM, 0) < 0 ? fail("cannot make", "a socket") : 0;
}

const struct word FAULT_WORDS[] = {{"segfault", segfault_word},
                                   {"segfault-thread", segfault_thread_word},
                                   {"bus", bus_word},
                                   {"illegal", illegal_word},
                                   {"divide", divide_word},
                                   {"abort", abort_word},
                                   {"interrupted", interrupted_word},
                                   {"seccomp-kill", seccomp_kill_word},
                                   {"seccomp-trap", seccomp_trap_word},
                                   {"seccomp-errno", seccomp_errno_word},
                                   {"seccomp-enosys", seccomp_enosys_word},
                                   {"no-family", no_family_word},
                                   {0}};
