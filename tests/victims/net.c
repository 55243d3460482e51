// Deaths by sockets: bind, connect in a blocking and in an epoll client; beside them the bystanders
// that hold a port or answer DNS.
#include "victim.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct endpoint {
    struct sockaddr_storage address;
    socklen_t length;
    int type;
};

// PROTOCOL is tcp4, tcp6, udp4 or udp6.
static struct endpoint endpoint(const char *protocol, const char *host, int port) {
    struct endpoint e = {.type = protocol[0] == 't' ? SOCK_STREAM : SOCK_DGRAM};
    struct sockaddr_in *v4 = (void *)&e.address;
    struct sockaddr_in6 *v6 = (void *)&e.address;
    if (protocol[3] == '4') {
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
        inet_pton(AF_INET, host, &v4->sin_addr);
        e.length = sizeof *v4;
    } else {
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
        inet_pton(AF_INET6, host, &v6->sin6_addr);
        e.length = sizeof *v6;
    }
    return e;
}

static int bound(struct endpoint *e) {
    int fd = socket(e->address.ss_family, e->type, 0);
    if (fd >= 0 && bind(fd, (void *)&e->address, e->length) == 0 &&
        (e->type == SOCK_DGRAM || listen(fd, 16) == 0))
        return fd;
    return -1;
}

static int port_of(int fd) {
    struct sockaddr_in6 name;
    socklen_t length = sizeof name;
    getsockname(fd, (void *)&name, &length);
    return ntohs(name.sin6_port); // same offset as sin_port
}

// bind PROTOCOL HOST PORT
static int bind_word(int argc, char **argv) {
    struct endpoint e = endpoint(argv[1], argv[2], atoi(argv[3]));
    return bound(&e) < 0 ? fail("cannot listen on", argv[3]) : 0;
}

// hold PROTOCOL HOST FIFO: takes a free port and tells the stage which.
static int hold_word(int argc, char **argv) {
    struct endpoint e = endpoint(argv[1], argv[2], 0);
    int fd = bound(&e);
    if (fd < 0)
        return fail("cannot hold", argv[1]);
    ready(argv[3], port_of(fd));
    pause();
    return 0;
}

// bind-retry: the port is free at the second attempt; what ends the program comes later.
static int bind_retry_word(int argc, char **argv) {
    struct endpoint e = endpoint("tcp4", "127.0.0.1", 0);
    int first = bound(&e);
    e = endpoint("tcp4", "127.0.0.1", port_of(first));
    int second = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(second, (void *)&e.address, e.length) == 0)
        return 99;
    close(first);
    if (bind(second, (void *)&e.address, e.length) || listen(second, 16))
        return 98;
    fprintf(stderr, "configuration has no realm\n");
    return 1;
}

// connect HOST PORT
static int connect_word(int argc, char **argv) {
    struct endpoint e = endpoint("tcp4", argv[1], atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (void *)&e.address, e.length))
        return fail("cannot connect to", argv[2]);
    return 0;
}

// connect-unix PATH
static int connect_unix_word(int argc, char **argv) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(name.sun_path, argv[1], sizeof name.sun_path - 1);
    if (connect(fd, (void *)&name, sizeof name))
        return fail("cannot connect to", argv[1]);
    return 0;
}

// connect-epoll HOST PORT: connect only ever says EINPROGRESS, the refusal comes through SO_ERROR.
static int connect_epoll_word(int argc, char **argv) {
    struct endpoint e = endpoint("tcp4", argv[1], atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0), error = 0;
    struct epoll_event event = {.events = EPOLLOUT};
    socklen_t length = sizeof error;
    if (connect(fd, (void *)&e.address, e.length) == 0 || errno != EINPROGRESS)
        return 99;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) || epoll_wait(poll, &event, 1, -1) != 1)
        return 98;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    errno = error;
    return error ? fail("cannot connect to", argv[2]) : 0;
}

// hold-full PROTOCOL HOST FIFO: a listener whose queue is full, so that the kernel drops every further SYN.
static int hold_full_word(int argc, char **argv) {
    struct endpoint e = endpoint(argv[1], argv[2], 0);
    int fd = socket(e.address.ss_family, e.type, 0);
    need(bind(fd, (void *)&e.address, e.length), "bind");
    need(listen(fd, 0), "listen");
    e = endpoint(argv[1], argv[2], port_of(fd));
    for (int i = 0; i < 4; i++) {
        int client = socket(e.address.ss_family, e.type | SOCK_NONBLOCK, 0);
        struct pollfd connected = {.fd = client, .events = POLLOUT};
        connect(client, (void *)&e.address, e.length);
        poll(&connected, 1, 100);
    }
    ready(argv[3], port_of(fd));
    pause();
    return 0;
}

