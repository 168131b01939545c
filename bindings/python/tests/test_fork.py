# SPDX-License-Identifier: MIT
"""Processes: fork, the start methods of multiprocessing, servers that fork workers beforehand."""

import multiprocessing
import os
import threading

import pytest
from conftest import ids

from recent_visits import VisitBusyError, VisitForkedError, VisitManager


def in_child(function):
    """Runs a function in a forked child; its exception is a failure here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            function()
            status = 0
        except BaseException as error:
            os.write(writer, repr(error).encode()[:4000])
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as file:
        message = file.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, message


def test_a_childs_calls_fail_with_advice(manager):
    manager.add_visit(1, 1, "u", "t")
    begun = iter(manager)

    def child():
        for call in (
            lambda: manager.get_recent_visits(1),
            lambda: manager.add_visit(1, 2, "u", "t"),
            lambda: manager.add_visits([(1, 2, "u", "t")]),
            lambda: manager.get_many([1]),
            lambda: next(begun),
            lambda: manager.sync(),
            lambda: 1 in manager,
        ):
            with pytest.raises(VisitForkedError, match="open it again"):
                call()
        manager.close()
        manager.close()

    in_child(child)
    manager.add_visit(1, 3, "u", "t")
    assert ids(manager.get_recent_visits(1)) == [3, 1]
    assert list(begun) == [1]


def test_a_child_reads_with_a_manager_of_its_own(path, manager):
    manager.add_visit(1, 1, "u", "t")

    def child():
        with pytest.raises(VisitBusyError):
            VisitManager(path)
        with VisitManager(path, mode="read-only") as reader:
            assert ids(reader.get_recent_visits(1)) == [1]

    in_child(child)


def test_a_child_that_lives_on_does_not_keep_the_store(path):
    manager = VisitManager(path)
    manager.add_visit(1, 1, "u", "t")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    try:
        manager.close()
        with VisitManager(path) as again:
            again.add_visit(1, 2, "u", "t")
    finally:
        os.close(writer)
        assert os.waitpid(child, 0)[1] == 0


def test_garbage_in_a_child_warns_of_nothing(path, run):
    out = run("""
import gc, os, sys, warnings
from recent_visits import VisitManager
warnings.simplefilter("always")
manager = VisitManager(sys.argv[1])
manager.add_visit(1, 1, "u", "t")
if os.fork() == 0:
    sys.stderr = sys.stdout
    del manager
    gc.collect()
    sys.stdout.flush()
    os._exit(0)
assert os.wait()[1] == 0
assert manager.get_recent_visits(1)
manager.close()
""", path)
    assert out == ""


def test_forks_while_threads_are_inside_calls(path):
    with VisitManager(path) as manager:
        manager.add_visits((user, 1, "u", "t") for user in range(2000))
        stop = threading.Event()

        def work(call):
            while not stop.is_set():
                call()

        threads = [threading.Thread(target=work, args=(call,)) for call in (
            lambda: manager.add_visit(1, 1, "u", "t"),
            lambda: manager.get_many(range(500)),
            lambda: list(manager.counts()),
        )]
        for thread in threads:
            thread.start()
        try:
            def child():
                with pytest.raises(VisitForkedError):
                    manager.get_recent_visits(1)
                manager.close()  # waits for nobody: those threads are not here
                with VisitManager(path, mode="read-only") as reader:
                    assert len(reader.get_recent_visits(1)) == 1

            for _ in range(30):
                in_child(child)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert manager.verify() == []


# ---- multiprocessing ----

def read_in_worker(manager, queue):
    queue.put(ids(manager.get_recent_visits(1)))
    manager.close()


def open_in_worker(path, queue):
    with VisitManager(path, mode="read-only") as manager:
        queue.put(ids(manager.get_recent_visits(1)))


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_open_by_path(path, manager, method):
    manager.add_visit(1, 7, "u", "t")
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    worker = context.Process(target=open_in_worker, args=(str(path), queue))
    worker.start()
    assert queue.get() == [7]
    worker.join()
    assert worker.exitcode == 0


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_read_only_manager_travels_to_a_worker(path, manager, method):
    manager.add_visit(1, 7, "u", "t")
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    with VisitManager(path, mode="read-only") as reader:
        worker = context.Process(target=read_in_worker, args=(reader, queue))
        worker.start()
        assert queue.get() == [7]
        worker.join()
    assert worker.exitcode == 0


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_an_exclusive_manager_does_not_travel(manager, method):
    context = multiprocessing.get_context(method)
    worker = context.Process(target=read_in_worker, args=(manager, None))
    with pytest.raises(TypeError, match="cannot pickle.*read-only"):
        worker.start()


# ---- a server that loads the application before it forks its workers ----

def test_workers_of_a_server_that_forks_beforehand(path, manager):
    """The master writes; each worker opens the store for itself after the fork."""
    manager.add_visits((user, user, "u", "t") for user in range(100))
    with VisitManager(path, mode="read-only") as inherited:
        assert ids(inherited.get_recent_visits(1)) == [1]

        def worker():
            with pytest.raises(VisitForkedError):
                inherited.get_recent_visits(1)
            with VisitManager(path, mode="read-only") as own:
                for user in range(100):
                    assert ids(own.get_recent_visits(user)) == [user]

        for _ in range(4):
            in_child(worker)
        assert ids(inherited.get_recent_visits(2)) == [2]


def test_a_child_that_ends_inside_a_callback(path, folder):
    manager = VisitManager(path)
    manager.add_visit(1, 1, "u", "t")
    children = []

    def progress(*_):
        if not children:
            child = os.fork()
            if child == 0:
                raise SystemExit  # leaves the call that the parent is in
            children.append(child)

    try:
        manager.backup(folder / "copy.rv", progress=progress)
    except SystemExit:
        manager.close()
        os._exit(0)
    assert os.waitpid(children[0], 0)[1] == 0
    manager.close()
