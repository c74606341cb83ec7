/* The floor of decoding: the same bytes objects made in C with nothing else to do.
 *
 * A Floor holds the whole stream in one piece, so that no frame is ever split; u32(chunk) and lines(chunk)
 * are told how much further the stream may be read and return the frames that end by there. The list has
 * its final size at once when all frames are as long as the first. No limit, no error, no state of a frame. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    PyObject_HEAD
    PyObject *stream;
    Py_ssize_t at, end;
} Floor;

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Floor *self;
    PyObject *stream;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "S", &stream))
        return NULL;
    self = (Floor *)type->tp_alloc(type, 0);
    if (self != NULL) {
        Py_INCREF(stream);
        self->stream = stream;
    }
    return (PyObject *)self;
}

static void dealloc(Floor *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->stream);
    type->tp_free(self);
    Py_DECREF(type);
}

static Py_ssize_t load(const uint8_t *p)
{
    return (Py_ssize_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

/* Puts data[0..size) in the list, whose first *count places of `room` are taken; 0, or -1 with an error. */
static inline int put(PyObject *list, Py_ssize_t *count, Py_ssize_t room, const uint8_t *data, Py_ssize_t size)
{
    PyObject *frame = PyBytes_FromStringAndSize((const char *)data, size);
    int status = 0;
    if (frame == NULL)
        return -1;
    if (*count < room) {
        PyList_SET_ITEM(list, *count, frame);
    } else {
        status = PyList_Append(list, frame);
        Py_DECREF(frame);
    }
    ++*count;
    return status;
}

static PyObject *finish(PyObject *list, Py_ssize_t count, Py_ssize_t room, int status)
{
    if (count < room)
        Py_SET_SIZE(list, count);
    if (status < 0) {
        Py_DECREF(list);
        return NULL;
    }
    return list;
}

static int advance(Floor *self, PyObject *chunk)
{
    Py_ssize_t size = PyBytes_Size(chunk);
    if (size < 0)
        return -1;
    self->end = Py_MIN(self->end + size, PyBytes_GET_SIZE(self->stream));
    return 0;
}

static PyObject *u32(Floor *self, PyObject *chunk)
{
    const uint8_t *data = (const uint8_t *)PyBytes_AS_STRING(self->stream);
    Py_ssize_t count = 0, room = 0, at = self->at, end;
    PyObject *list;
    int status = 0;
    if (advance(self, chunk) < 0)
        return NULL;
    end = self->end;
    if (end - at >= 4)
        room = (end - at) / (4 + load(data + at));
    list = PyList_New(room);
    if (list == NULL)
        return NULL;
    while (status == 0 && end - at >= 4) {
        Py_ssize_t size = load(data + at);
        if (size > end - at - 4)
            break;
        status = put(list, &count, room, data + at + 4, size);
        at += 4 + size;
    }
    self->at = at;
    return finish(list, count, room, status);
}

static PyObject *lines(Floor *self, PyObject *chunk)
{
    const uint8_t *data = (const uint8_t *)PyBytes_AS_STRING(self->stream), *hit;
    Py_ssize_t count = 0, room = 0, at = self->at, end;
    PyObject *list;
    int status = 0;
    if (advance(self, chunk) < 0)
        return NULL;
    end = self->end;
    hit = memchr(data + at, '\n', (size_t)(end - at));
    if (hit != NULL)
        room = (end - at) / (hit + 1 - (data + at));
    list = PyList_New(room);
    if (list == NULL)
        return NULL;
    while (status == 0 && hit != NULL) {
        status = put(list, &count, room, data + at, hit - (data + at));
        at = hit + 1 - data;
        hit = memchr(data + at, '\n', (size_t)(end - at));
    }
    self->at = at;
    return finish(list, count, room, status);
}

static PyMethodDef methods[] = {
    {"u32", (PyCFunction)(void (*)(void))u32, METH_O, "The next frames behind four-byte lengths."},
    {"lines", (PyCFunction)(void (*)(void))lines, METH_O, "The next lines, without their LF."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, (void *)(uintptr_t)make},
    {Py_tp_dealloc, (void *)(uintptr_t)dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {"bench_floor.Floor", sizeof(Floor), 0, Py_TPFLAGS_DEFAULT, slots};
static struct PyModuleDef definition = {.m_base = PyModuleDef_HEAD_INIT, .m_name = "bench_floor", .m_size = -1};

PyMODINIT_FUNC PyInit_bench_floor(void)
{
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = PyType_FromSpec(&spec);
    if (module == NULL || type == NULL || PyModule_AddObject(module, "Floor", type) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
