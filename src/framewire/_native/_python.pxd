# What we need of Python's C API beyond Cython's own declarations: bytes objects that grow while only we know
# them, the inside of lists and ints, and methods that the interpreter calls straight.
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint64_t

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

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030B0000
    #include "longintrepr.h"
    #endif
    /* 1 and the value of an int of 0 to 60 bits, else 0. Asking Python takes several times as long where it
     * has two digits, as every other u32 has. */
    static inline int fw_small_int(PyObject *number, uint64_t *value)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        const digit *digits = ((PyLongObject *)number)->long_value.ob_digit;
        uintptr_t tag = ((PyLongObject *)number)->long_value.lv_tag, size = tag >> 3;
        if ((tag & 2) || size > 2)
            return 0;
    #else
        const digit *digits = ((PyLongObject *)number)->ob_digit;
        Py_ssize_t size = Py_SIZE(number);
        if (size < 0 || size > 2)
            return 0;
    #endif
        *value = size == 0 ? 0 : digits[0];
        if (size == 2)
            *value |= (uint64_t)digits[1] << PyLong_SHIFT;
        return 1;
    }
    """
    bint fw_small_int(object number, uint64_t *value)

cdef extern from *:
    """
    /* A method of a class that Cython has made, which it would call in a slower way. */
    static inline int fw_add_method(PyTypeObject *type, PyMethodDef *method)
    {
        PyObject *descriptor = PyDescr_NewMethod(type, method);
        int failed = !descriptor || PyDict_SetItemString(type->tp_dict, method->ml_name, descriptor) < 0;
        Py_XDECREF(descriptor);
        PyType_Modified(type);
        return failed ? -1 : 0;
    }
    """
    ctypedef struct PyMethodDef:
        const char *ml_name
        void *ml_meth
        int ml_flags
        const char *ml_doc
    const int METH_FASTCALL, METH_KEYWORDS, METH_O
    int fw_add_method(PyTypeObject *, PyMethodDef *) except -1
