/* SPDX-License-Identifier: MIT */
/*
 * The module recent_visits._decode: makes Python objects of results. It lies in the same file as
 * the module that cffi makes, which calls the library but cannot make objects other than its own.
 *
 * Its functions are called by the package alone, which hands them addresses of its buffers.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "shim.h"

#include <string.h>

/*
 * The base of the class Visit. Its objects are not known to the garbage collector: they hold
 * numbers and strings, so a collection has nothing to find in them.
 */
struct record {
    PyObject base;
    PyObject *visit_id;
    PyObject *url;
    PyObject *text;
    PyObject *time; /* an int, nanoseconds; or what the caller gave */
};

static PyTypeObject *record_type;

static void replace(PyObject **place, PyObject *value)
{
    PyObject *old = *place;
    Py_INCREF(value);
    *place = value;
    Py_XDECREF(old);
}

static int record_init(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"visit_id", (char *)"url", (char *)"text", (char *)"time",
                            NULL};
    struct record *r = (struct record *)self;
    PyObject *visit_id, *url, *text, *time;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOO:Visit", names, &visit_id, &url, &text,
                                     &time)) {
        return -1;
    }
    replace(&r->visit_id, visit_id);
    replace(&r->url, url);
    replace(&r->text, text);
    replace(&r->time, time);
    return 0;
}

static void record_free(PyObject *self)
{
    struct record *r = (struct record *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(r->visit_id);
    Py_XDECREF(r->url);
    Py_XDECREF(r->text);
    Py_XDECREF(r->time);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMemberDef record_members[] = {
    {"visit_id", T_OBJECT_EX, offsetof(struct record, visit_id), 0, NULL},
    {"url", T_OBJECT_EX, offsetof(struct record, url), 0, NULL},
    {"text", T_OBJECT_EX, offsetof(struct record, text), 0, NULL},
    {"_time", T_OBJECT_EX, offsetof(struct record, time), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static const char record_doc[] = "Record(visit_id, url, text, time)\n--\n\nThe base of Visit.";

static PyType_Slot record_slots[] = {
    {Py_tp_doc, (void *)record_doc},
    {Py_tp_init, record_init},
    {Py_tp_dealloc, record_free},
    {Py_tp_members, record_members},
    {0, NULL},
};

static PyType_Spec record_spec = {
    .name = "recent_visits._decode.Record",
    .basicsize = sizeof(struct record),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = record_slots,
};

/* ---- results ---- */

/* The string that begins there; *at becomes what follows its NUL. By its length: a NUL inside is
 * damage, and must not shift the strings that follow. */
static PyObject *take_string(const char **at, uint32_t length)
{
    const char *begin = *at;
    *at += (size_t)length + 1;
    return PyUnicode_DecodeUTF8(begin, length, "surrogateescape");
}

static PyObject *make(PyTypeObject *type, uint32_t visit_id, int64_t time_ns,
                      const uint32_t lengths[2], const char **strings)
{
    struct record *r = (struct record *)PyType_GenericAlloc(type, 0);
    if (!r) {
        return NULL;
    }
    r->visit_id = PyLong_FromUnsignedLong(visit_id);
    r->url = take_string(strings, lengths[0]);
    r->text = take_string(strings, lengths[1]);
    r->time = PyLong_FromLongLong(time_ns);
    if (!r->visit_id || !r->url || !r->text || !r->time) {
        Py_DECREF(r);
        return NULL;
    }
    return (PyObject *)r;
}

/* The first argument: a subclass of Record. */
static PyTypeObject *class_of(PyObject *const *args, Py_ssize_t given, Py_ssize_t wanted)
{
    if (given != wanted || !PyType_Check(args[0]) ||
        !PyType_IsSubtype((PyTypeObject *)args[0], record_type)) {
        PyErr_SetString(PyExc_TypeError, "a subclass of Record and the right number of arguments");
        return NULL;
    }
    return (PyTypeObject *)args[0];
}

/* unpack(class, address, result): the list of what rv_py_read() wrote. */
static PyObject *unpack(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    PyTypeObject *type = class_of(args, n, 3);
    const char *at = type ? PyLong_AsVoidPtr(args[1]) : NULL;
    long long result = at ? PyLong_AsLongLong(args[2]) : -1;
    if (PyErr_Occurred() || result < 0) {
        return NULL;
    }
    Py_ssize_t count = (Py_ssize_t)(result & 0xffff);
    const char *strings = at + count * RV_PY_NUMBERS_SIZE;
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        uint32_t numbers[3]; /* visit id, lengths */
        int64_t time_ns;
        memcpy(numbers, at, sizeof numbers);
        memcpy(&time_ns, at + sizeof numbers, sizeof time_ns);
        at += RV_PY_NUMBERS_SIZE;
        PyObject *visit = make(type, numbers[0], time_ns, &numbers[1], &strings);
        if (!visit || PyList_SetItem(list, i, visit)) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* The next count visits of a block; *visit and *strings go on behind them. */
static PyObject *take_user(PyTypeObject *type, const rv_py_block *block, size_t *visit,
                           const char **strings, uint32_t count)
{
    PyObject *list = PyList_New(count);
    for (uint32_t i = 0; list && i < count; i++, (*visit)++) {
        PyObject *item = make(type, block->visit_ids[*visit], block->times[*visit],
                              block->lengths + 2 * *visit, strings);
        if (!item || PyList_SetItem(list, i, item)) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* unpack_many(class, address, count): lists of what rv_py_read_many() found, one a user. */
static PyObject *unpack_many(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    PyTypeObject *type = class_of(args, n, 3);
    const rv_py_block *block = type ? PyLong_AsVoidPtr(args[1]) : NULL;
    Py_ssize_t users = block ? PyLong_AsSsize_t(args[2]) : -1;
    if (PyErr_Occurred() || users < 0) {
        return NULL;
    }
    PyObject *result = PyList_New(users);
    size_t visit = 0;
    const char *strings = block->strings;
    for (Py_ssize_t i = 0; result && i < users; i++) {
        PyObject *list = take_user(type, block, &visit, &strings, block->counts[i]);
        if (!list || PyList_SetItem(result, i, list)) {
            Py_CLEAR(result);
        }
    }
    return result;
}

/* ---- the module ---- */

/* By way of a void pointer: the function takes its arguments as an array (METH_FASTCALL). */
#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"unpack", FAST(unpack), METH_FASTCALL, "unpack(class, address, result): a list"},
    {"unpack_many", FAST(unpack_many), METH_FASTCALL, "unpack_many(class, address, users): lists"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "recent_visits._decode",
    .m_doc = "Makes Python objects of results. No part of the interface.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__decode(void);

PyMODINIT_FUNC PyInit__decode(void)
{
    PyObject *module = PyModule_Create(&definition);
    record_type = module ? (PyTypeObject *)PyType_FromSpec(&record_spec) : NULL;
    if (!record_type || PyModule_AddObjectRef(module, "Record", (PyObject *)record_type)) {
        Py_CLEAR(module);
    }
    return module;
}