// connect-slow HOST PORT: gives up after one more SYN, which takes the kernel 3 seconds.
static int connect_slow_word(int argc, char **argv) {
    struct endpoint e = endpoint("tcp4", argv[1], atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM, 0), retries = 1;
    need(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof retries), "TCP_SYNCNT");
    return connect(fd, (void *)&e.address, e.length) ? fail("cannot connect to", argv[2]) : 0;
}

// connect-impatient HOST PORT: waits one second for each of two connects, which never come back.
static int connect_impatient_word(int argc, char **argv) {
    struct endpoint e = endpoint("tcp4", argv[1], atoi(argv[2]));
    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct pollfd connected = {.fd = fd, .events = POLLOUT};
        if (connect(fd, (void *)&e.address, e.length) == 0 || errno != EINPROGRESS)
            return 99;
        if (poll(&connected, 1, 1000) != 0)
            return 98;
        close(fd);
    }
    fprintf(stderr, "connect to %s:%s timed out\n", argv[1], argv[2]);
    return 1;
}

// hold-reset PROTOCOL HOST FIFO: takes every connection and resets it.
static int hold_reset_word(int argc, char **argv) {
    struct endpoint e = endpoint(argv[1], argv[2], 0);
    struct linger reset = {.l_onoff = 1};
    int fd = bound(&e);
    need(fd, "listen");
    ready(argv[3], port_of(fd));
    for (;;) {
        int client = accept(fd, NULL, NULL);
        setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(client);
    }
}

// receive HOST PORT
static int receive_word(int argc, char **argv) {
    struct endpoint e = endpoint("tcp4", argv[1], atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct pollfd waited = {.fd = fd, .events = POLLOUT};
    char byte;
    connect(fd, (void *)&e.address, e.length);
    poll(&waited, 1, -1);
    waited.events = POLLIN;
    poll(&waited, 1, -1);
    return recv(fd, &byte, 1, 0) < 0 ? fail("cannot receive from", argv[2]) : 0;
}

// connect-all: in a network of its own, with few ports; opens connections until none is left.
static int connect_all_word(int argc, char **argv) {
    const char *range = "40000 40003";
    int setting = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
    need(setting, "ip_local_port_range");
    need(write(setting, range, strlen(range)), "ip_local_port_range");
    struct endpoint e = endpoint("tcp4", "127.0.0.1", 5432);
    need(bound(&e), "listen");
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (void *)&e.address, e.length))
            return fail("cannot connect to", "5432");
    }
}

// write-closed [ignore]: nobody reads the pipe.
static int write_closed_word(int argc, char **argv) {
    int ends[2];
    need(pipe(ends), "pipe");
    close(ends[0]);
    if (argc > 1)
        signal(SIGPIPE, SIG_IGN);
    return write(ends[1], "x", 1) < 0 ? fail("cannot write to", "the log") : 0;
}

#define TYPE_A 1

// dns RCODE FIFO: answers every question on 127.0.0.1:53 with RCODE and no records; dns only-a FIFO: with an address where one
// of IPv4 is asked for, with NXDOMAIN else, as some load balancers do.
static int dns_word(int argc, char **argv) {
    struct endpoint e = endpoint("udp4", "127.0.0.1", 53);
    struct sockaddr_in from;
    unsigned char message[512];
    int fd = bound(&e);
    if (fd < 0)
        return fail("cannot hold", "port 53");
    ready(argv[2], 53);
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(fd, message, sizeof message, 0, (void *)&from, &length);
        if (size < 12)
            continue;
        size_t end = 12;                         // keep the question only
        while (end < (size_t)size && message[end])
            end += message[end] + 1;
        int only_a = strcmp(argv[1], "only-a") == 0, found = only_a && message[end + 2] == TYPE_A;
        int code = found ? 0 : only_a ? 3 : atoi(argv[1]);
        message[2] |= 0x80;                      // a response
        message[3] = 0x80 | code;                // recursion available, RCODE
        memset(message + 6, 0, 6);               // no answer, authority or additional records
        end += 5;
        if (found) {
            // The name as in the question, A, IN, a minute, four bytes.
            const unsigned char record[] = {0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1};
            message[7] = 1;
            memcpy(message + end, record, sizeof record);
            end += sizeof record;
        }
        sendto(fd, message, end, 0, (void *)&from, length);
    }
}

const struct word NET_WORDS[] = {{"bind", bind_word},
                                 {"hold", hold_word},
                                 {"bind-retry", bind_retry_word},
                                 {"connect", connect_word},
                                 {"connect-unix", connect_unix_word},
                                 {"connect-epoll", connect_epoll_word},
                                 {"hold-full", hold_full_word},
                                 {"connect-slow", connect_slow_word},
                                 {"connect-impatient", connect_impatient_word},
                                 {"hold-reset", hold_reset_word},
                                 {"receive", receive_word},
                                 {"connect-all", connect_all_word},
                                 {"write-closed", write_closed_word},
                                 {"dns", dns_word},
                                 {0}};
