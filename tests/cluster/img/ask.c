/* ask: an HTTP client for pods. Debian's static busybox crashes where it resolves names.
 *   ask get HOST PORT PATH              prints the body; the status goes to the standard error stream
 *   ask post HOST PORT PATH FILE [TYPE] the same; FILE may be - for the standard input; TYPE is application/json otherwise
 *   ask dns NAME                        prints the first address
 * Exits 0 for an answer of 2xx, 1 for another one, 2 for a wrong call, 3 if there is no address, 4 if there is no connection or no whole
 * answer within ten seconds of silence. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void fail(int code, const char *what, const char *why) {
    fprintf(stderr, "ask: %s: %s\n", what, why);
    exit(code);
}

static struct addrinfo *resolve(const char *host, const char *port) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const int error = getaddrinfo(host, port, &hints, &found);
    if (error) fail(3, host, gai_strerror(error));
    return found;
}

static int dial(const struct addrinfo *address) {
    const struct timeval patience = {.tv_sec = 10};
    for (; address; address = address->ai_next) {
        const int s = socket(address->ai_family, SOCK_STREAM, 0);
        if (s < 0) continue;
        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (connect(s, address->ai_addr, address->ai_addrlen) == 0) return s;
        close(s);
    }
    return -1;
}

static void write_all(int to, const char *data, size_t length) {
    while (length) {
        const ssize_t n = write(to, data, length);
        if (n <= 0) {
            perror("ask: write");
            exit(4);
        }
        data += n;
        length -= (size_t)n;
    }
}

/* Everything there is to read, ended by a zero byte. */
static char *read_all(int from, size_t *length) {
    size_t room = 65536;
    char *data = malloc(room);
    ssize_t n = 0;
    *length = 0;
    while (data && (n = read(from, data + *length, room - *length - 1)) > 0) {
        *length += (size_t)n;
        if (room - *length < 32768) data = realloc(data, room *= 2);
    }
    if (!data) fail(4, "memory", "none left");
    if (n < 0) {
        perror("ask: read");
        exit(4);
    }
    data[*length] = 0;
    return data;
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    const int posts = count >= 6 && !strcmp(arguments[1], "post");
    if (count == 3 && !strcmp(arguments[1], "dns")) {
        char address[64];
        const struct addrinfo *found = resolve(arguments[2], "80");
        getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
        puts(address);
        return 0;
    }
    if (!posts && (count != 5 || strcmp(arguments[1], "get"))) fail(2, "usage", "get HOST PORT PATH | post HOST PORT PATH FILE [TYPE] | dns NAME");
    size_t length = 0;
    char *body = NULL;
    if (posts) {
        const int file = strcmp(arguments[5], "-") ? open(arguments[5], O_RDONLY) : STDIN_FILENO;
        if (file < 0) fail(2, arguments[5], "cannot be read");
        body = read_all(file, &length);
    }
    const int s = dial(resolve(arguments[2], arguments[3]));
    if (s < 0) fail(4, arguments[2], "no connection");
    dprintf(s, "%s %s HTTP/1.0\r\nHost: %s\r\n", posts ? "POST" : "GET", arguments[4], arguments[2]);
    if (posts) dprintf(s, "Content-Type: %s\r\nContent-Length: %zu\r\n", count > 6 ? arguments[6] : "application/json", length);
    dprintf(s, "\r\n");
    if (posts) write_all(s, body, length);
    char *answer = read_all(s, &length);
    char *head_end = strstr(answer, "\r\n\r\n");
    int status = 0;
    if (!head_end || sscanf(answer, "HTTP/1.%*d %d", &status) != 1) fail(4, arguments[2], "no whole answer");
    fprintf(stderr, "%.*s\n", (int)strcspn(answer, "\r\n"), answer);
    write_all(STDOUT_FILENO, head_end + 4, length - (size_t)(head_end + 4 - answer));
    return status / 100 == 2 ? 0 : 1;
}
