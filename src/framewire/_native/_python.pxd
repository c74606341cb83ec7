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
