// A node that is itself a container, as in kind: namespaces of its own for processes, mounts, cgroups and network, and a
// way into them. What the machine's init must see to (a process that leaves its PID namespace cannot) is done by a stand-in.
#define _GNU_SOURCE
#include "victim.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t inner;

static void pass_on(int signal) {
    kill(inner, signal);
}

// Only a child enters a PID namespace: the caller goes on as one. This process stays behind as its stand-in, passes
// signals on, ends as it ends, and takes it along when it is killed.
static void go_on_inside(void) {
    inner = fork();
    need(inner, "fork");
    if (inner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return;
    }
    signal(SIGTERM, pass_on);
    signal(SIGHUP, pass_on);
    int status;
    while (waitpid(inner, &status, 0) < 0)
        if (errno != EINTR)
            exit(99);
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

// What follows in a mount's options once those of every file system are left out: a v1 hierarchy's controllers.
static void controllers_of(char *options, char *out) {
    static const char *general[] = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime"};
    *out = 0;
    for (char *option = strtok(options, ","); option; option = strtok(NULL, ",")) {
        int is_general = 0;
        for (size_t i = 0; i < sizeof general / sizeof *general; i++)
            is_general |= !strcmp(option, general[i]);
        if (is_general)
            continue;
        if (*out)
            strcat(out, ",");
        strcat(out, option);
    }
}

// Mounted again, each hierarchy begins at this cgroup namespace's root. All is read before, since what is mounted again
// comes up in the list once more.
static void mount_cgroups(void) {
    static char all[1 << 16];
    char folder[4096], type[64], options[4096], controllers[4096];
    FILE *mounts = fopen("/proc/self/mounts", "r");
    if (!mounts || fread(all, 1, sizeof all - 1, mounts) == 0)
        need(-1, "/proc/self/mounts");
    fclose(mounts);
    for (char *line = all; line; line = (line = strchr(line, '\n')) ? line + 1 : NULL) {
        if (sscanf(line, "%*s %4095s %63s %4095s", folder, type, options) != 3)
            continue;
        if (strcmp(type, "cgroup") && strcmp(type, "cgroup2"))
            continue;
        controllers_of(options, controllers);
        need(umount2(folder, MNT_DETACH), folder);
        need(mount("cgroup", folder, type, 0, strcmp(type, "cgroup") ? NULL : controllers), folder);
    }
}

void become_node(void) {
    need(unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP), "unshare node");
    go_on_inside();
    need(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
    need(mount("proc", "/proc", "proc", 0, NULL), "mount /proc");
    mount_cgroups();
}

// PID is that of a process in the node, as seen from here.
void enter_node(const char *pid) {
    int fd = syscall(SYS_pidfd_open, atoi(pid), 0);
    need(fd, "pidfd_open");
    need(setns(fd, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWNET), "enter node");
    close(fd);
    go_on_inside();
}
