// The process whose system calls `cargo xtask bench` times. It reads one order a line from stdin and answers with one
// line on stdout; times are nanoseconds. It knows nothing about who watches it.
//
//   worker serve CPU      takes orders, on that CPU (-1: any)
//   worker quit           ends with status 0: what `spawn` and `storm` start
//   worker fail           ends with status 3 after a failed call: what `flood` starts
//   worker die            writes the time (CLOCK_BOOTTIME) to stderr and ends with status 3
//   worker enter FILE PROGRAM ARGUMENTS...
//                         writes itself into that cgroup.procs and becomes the program, as a container's first process
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 64, PIPE_ROUND = 512, BATCHES_MAX = 1024, STORM_THREADS = 2 };
static const long SECOND = 1000000000L;

static char *self;
static char **environment;
static char message[MESSAGE];

static void refuse(const char *what) {
    perror(what);
    exit(2);
}

static long clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static long now(void) { return clock_ns(CLOCK_MONOTONIC); }

// Starts this program with one argument and returns its wait status.
static int child(char *argument) {
    char *arguments[] = {self, argument, NULL};
    pid_t pid;
    int status;
    if (posix_spawn(&pid, self, NULL, NULL, arguments, environment) != 0) refuse("posix_spawn");
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) refuse("waitpid");
    return status;
}

// Each of these does its call `count` times and returns how long that took.

static long time_getppid(long count) {
    long start = now();
    for (long i = 0; i < count; i++) getppid();
    return now() - start;
}

// Writes to a pipe; emptying it is not timed.
static long time_pipe(long count) {
    static int ends[2] = {-1, -1};
    static char sink[PIPE_ROUND * MESSAGE];
    if (ends[0] < 0 && pipe(ends) < 0) refuse("pipe");
    long total = 0;
    while (count > 0) {
        long round = count < PIPE_ROUND ? count : PIPE_ROUND;
        long start = now();
        for (long i = 0; i < round; i++)
            if (write(ends[1], message, MESSAGE) != MESSAGE) refuse("write to the pipe");
        total += now() - start;
        if (read(ends[0], sink, sizeof sink) != round * MESSAGE) refuse("read from the pipe");
        count -= round;
    }
    return total;
}

// Writes to stderr, which leads nowhere meanwhile.
static long time_words(long count) {
    int kept = dup(2), nowhere = open("/dev/null", O_WRONLY);
    if (kept < 0 || nowhere < 0 || dup2(nowhere, 2) < 0) refuse("stderr to /dev/null");
    long start = now();
    for (long i = 0; i < count; i++)
        if (write(2, message, MESSAGE) != MESSAGE) exit(2);
    long took = now() - start;
    dup2(kept, 2);
    close(kept);
    close(nowhere);
    return took;
}

static long time_openat(long count) {
    long start = now();
    for (long i = 0; i < count; i++)
        if (open("/nonexistent/file/of/the/benchmark", O_RDONLY) >= 0) refuse("open of an absent file");
    return now() - start;
}

static long time_spawn(long count) {
    long start = now();
    for (long i = 0; i < count; i++)
        if (child("quit") != 0) refuse("the child's status");
    return now() - start;
}

static const struct {
    const char *name;
    long (*run)(long count);
} OPERATIONS[] = {
    {"getppid", time_getppid}, {"pipe", time_pipe},   {"words", time_words},
    {"openat", time_openat},   {"spawn", time_spawn},
};

