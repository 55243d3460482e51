// `victim with OPTION... -- COMMAND...`: puts itself under other circumstances, then becomes COMMAND by exec,
// as setpriv, prlimit, unshare and nsenter would; written here since a VM's initramfs has none of them.
#define _GNU_SOURCE
#include "victim.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void need(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(99);
    }
}

static const char *value(const char *option, const char *name) {
    size_t length = strlen(name);
    return strncmp(option, name, length) ? NULL : option + length;
}

static void new_network(void) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    need(unshare(CLONE_NEWNET), "unshare network");
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    need(ioctl(fd, SIOCSIFFLAGS, &loopback), "raise loopback");
    close(fd);
}

static void new_mounts(void) {
    need(unshare(CLONE_NEWNS), "unshare mounts");
    need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
}

static void new_etc(const char *folder) {
    new_mounts();
    need(mount(folder, "/etc", NULL, MS_BIND, NULL), "bind /etc");
}

static void cover(const char *folder) {
    new_mounts();
    need(mount("none", folder, "tmpfs", 0, NULL), folder);
}

// SOURCE:FOLDER, on a node. Shared, as systemd leaves all mounts: runtimes refuse to propagate what is mounted below
// others.
static void bind_folder(const char *names) {
    char source[4096];
    const char *colon = strchr(names, ':');
    if (!colon || colon - names >= (long)sizeof source)
        need(-1, names);
    memcpy(source, names, colon - names);
    source[colon - names] = 0;
    need(mount(source, colon + 1, NULL, MS_BIND, NULL), names);
    need(mount("none", colon + 1, NULL, MS_SHARED, NULL), names);
}

static void empty(const char *file) {
    new_mounts();
    need(mount("/dev/null", file, NULL, MS_BIND, NULL), file);
}

static void join(const char *pid) {
    int fd = syscall(SYS_pidfd_open, atoi(pid), 0);
    need(fd, "pidfd_open");
    need(setns(fd, CLONE_NEWNET | CLONE_NEWNS), "setns");
    close(fd);
}

static void enter_cgroup(const char *procs) {
    int fd = open(procs, O_WRONLY);
    need(fd, procs);
    need(write(fd, "0", 1), procs);
    close(fd);
}

static void limit(int resource, const char *amount) {
    rlim_t n = strtoull(amount, NULL, 10);
    struct rlimit both = {n, n};
    need(setrlimit(resource, &both), "setrlimit");
}

static void become(const char *id) {
    need(setgroups(0, NULL), "setgroups");
    need(setgid(atoi(id)), "setgid");
    need(setuid(atoi(id)), "setuid");
}

static void apply(const char *option) {
    const char *v;
    if (!strcmp(option, "net"))
        new_network();
    else if (!strcmp(option, "node")) {
        new_network();
        become_node();
    } else if ((v = value(option, "node=")))
        enter_node(v);
    else if ((v = value(option, "etc=")))
        new_etc(v);
    else if ((v = value(option, "cover=")))
        cover(v);
    else if ((v = value(option, "bind=")))
        bind_folder(v);
    else if ((v = value(option, "empty=")))
        empty(v);
    else if ((v = value(option, "join=")))
        join(v);
    else if ((v = value(option, "cgroup=")))
        enter_cgroup(v);
    else if ((v = value(option, "nofile=")))
        limit(RLIMIT_NOFILE, v);
    else if ((v = value(option, "nproc=")))
        limit(RLIMIT_NPROC, v);
    else if ((v = value(option, "fsize=")))
        limit(RLIMIT_FSIZE, v);
    else if ((v = value(option, "as=")))
        limit(RLIMIT_AS, v);
    else if ((v = value(option, "core=")))
        limit(RLIMIT_CORE, v);
    else if ((v = value(option, "oom_score_adj="))) {
        int fd = open("/proc/self/oom_score_adj", O_WRONLY);
        need(write(fd, v, strlen(v)), "oom_score_adj");
        close(fd);
    } else if ((v = value(option, "uid=")))
        become(v);
    else {
        fprintf(stderr, "with: unknown option %s\n", option);
        exit(99);
    }
}

static int with_word(int argc, char **argv) {
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--"); i++)
        apply(argv[i]);
    execv(argv[i + 1], argv + i + 1);
    int status = errno == ENOENT ? 127 : 126;
    fail("cannot execute", argv[i + 1]);
    return status;
}

const struct word WITH_WORDS[] = {{"with", with_word}, {0}};
