# SPDX-License-Identifier: MIT
"""The engines of compare.py: each the fastest way that was found to do the same work."""

import ctypes
import os
import shutil
import sqlite3
import struct
import subprocess
import time

import recent_visits
from recent_visits import Visit, VisitManager

LIMIT = 10
BATCH = 1000


class Engine:
    """Without a bulk read of its own, an engine reads one user after the other."""

    def read_many(self, users):
        read = self.read
        return {user: read(user) for user in users}


class Librv(Engine):
    def __init__(self, path):
        self.manager = VisitManager(path, LIMIT)
        self.add = self.manager.add_visit
        self.add_many = self.manager.add_visits
        self.read = self.manager.get_recent_visits
        self.read_many = self.manager.get_many

    def close(self):
        self.manager.close()

    @staticmethod
    def version():
        return recent_visits.__version__


# ---- the same library by ctypes ----


class CVisit(ctypes.Structure):
    _fields_ = [
        ("visit_id", ctypes.c_uint32), ("url", ctypes.c_char_p), ("text", ctypes.c_char_p),
        ("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64),
    ]  # fmt: skip


class CInput(ctypes.Structure):
    _fields_ = [
        ("user_id", ctypes.c_uint32), ("visit_id", ctypes.c_uint32),
        ("url", ctypes.c_char_p), ("url_length", ctypes.c_size_t),
        ("text", ctypes.c_char_p), ("text_length", ctypes.c_size_t),
        ("time_ns", ctypes.c_int64), ("flags", ctypes.c_uint32), ("reserved", ctypes.c_uint32),
    ]  # fmt: skip


class Ctypes(Engine):
    def __init__(self, path):
        library = ctypes.CDLL(librv_path())
        library.VisitManagerCreate.restype = ctypes.c_void_p
        library.VisitManagerCreate.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._add = library.VisitManagerAddVisit
        self._add.restype = ctypes.c_bool
        self._add.argtypes = [
            ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_char_p,
        ]  # fmt: skip
        self._add_many = library.VisitManagerAddMany
        self._add_many.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(CInput), ctypes.c_size_t, ctypes.c_void_p,
        ]  # fmt: skip
        self._get = library.VisitManagerGetRecentVisits
        self._get.restype = ctypes.POINTER(ctypes.POINTER(CVisit))
        self._get.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_size_t)]
        self._free = library.VisitManagerFree
        self._free.argtypes = [ctypes.c_void_p]
        self.manager = library.VisitManagerCreate(os.fsencode(path), LIMIT)

    def add(self, user, visit, url, text):
        if not self._add(self.manager, user, visit, url.encode(), text.encode()):
            raise RuntimeError("add")

    def add_many(self, rows):
        inputs = (CInput * len(rows))()
        for i, (user, visit, url, text) in enumerate(rows):
            url, text = url.encode(), text.encode()
            inputs[i] = (user, visit, url, len(url), text, len(text))
        if self._add_many(self.manager, inputs, len(rows), None):
            raise RuntimeError("add many")

    def read(self, user):
        count = ctypes.c_size_t()
        visits = self._get(self.manager, user, count)
        result = []
        for i in range(count.value):
            v = visits[i].contents
            result.append(Visit(
                v.visit_id, v.url.decode("utf-8", "surrogateescape"),
                v.text.decode("utf-8", "surrogateescape"), v.seconds * 10**9 + v.nanoseconds,
            ))  # fmt: skip
        return result

    def close(self):
        self._free(self.manager)

    @staticmethod
    def version():
        return ctypes.__version__


def librv_path():
    """librv.so of the build folder that the package comes from, or RV_LIBRARY."""
    package = os.path.dirname(os.path.abspath(recent_visits.__file__))
    built = os.path.join(package, "..", "..", "..", "lib", "librv.so")
    return os.environ.get("RV_LIBRARY") or (built if os.path.exists(built) else "librv.so.1")


# ---- SQLite ----


class Sqlite(Engine):
    """A user's visits lie side by side in the primary key's tree, in order of time."""

    INSERT = """insert into visits select ?1, ?2, ?3, ?4, ?5
                where not exists (select 1 from visits where user = ?1 and id = ?3)"""
    TRIM = f"""delete from visits where user = ?1 and time <= (
                   select time from visits where user = ?1
                   order by time desc limit 1 offset {LIMIT})"""
    READ = f"select id, url, text, time from visits where user = ? order by time desc limit {LIMIT}"

    def __init__(self, path):
        self.database = sqlite3.connect(path, isolation_level=None)
        self.run = self.database.execute
        self.run("pragma journal_mode = wal")
        self.run("pragma synchronous = off")
        self.run("pragma cache_size = -1000000")
        self.run("""create table visits (user integer, time integer, id integer, url text, text text,
                    primary key (user, time)) without rowid""")

    def add(self, user, visit, url, text):
        self.run("begin")
        self.run(self.INSERT, (user, time.time_ns(), visit, url, text))
        self.run(self.TRIM, (user,))
        self.run("commit")

    def add_many(self, rows):
        now = time.time_ns()  # the key wants distinct times
        self.run("begin")
        self.database.executemany(
            self.INSERT,
            [(user, now + i, visit, url, text) for i, (user, visit, url, text) in enumerate(rows)])
        self.database.executemany(self.TRIM, [(user,) for user in {row[0] for row in rows}])
        self.run("commit")

    def read(self, user):
        return [Visit(*row) for row in self.run(self.READ, (user,))]

    def close(self):
        self.database.close()

    @staticmethod
    def version():
        return sqlite3.sqlite_version


