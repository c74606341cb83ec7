/* The floor of serving: an echo server of u32-framed messages on epoll, and the load for every server.
 *
 * serve has one block of 256 KiB for all connections: it receives there, copies each whole frame to the replies
 * and sends them with one call; what is left of a frame, and replies the kernel does not take, wait in memory of
 * the connection. load keeps `depth` requests in flight on each of `connections`, compares every reply with what
 * it sent, and measures from the first of `requests` to the last reply: the time that has passed, and that for
 * which the server's main thread has run. Connecting is not measured: each has had one reply before. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1 << 18)
#define READY 256

struct part {
    uint8_t *data;
    size_t size;
};

struct conn {
    int fd;
    struct part tail, unsent;
};

static void keep(struct part *part, const uint8_t *data, size_t size)
{
    free(part->data);
    part->data = size ? malloc(size) : NULL;
    part->size = size;
    if (size)
        memcpy(part->data, data, size);
}

static size_t frame_size(const uint8_t *p)
{
    return 4 + ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
}

static void watch(int poll, struct conn *conn, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    epoll_ctl(poll, how, conn->fd, &event);
}

static void end(struct conn *conn)
{
    close(conn->fd);
    free(conn->tail.data);
    free(conn->unsent.data);
    free(conn);
}

static void answer(int poll, struct conn *conn, uint8_t *in, uint8_t *out)
{
    size_t have = conn->tail.size, at = 0, size;
    if (conn->unsent.size) {
        const ssize_t gone = send(conn->fd, conn->unsent.data, conn->unsent.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (gone > 0) {
            struct part rest = conn->unsent;
            conn->unsent.data = NULL;
            keep(&conn->unsent, rest.data + gone, rest.size - (size_t)gone);
            free(rest.data);
        }
        if (conn->unsent.size)
            return;
        watch(poll, conn, EPOLL_CTL_MOD, EPOLLIN);
    }
    if (have)
        memcpy(in, conn->tail.data, have);
    const ssize_t n = recv(conn->fd, in + have, BLOCK - have, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            end(conn);
        return;
    }
    have += (size_t)n;
    size_t made = 0;
    while (have - at >= 4 && (size = frame_size(in + at)) <= have - at) {
        memcpy(out + made, in + at, size);
        made += size;
        at += size;
    }
    keep(&conn->tail, in + at, have - at);
    if (made) {
        ssize_t gone = send(conn->fd, out, made, MSG_NOSIGNAL | MSG_DONTWAIT);
        gone = gone < 0 ? 0 : gone;
        if ((size_t)gone < made) {
            keep(&conn->unsent, out + gone, made - (size_t)gone);
            watch(poll, conn, EPOLL_CTL_MOD, EPOLLOUT);
        }
    }
}

static PyObject *serve(PyObject *self, PyObject *args)
{
    int listener;
    (void)self;
    if (!PyArg_ParseTuple(args, "i", &listener))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    {
        const int poll = epoll_create1(0), on = 1;
        struct epoll_event events[READY], first = {.events = EPOLLIN, .data.ptr = NULL};
        uint8_t *in = malloc(BLOCK), *out = malloc(BLOCK);
        epoll_ctl(poll, EPOLL_CTL_ADD, listener, &first);
        for (;;) { /* until it is killed */
            const int count = epoll_wait(poll, events, READY, -1);
            for (int i = 0; i < count; i++) {
                if (events[i].data.ptr) {
                    answer(poll, events[i].data.ptr, in, out);
                    continue;
                }
                const int fd = accept(listener, NULL, NULL);
                if (fd < 0)
                    continue;
                struct conn *conn = calloc(1, sizeof *conn);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                conn->fd = fd;
                watch(poll, conn, EPOLL_CTL_ADD, EPOLLIN);
            }
        }
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

struct client {
    int fd;
    size_t got; /* bytes of the reply that is under way */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Seconds that the main thread of a process has had a CPU. */
static double running(int pid)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &ns) != 1)
        ns = 0;
    fclose(file);
    return 1e-9 * (double)ns;
}

struct crowd {
    struct client *clients;
    int count, poll;
    uint8_t *wire, *back; /* requests of `size` bytes each, and room for replies */
    size_t size;
};

