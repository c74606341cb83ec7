/* The floor of live messaging: u32-framed messages over a socket, in C alone.
 *
 * send_batch writes 256 KiB of frames at a time, send_each one frame a call, header and body in one piece.
 * receive has one buffer of 256 KiB and gives each frame memory of its own, as an interface that hands out
 * owned frames must: a large one is received straight into it. reuse receives large frames into one kept buffer.
 * Every receiver, and ping, returns (seconds from the first bytes to the last, frames, their bytes, the sum of
 * these if `check`). */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BLOCK (1 << 18)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int send_all(int fd, const uint8_t *p, size_t size)
{
    while (size) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

/* recv(2), for which an early end is an error, too. */
static ssize_t some(int fd, uint8_t *p, size_t size)
{
    const ssize_t n = recv(fd, p, size, 0);
    if (n == 0)
        errno = ECONNRESET;
    return n > 0 ? n : -1;
}

static int take(int fd, uint8_t *p, size_t size)
{
    while (size) {
        const ssize_t n = some(fd, p, size);
        if (n < 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

static void put_head(uint8_t *p, size_t size)
{
    p[0] = (uint8_t)(size >> 24), p[1] = (uint8_t)(size >> 16), p[2] = (uint8_t)(size >> 8), p[3] = (uint8_t)size;
}

static size_t head(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static PyObject *sent(int failed)
{
    if (failed) {
        PyErr_SetFromErrno(PyExc_OSError);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *send_batch(PyObject *self, PyObject *args)
{
    int fd, failed = 0;
    Py_ssize_t count;
    Py_buffer body;
    (void)self;
    if (!PyArg_ParseTuple(args, "iy*n", &fd, &body, &count))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    {
        const size_t size = (size_t)body.len, frame = size + 4, many = frame < BLOCK ? BLOCK / frame : 1;
        uint8_t *block = malloc(many * frame);
        for (size_t i = 0; i < many; i++) {
            put_head(block + i * frame, size);
            memcpy(block + i * frame + 4, body.buf, size);
        }
        while (count > 0 && !failed) {
            const size_t next = (size_t)count < many ? (size_t)count : many;
            failed = send_all(fd, block, next * frame);
            count -= (Py_ssize_t)next;
        }
        free(block);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&body);
    return sent(failed);
}

static PyObject *send_each(PyObject *self, PyObject *args)
{
    int fd, failed = 0;
    Py_ssize_t count;
    Py_buffer body;
    (void)self;
    if (!PyArg_ParseTuple(args, "iy*n", &fd, &body, &count))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    {
        const size_t size = (size_t)body.len;
        uint8_t *frame = malloc(size + 4);
        for (; count > 0 && !failed; count--) {
            put_head(frame, size);
            memcpy(frame + 4, body.buf, size);
            failed = send_all(fd, frame, size + 4);
        }
        free(frame);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&body);
    return sent(failed);
}

static uint64_t sum(const uint8_t *p, size_t size)
{
    uint64_t total = 0;
    for (size_t i = 0; i < size; i++)
        total += p[i];
    return total;
}

/* Keeps the compiler from leaving out the memory of a frame that nobody looks at. */
static volatile uint8_t *seen;

static PyObject *receive(PyObject *self, PyObject *args)
{
    int fd, check, failed = 0;
    Py_ssize_t count, got = 0;
    uint64_t bytes = 0, total = 0;
    double start = 0, end = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "inp", &fd, &count, &check))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    {
        uint8_t *block = malloc(BLOCK);
        size_t have = 0, at = 0;
        while (got < count) {
            if (have - at >= 4) {
                const size_t size = head(block + at), left = have - at - 4;
                if (size <= left || size > BLOCK - 4) {
                    uint8_t *frame = malloc(size + 1);
                    const size_t first = size < left ? size : left;
                    memcpy(frame, block + at + 4, first);
                    at += 4 + first;
                    failed = take(fd, frame + first, size - first);
                    if (failed) {
                        free(frame);
                        break;
                    }
                    if (check)
                        total += sum(frame, size);
                    seen = frame;
                    free(frame);
                    got++;
                    bytes += size;
                    continue;
                }
            }
            memmove(block, block + at, have - at);
            have -= at;
            at = 0;
            const ssize_t n = some(fd, block + have, BLOCK - have);
            if (n < 0) {
                failed = 1;
                break;
            }
            if (start == 0)
                start = now();
            have += (size_t)n;
        }
        end = now();
        free(block);
    }
    Py_END_ALLOW_THREADS
    if (failed)
        return sent(1);
    return Py_BuildValue("dnKK", end - start, got, (unsigned long long)bytes, (unsigned long long)total);
}

static PyObject *reuse(PyObject *self, PyObject *args)
{
    int fd, check, failed = 0;
    Py_ssize_t count, got = 0;
    Py_buffer room;
    uint64_t bytes = 0, total = 0;
    double start = 0, end;
    (void)self;
    if (!PyArg_ParseTuple(args, "iw*np", &fd, &room, &count, &check))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    while (got < count && !failed) {
        uint8_t header[4];
        failed = take(fd, header, 4);
        if (start == 0)
            start = now();
        if (failed || head(header) > (size_t)room.len)
            break;
        failed = take(fd, room.buf, head(header));
        if (check)
            total += sum(room.buf, head(header));
        bytes += head(header);
        got++;
    }
    end = now();
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&room);
    if (failed)
        return sent(1);
    return Py_BuildValue("dnKK", end - start, got, (unsigned long long)bytes, (unsigned long long)total);
}

/* A conversation: one receive a message where one suffices, as its size is known. */
static PyObject *echo(PyObject *self, PyObject *args)
{
    int fd, failed = 0;
    Py_ssize_t size, count;
    (void)self;
    if (!PyArg_ParseTuple(args, "inn", &fd, &size, &count))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    {
        uint8_t *frame = malloc((size_t)size + 4);
        for (; count > 0 && !failed; count--)
            failed = take(fd, frame, (size_t)size + 4) || send_all(fd, frame, (size_t)size + 4);
        free(frame);
    }
    Py_END_ALLOW_THREADS
    return sent(failed);
}

static PyObject *ping(PyObject *self, PyObject *args)
{
    int fd, check, failed = 0;
    Py_ssize_t count, got = 0;
    Py_buffer body;
    uint64_t bytes = 0, total = 0;
    double start, end;
    (void)self;
    if (!PyArg_ParseTuple(args, "iy*np", &fd, &body, &count, &check))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    {
        const size_t size = (size_t)body.len + 4;
        uint8_t *request = malloc(size), *reply = malloc(size);
        put_head(request, size - 4);
        memcpy(request + 4, body.buf, size - 4);
        start = now();
        for (; got < count && !failed; got++) {
            failed = send_all(fd, request, size) || take(fd, reply, size);
            if (check && !failed) {
                bytes += head(reply);
                total += sum(reply + 4, size - 4);
            }
        }
        end = now();
        free(request);
        free(reply);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&body);
    if (failed)
        return sent(1);
    return Py_BuildValue("dnKK", end - start, got, (unsigned long long)bytes, (unsigned long long)total);
}

static PyMethodDef functions[] = {
    {"send_batch", send_batch, METH_VARARGS, "send_batch(fd, body, count)"},
    {"send_each", send_each, METH_VARARGS, "send_each(fd, body, count)"},
    {"receive", receive, METH_VARARGS, "receive(fd, count, check)"},
    {"reuse", reuse, METH_VARARGS, "reuse(fd, room, count, check)"},
    {"echo", echo, METH_VARARGS, "echo(fd, size, count)"},
    {"ping", ping, METH_VARARGS, "ping(fd, body, count, check)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "bench_live", NULL, 0, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_bench_live(void)
{
    return PyModule_Create(&module);
}