# ---- LMDB ----

HEADERS = [struct.Struct(f"={n}q{n}I") for n in range(LIMIT + 1)]
KEY = struct.Struct("=I").pack


class Lmdb(Engine):
    """One value a user: times, ids, then the strings with NULs between, newest first.

    So a read is one look-up, and its strings are decoded all at once, just as recent_visits does it.
    """

    def __init__(self, path):
        self.environment = lmdb.open(
            path, subdir=False, map_size=1 << 32, sync=False, metasync=False, writemap=True,
            map_async=True, max_dbs=0, lock=True)  # fmt: skip

    @staticmethod
    def changed(old, visit, url, text):
        """The user's new value, None if it has the visit."""
        strings = f"{url}\0{text}".encode("utf-8", "surrogateescape")
        if old is None:
            return HEADERS[1].pack(time.time_ns(), visit) + strings
        count = old[0]
        numbers = HEADERS[count].unpack_from(old, 1)
        times, ids = numbers[:count], numbers[count:]
        if visit in ids:
            return None
        before = old[1 + 12 * count :]
        if count == LIMIT:
            count -= 1
            times, ids = times[:count], ids[:count]
            before = before.rsplit(b"\0", 2)[0]
        header = HEADERS[count + 1].pack(time.time_ns(), *times, visit, *ids)
        return header + strings + b"\0" + before

    @classmethod
    def put(cls, transaction, user, visit, url, text):
        key = KEY(user)
        old = transaction.get(key)
        new = cls.changed(old, visit, url, text)
        if new is not None:
            count = 1 if old is None else min(old[0] + 1, LIMIT)
            transaction.put(key, bytes((count,)) + new)

    def add(self, user, visit, url, text):
        with self.environment.begin(write=True) as transaction:
            self.put(transaction, user, visit, url, text)

    def add_many(self, rows):
        with self.environment.begin(write=True) as transaction:
            for row in rows:
                self.put(transaction, *row)

    @staticmethod
    def decode(value):
        if value is None:
            return []
        count = value[0]
        numbers = HEADERS[count].unpack_from(value, 1)
        strings = value[1 + 12 * count :].decode("utf-8", "surrogateescape").split("\0")
        return list(map(Visit, numbers[count:], strings[::2], strings[1::2], numbers))

    def read(self, user):
        with self.environment.begin() as transaction:
            value = transaction.get(KEY(user))
        return self.decode(value)

    def read_many(self, users):
        with self.environment.begin() as transaction:
            get = transaction.get
            return {user: self.decode(get(KEY(user))) for user in users}

    def close(self):
        self.environment.close()

    @staticmethod
    def version():
        return ".".join(map(str, lmdb.version()))


# ---- Redis ----


class Redis(Engine):
    """A server of its own on a socket, without persistence; two lists a user."""

    ADD = f"""
        if redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
        redis.call('LPUSH', KEYS[1], ARGV[1])
        redis.call('LPUSH', KEYS[2], ARGV[2])
        redis.call('LTRIM', KEYS[1], 0, {LIMIT - 1})
        redis.call('LTRIM', KEYS[2], 0, {LIMIT - 1})
        return 1"""
    HEADER = struct.Struct("=qI")

    def __init__(self, path):
        socket = path + ".socket"
        self.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no",
             "--dir", os.path.dirname(path)],
            stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=socket)
        while True:
            try:
                self.client.ping()
                break
            except redis.ConnectionError:
                if self.server.poll() is not None:
                    raise
                time.sleep(0.01)
        self.script = self.client.script_load(self.ADD)

    def put(self, client, user, visit, url, text):
        value = self.HEADER.pack(time.time_ns(), visit) + f"{url}\0{text}".encode("utf-8", "surrogateescape")
        client.evalsha(self.script, 2, f"i{user}", f"v{user}", visit, value)

    def add(self, user, visit, url, text):
        self.put(self.client, user, visit, url, text)

    def add_many(self, rows):
        pipeline = self.client.pipeline(transaction=False)
        for row in rows:
            self.put(pipeline, *row)
        pipeline.execute()

    def decode(self, values):
        result = []
        for value in values:
            when, visit = self.HEADER.unpack_from(value)
            url, text = value[12:].decode("utf-8", "surrogateescape").split("\0")
            result.append(Visit(visit, url, text, when))
        return result

    def read(self, user):
        return self.decode(self.client.lrange(f"v{user}", 0, -1))

    def read_many(self, users):
        pipeline = self.client.pipeline(transaction=False)
        for user in users:
            pipeline.lrange(f"v{user}", 0, -1)
        return dict(zip(users, map(self.decode, pipeline.execute())))

    def close(self):
        self.client.close()
        self.server.terminate()
        self.server.wait()

    @staticmethod
    def version():
        return redis.__version__


ENGINES = {"librv": Librv, "ctypes": Ctypes, "sqlite3": Sqlite}
MISSING = {}

try:
    import lmdb

    ENGINES["lmdb"] = Lmdb
except ImportError:
    MISSING["lmdb"] = "python3-lmdb is not installed"

try:
    import redis

    if shutil.which("redis-server"):
        ENGINES["redis"] = Redis
    else:
        MISSING["redis"] = "redis-server is not installed"
except ImportError:
    MISSING["redis"] = "python3-redis is not installed"
