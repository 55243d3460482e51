// resolve NAME [STATUS]: glibc's getaddrinfo, as most programs use it; STATUS is that of a name that was found.
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(argv[1], "443", &hints, &found);
    if (argc < 2 || error == 0)
        return argc > 2 ? atoi(argv[2]) : 0;
    fprintf(stderr, "cannot resolve %s: %s\n", argv[1], gai_strerror(error));
    return 1;
}
