# SPDX-License-Identifier: MIT
"""The examples do what their readers are told."""

import http.client
import os
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from recent_visits import VisitManager


def test_web_app(source, folder):
    server = subprocess.Popen(
        [sys.executable, source / "examples" / "web_app.py", folder / "pages.rv", "0"],
        stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().rsplit(":", 1)[1].strip("/\n "))
        cookie = None
        for page in ("/", "/a", "/b?x=<y>"):
            for odd in ("a/b=1", "visitor=" + "9" * 5000, "visitor=x"):
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("GET", "/odd", headers={"Cookie": odd})
                assert connection.getresponse().status == 200
                connection.close()
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", page, headers={"Cookie": cookie} if cookie else {})
            answer = connection.getresponse()
            body = answer.read().decode()
            cookie = cookie or answer.getheader("Set-Cookie").split(";")[0]
            assert answer.status == 200
            connection.close()
        assert body.index("/b?x=&lt;y&gt;") < body.index('"/a"')
        assert "<y>" not in body
    finally:
        server.terminate()
        server.communicate()
    assert server.returncode == 0
    with VisitManager(folder / "pages.rv", None) as manager:
        assert manager.stats().state == "clean"
        pages = [[visit.url for visit in visits] for _, visits in manager.items()]
        assert sorted(pages) == [["/b?x=<y>", "/a", "/"]] + 9 * [["/odd"]]


def test_pandas(source, path):
    """pandas is Debian's; a Python of another origin may do without."""
    pytest.importorskip("pandas") if not sys.executable.startswith("/usr/bin") else None
    when = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
    with VisitManager(path) as manager:
        manager.add_visit(1, 10, "https://example.org/a", "A", when)
        manager.add_visit(1, 11, "https://example.org/b", "B", time_ns=1715000000000000001)
        manager.add_visit(2, 12, "https://example.com/", "C", when)
    done = subprocess.run([sys.executable, source / "examples" / "to_pandas.py", path],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, PYTHONWARNINGS="error::ResourceWarning"))
    assert done.returncode == 0, done.stderr
    assert "example.org" in done.stdout and "3 visits of 2 users" in done.stdout

    sys.path.insert(0, str(source / "examples"))
    try:
        import to_pandas
    finally:
        del sys.path[0]
    with VisitManager(path, mode="read-only") as manager:
        frame = to_pandas.frame(manager)
    assert list(frame.columns) == ["user_id", "visit_id", "url", "text", "time"]
    frame = frame.sort_values("visit_id").reset_index(drop=True)
    assert list(frame["user_id"]) == [1, 1, 2]
    assert str(frame["time"].dt.tz) == "UTC"
    assert frame["time"].astype("int64")[1] == 1715000000000000001
    assert frame["time"][0].to_pydatetime() == when
