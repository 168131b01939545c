# SPDX-License-Identifier: MIT
"""librv.so as Python programs load it with ctypes: by the six calls' declarations alone.

The environment variable RV_LIBRARY names the library.
"""

import ctypes
import os
import tempfile
import time
import unittest


class Timespec(ctypes.Structure):
    _fields_ = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]


class Visit(ctypes.Structure):
    _fields_ = [
        ("visit_id", ctypes.c_uint32),
        ("url", ctypes.c_char_p),
        ("text", ctypes.c_char_p),
        ("time", Timespec),
    ]


def load():
    library = ctypes.CDLL(os.environ.get("RV_LIBRARY", "librv.so.1"))
    manager = ctypes.c_void_p
    user_id = visit_id = ctypes.c_uint32
    library.VisitManagerCreate.restype = manager
    library.VisitManagerCreate.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.VisitManagerFree.restype = None
    library.VisitManagerFree.argtypes = [manager]
    library.VisitManagerAddVisit.restype = ctypes.c_bool
    library.VisitManagerAddVisit.argtypes = [
        manager, user_id, visit_id, ctypes.c_char_p, ctypes.c_char_p]
    library.VisitManagerGetRecentVisits.restype = ctypes.POINTER(ctypes.POINTER(Visit))
    library.VisitManagerGetRecentVisits.argtypes = [
        manager, user_id, ctypes.POINTER(ctypes.c_size_t)]
    library.VisitManagerDelete.restype = ctypes.c_bool
    library.VisitManagerDelete.argtypes = [
        manager, user_id, ctypes.POINTER(ctypes.c_uint32), ctypes.c_size_t]
    library.VisitManagerClear.restype = None
    library.VisitManagerClear.argtypes = [manager, user_id]
    return library


class TestCtypes(unittest.TestCase):
    def setUp(self):
        self.library = load()
        self.folder = tempfile.TemporaryDirectory(prefix="librv-test-")
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "store.rv").encode()
        self.manager = None
        self.addCleanup(self.close)

    def open(self, max_visits=3):
        self.close()
        self.manager = self.library.VisitManagerCreate(self.path, max_visits)
        self.assertTrue(self.manager)

    def close(self):
        self.library.VisitManagerFree(self.manager)
        self.manager = None

    def add(self, user, visit, url=b"https://example.org/", text=b"text"):
        return self.library.VisitManagerAddVisit(self.manager, user, visit, url, text)

    def get(self, user):
        count = ctypes.c_size_t(99)
        visits = self.library.VisitManagerGetRecentVisits(
            self.manager, user, ctypes.byref(count))
        return [visits[i].contents for i in range(count.value)]

    def ids(self, user):
        return [visit.visit_id for visit in self.get(user)]

    def delete(self, user, *visits):
        ids = (ctypes.c_uint32 * len(visits))(*visits)
        return self.library.VisitManagerDelete(self.manager, user, ids, len(visits))

    def test_add_and_get(self):
        self.open()
        before = time.time_ns()
        self.assertTrue(self.add(7, 1, "https://ex\u00e4mple.org/".encode(), b""))
        after = time.time_ns()
        visit, = self.get(7)
        self.assertEqual(visit.visit_id, 1)
        self.assertEqual(visit.url.decode(), "https://ex\u00e4mple.org/")
        self.assertEqual(visit.text, b"")
        self.assertIn(visit.time.tv_sec * 10**9 + visit.time.tv_nsec, range(before, after + 1))

    def test_newest_first_up_to_the_limit(self):
        self.open()
        for visit in range(1, 8):
            self.assertTrue(self.add(2**32 - 1, visit))
        self.assertEqual(self.ids(2**32 - 1), [7, 6, 5])

    def test_known_id_changes_nothing(self):
        self.open()
        self.add(1, 1)
        self.assertTrue(self.add(1, 1, b"other"))
        self.assertEqual([visit.url for visit in self.get(1)], [b"https://example.org/"])

    def test_unknown_user_is_null(self):
        self.open()
        count = ctypes.c_size_t(99)
        visits = self.library.VisitManagerGetRecentVisits(self.manager, 5, ctypes.byref(count))
        self.assertFalse(visits)
        self.assertEqual(count.value, 0)

    def test_delete_and_clear(self):
        self.open()
        for visit in range(1, 4):
            self.add(1, visit)
        self.assertTrue(self.delete(1, 2, 9))
        self.assertFalse(self.delete(1, 2, 9))
        self.assertFalse(self.delete(1))
        self.assertEqual(self.ids(1), [3, 1])
        self.library.VisitManagerClear(self.manager, 1)
        self.assertEqual(self.ids(1), [])

    def test_kept_over_closing(self):
        self.open(10)
        for visit in range(10):
            self.add(1, visit)
        self.open(4)
        self.assertEqual(self.ids(1), [9, 8, 7, 6])

    def test_null_is_refused(self):
        self.open()
        self.assertFalse(self.add(1, 1, None))
        self.assertFalse(self.add(1, 1, b"", None))
        self.assertFalse(self.library.VisitManagerAddVisit(None, 1, 1, b"", b""))
        self.assertFalse(self.library.VisitManagerGetRecentVisits(self.manager, 1, None))
        self.assertFalse(self.library.VisitManagerDelete(self.manager, 1, None, 1))

    def test_other_file_is_left_alone(self):
        with open(self.path, "wb") as file:
            file.write(b"not a store")
        self.assertFalse(self.library.VisitManagerCreate(self.path, 10))
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"not a store")


if __name__ == "__main__":
    unittest.main(verbosity=2)
