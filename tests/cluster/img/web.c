/* web PORT: a small HTTP server for proofs. /burn/SECONDS keeps a CPU busy in the background; anything else says hello. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);
}

static void burn(int seconds) {
    const time_t until = time(NULL) + seconds;
    while (time(NULL) < until) {
    }
}

static void answer(int client, const char *host) {
    char request[2048] = {0};
    if (read(client, request, sizeof request - 1) <= 0) return;
    char body[256];
    int seconds = 0;
    const int burns = sscanf(request, "GET /burn/%d", &seconds) == 1;
    if (burns) snprintf(body, sizeof body, "%s burns for %d s\n", host, seconds);
    else snprintf(body, sizeof body, "hello from %s\n", host);
    dprintf(client, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    shutdown(client, SHUT_RDWR);
    close(client);
    if (burns) burn(seconds);
}

int main(int count, char **arguments) {
    const int port = count > 1 ? atoi(arguments[1]) : 8080;
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    const int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
        perror("web: listen");
        return 1;
    }
    char host[65] = "?";
    gethostname(host, sizeof host - 1);
    for (;;) {
        const int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        if (fork() == 0) {
            close(listener);
            answer(client, host);
            _exit(0);
        }
        close(client);
    }
}
