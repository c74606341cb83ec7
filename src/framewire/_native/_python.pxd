# What the codec needs of Python's C API beyond Cython's own declarations: bytes objects that grow while only
# we know them, and the inside of a list.
from cpython.object cimport PyObject

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size) except -1
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size) except NULL
    char *bytes_data "PyBytes_AS_STRING"(PyObject *bytes)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject *bytes)
    void Py_XDECREF(PyObject *object)

    ctypedef struct PyListObject:
        PyObject **ob_item
        Py_ssize_t allocated
    PyObject *new_list "PyList_New"(Py_ssize_t size) except NULL
    void Py_SET_SIZE(PyListObject *list, Py_ssize_t size)
    Py_ssize_t PyList_GET_SIZE(object list)
    PyObject *PyList_GET_ITEM(object list, Py_ssize_t index)
    int is_bytes "PyBytes_CheckExact"(PyObject *object)
    bint is_generator "PyGen_CheckExact"(object)

    const Py_ssize_t PY_SSIZE_T_MAX

# Halves and singles as the interpreter's own `struct` rounds them; 3.10 has the functions under other names.
cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030B0000
    #define PyFloat_Pack2(x, p, le) _PyFloat_Pack2(x, (unsigned char *)(p), le)
    #define PyFloat_Pack4(x, p, le) _PyFloat_Pack4(x, (unsigned char *)(p), le)
    #define PyFloat_Unpack2(p, le) _PyFloat_Unpack2((const unsigned char *)(p), le)
    #define PyFloat_Unpack4(p, le) _PyFloat_Unpack4((const unsigned char *)(p), le)
    #endif
    """
    # -1 with an exception for what is too large.
    int PyFloat_Pack2(double x, char *p, int little)
    int PyFloat_Pack4(double x, char *p, int little)
    double PyFloat_Unpack2(const char *p, int little) except? -1
    double PyFloat_Unpack4(const char *p, int little) except? -1