static int say(int fd, const uint8_t *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* `depth` requests on each connection, then a new one for every reply until `requests` are sent; waits for all
 * replies. What has failed, or NULL. */
static const char *exchange(struct crowd *crowd, int depth, Py_ssize_t requests, Py_ssize_t *replies)
{
    const size_t size = crowd->size;
    struct epoll_event events[READY];
    Py_ssize_t sent = 0;
    *replies = 0;
    for (int i = 0; i < crowd->count; i++, sent += depth)
        if (!say(crowd->clients[i].fd, crowd->wire, size * (size_t)depth))
            return "cannot send";
    while (*replies < sent) {
        const int ready = epoll_wait(crowd->poll, events, READY, 30000);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready ? "cannot wait" : "no reply within 30 s";
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            const ssize_t n = recv(client->fd, crowd->back, BLOCK, 0);
            size_t at = 0, whole = 0;
            if (n <= 0)
                return "the server ended a connection";
            while (at < (size_t)n) {
                const size_t left = size - client->got, more = left < (size_t)n - at ? left : (size_t)n - at;
                if (memcmp(crowd->back + at, crowd->wire + client->got, more))
                    return "a reply is not what was sent";
                at += more;
                client->got += more;
                if (client->got == size) {
                    client->got = 0;
                    whole++;
                }
            }
            *replies += (Py_ssize_t)whole;
            if (sent < requests && whole) {
                if (!say(client->fd, crowd->wire, size * whole))
                    return "cannot send";
                sent += (Py_ssize_t)whole;
            }
        }
    }
    return NULL;
}

static PyObject *load(PyObject *self, PyObject *args)
{
    int port, count, depth, pid;
    Py_ssize_t requests, replies = 0;
    Py_buffer body;
    const char *failure = NULL;
    double seconds = 0, cost = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "iiiny*i", &port, &count, &depth, &requests, &body, &pid))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    {
        struct crowd crowd = {.count = count, .poll = epoll_create1(0), .size = (size_t)body.len + 4};
        crowd.wire = malloc(crowd.size * (size_t)depth), crowd.back = malloc(BLOCK);
        crowd.clients = calloc((size_t)count, sizeof *crowd.clients);
        for (int i = 0; i < depth; i++) {
            uint8_t *p = crowd.wire + (size_t)i * crowd.size;
            p[0] = (uint8_t)(body.len >> 24), p[1] = (uint8_t)(body.len >> 16);
            p[2] = (uint8_t)(body.len >> 8), p[3] = (uint8_t)body.len;
            memcpy(p + 4, body.buf, (size_t)body.len);
        }
        for (int i = 0; i < count && !failure; i++) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = crowd.clients + i};
            crowd.clients[i].fd = dial(port);
            if (crowd.clients[i].fd < 0)
                failure = "cannot connect";
            else
                epoll_ctl(crowd.poll, EPOLL_CTL_ADD, crowd.clients[i].fd, &event);
        }
        /* Who has answered once has accepted, and has buried who came before. */
        if (!failure)
            failure = exchange(&crowd, 1, 0, &replies);
        seconds = -now(), cost = -running(pid);
        if (!failure)
            failure = exchange(&crowd, depth, requests, &replies);
        seconds += now(), cost += running(pid);
        for (int i = 0; i < count; i++)
            if (crowd.clients[i].fd > 0)
                close(crowd.clients[i].fd);
        close(crowd.poll);
        free(crowd.clients);
        free(crowd.wire);
        free(crowd.back);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&body);
    if (failure) {
        PyErr_Format(PyExc_ConnectionError, "load: %s", failure);
        return NULL;
    }
    return Py_BuildValue("dnd", seconds, replies, cost);
}

static PyMethodDef functions[] = {
    {"serve", serve, METH_VARARGS, "serve(listening fd): for ever"},
    {"load", load, METH_VARARGS,
     "load(port, connections, depth, requests, body, pid): seconds, replies, CPU seconds of that process"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "bench_serve", NULL, 0, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_bench_serve(void)
{
    return PyModule_Create(&module);
}
