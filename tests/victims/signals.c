// Deaths by somebody else's signal: victims that wait to be ended, each with its own attitude to SIGTERM.
#define _GNU_SOURCE
#include "victim.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int status_after_term;

static void leave(int signal) {
    _exit(status_after_term);
}

static void wait_for_ever(const char *fifo) {
    ready(fifo, 0);
    for (;;)
        pause();
}

// wait FIFO: has no handler.
static int wait_word(int argc, char **argv) {
    wait_for_ever(argv[1]);
    return 0;
}

// own-timer: a timer of its own ends it.
static int own_timer_word(int argc, char **argv) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
    struct itimerspec soon = {.it_value = {.tv_nsec = 10000000}};
    timer_t timer;
    need(timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create");
    need(timer_settime(timer, 0, &soon, NULL), "timer_settime");
    for (;;)
        pause();
}

// forged-timer: its child ends it and says that a timer did.
static int forged_timer_word(int argc, char **argv) {
    pid_t parent = getpid();
    if (fork() == 0) {
        siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_TIMER};
        need(syscall(SYS_rt_sigqueueinfo, parent, SIGKILL, &info), "rt_sigqueueinfo");
        _exit(0);
    }
    for (;;)
        pause();
}

// wait-handling FIFO STATUS
static int wait_handling_word(int argc, char **argv) {
    status_after_term = atoi(argv[2]);
    signal(SIGTERM, leave);
    wait_for_ever(argv[1]);
    return 0;
}

// wait-ignoring FIFO
static int wait_ignoring_word(int argc, char **argv) {
    signal(SIGTERM, SIG_IGN);
    wait_for_ever(argv[1]);
    return 0;
}

// wait-udp FIFO PORT: what it serves is UDP only; it ends cleanly on SIGTERM.
static int wait_udp_word(int argc, char **argv) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (void *)&name, sizeof name))
        return fail("cannot bind", argv[2]);
    signal(SIGTERM, leave);
    wait_for_ever(argv[1]);
    return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t started;

static void *asks_itself(void *arg) {
    pthread_barrier_wait(&started);
    pthread_mutex_lock(&lock);
    return arg;
}

// deadlock FIFO: every thread waits for a lock that its own process holds; nothing was ever bound.
static int deadlock_word(int argc, char **argv) {
    pthread_t thread;
    pthread_barrier_init(&started, NULL, 4);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, asks_itself, NULL);
    pthread_barrier_wait(&started);
    ready(argv[1], 0);
    pthread_mutex_lock(&lock);
    return 0;
}

const struct word SIGNAL_WORDS[] = {{"own-timer", own_timer_word},
                                    {"forged-timer", forged_timer_word},
                                    {"wait", wait_word},
                                    {"wait-handling", wait_handling_word},
                                    {"wait-ignoring", wait_ignoring_word},
                                    {"wait-udp", wait_udp_word},
                                    {"deadlock", deadlock_word},
                                    {0}};