static int by_size(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

// Answers with the median of the batches, nanoseconds a call.
static void answer_time(long (*run)(long), long count, long batches) {
    static double each[BATCHES_MAX];
    if (batches < 1 || batches > BATCHES_MAX) refuse("number of batches");
    run(count / 10 + 1);
    for (long i = 0; i < batches; i++) each[i] = (double)run(count) / (double)count;
    qsort(each, (size_t)batches, sizeof each[0], by_size);
    printf("%.2f\n", each[batches / 2]);
}

static long until;
static long children_rate;
static long failures;

static void *fail_children(void *unused) {
    long start = now(), next = start;
    while (now() < until) {
        if (WEXITSTATUS(child("fail")) != 3) refuse("the child's status");
        failures++;
        next += SECOND / children_rate;
        struct timespec at = {next / SECOND, next % SECOND};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    return unused;
}

// Fails `rate` calls a second while another thread starts children that die; answers with the calls, how long they
// took, and the dead children.
static void flood(long seconds, long rate) {
    pthread_t thread;
    long start = now(), calls = 0;
    until = start + seconds * SECOND;
    failures = 0;
    if (pthread_create(&thread, NULL, fail_children, NULL) != 0) refuse("pthread_create");
    for (long time = start; time < until; time = now()) {
        // What is due by now, a thousand at most: a slow machine falls behind rather than run for longer.
        long due = (long)((double)(time - start) * (double)rate / 1e9) - calls;
        for (long i = 0; i < due && i < 1000; i++, calls++)
            if (close(-1) == 0) refuse("close of no descriptor");
    }
    long took = now() - start;
    pthread_join(thread, NULL);
    printf("%ld %ld %ld\n", calls, took, failures);
}

static void *storm_children(void *count) {
    while (now() < until) {
        if (child("quit") != 0) refuse("the child's status");
        ++*(long *)count;
    }
    return NULL;
}

// Starts children one after the other in as many threads as there are CPUs to keep busy; answers with their number.
static void storm(long seconds) {
    pthread_t threads[STORM_THREADS];
    long counts[STORM_THREADS] = {0}, total = 0;
    until = now() + seconds * SECOND;
    for (int i = 0; i < STORM_THREADS; i++)
        if (pthread_create(&threads[i], NULL, storm_children, &counts[i]) != 0) refuse("pthread_create");
    for (int i = 0; i < STORM_THREADS; i++) {
        pthread_join(threads[i], NULL);
        total += counts[i];
    }
    printf("%ld\n", total);
}

static void obey(const char *order) {
    char name[16];
    long first = 0, second = 0;
    int read = sscanf(order, "%15s %ld %ld", name, &first, &second);
    if (read >= 1 && strcmp(name, "flood") == 0) return flood(first, second);
    if (read >= 1 && strcmp(name, "storm") == 0) return storm(first);
    for (size_t i = 0; read == 3 && i < sizeof OPERATIONS / sizeof OPERATIONS[0]; i++)
        if (strcmp(name, OPERATIONS[i].name) == 0) return answer_time(OPERATIONS[i].run, first, second);
    fprintf(stderr, "worker: cannot understand %s", order);
    exit(2);
}

static void stay_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (cpu >= 0 && sched_setaffinity(0, sizeof set, &set) < 0) refuse("sched_setaffinity");
}

static void enter(const char *procs, char **arguments) {
    int file = open(procs, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "0", 1) != 1) refuse(procs);
    execve(arguments[0], arguments, environment);
    refuse(arguments[0]);
}

int main(int argc, char **argv, char **env) {
    self = argv[0];
    environment = env;
    const char *role = argc > 1 ? argv[1] : "";
    if (strcmp(role, "quit") == 0) return 0;
    if (strcmp(role, "fail") == 0) return close(-1) < 0 ? 3 : 0;
    if (strcmp(role, "die") == 0) {
        dprintf(2, "%ld\n", clock_ns(CLOCK_BOOTTIME));
        _exit(3);
    }
    if (strcmp(role, "enter") == 0 && argc > 3) enter(argv[2], argv + 3);
    if (strcmp(role, "serve") != 0 || argc < 3) {
        fprintf(stderr, "usage: worker serve CPU | quit | fail | die | enter FILE PROGRAM ARGUMENTS...\n");
        return 2;
    }
    stay_on(atoi(argv[2]));
    children_rate = 20;
    memset(message, 'x', sizeof message);
    // The time tells how long whoever started this took.
    printf("%d %ld\n", getpid(), clock_ns(CLOCK_BOOTTIME));
    fflush(stdout);
    char order[64];
    while (fgets(order, sizeof order, stdin)) {
        obey(order);
        fflush(stdout);
    }
    return 0;
}
