# SPDX-License-Identifier: MIT
"""A web server that shows each visitor the pages that he or she saw last.

    python3 examples/web_app.py pages.rv 8000

One manager serves all threads of the server. A server with several processes opens the store in
each of them after the fork: one for writing, the others with mode="read-only".
"""

import html
import re
import secrets
import signal
import sys
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from recent_visits import VisitManager


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        visitor, is_new = self.visitor()
        manager = self.server.manager
        manager.add_visit(visitor, secrets.randbits(32), self.path, f"Page {self.path}")
        body = page(self.path, manager.get_recent_visits(visitor)).encode()
        self.send_response(200)
        if is_new:
            self.send_header("Set-Cookie", f"visitor={visitor}; HttpOnly; SameSite=Lax")
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def visitor(self):
        """A visitor's number, from a cookie. (Anyone can write any cookie: sign it in earnest.)"""
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get("visitor")
        except CookieError:
            cookie = None
        if cookie and re.fullmatch("[0-9]{1,10}", cookie.value) and int(cookie.value) < 2**32:
            return int(cookie.value), False
        return secrets.randbits(32), True

    def log_message(self, *_):
        pass


def page(path, visits):
    rows = "\n".join(
        f'<li><a href="{html.escape(visit.url)}">{html.escape(visit.text)}</a>'
        f" {visit.time:%Y-%m-%d %H:%M:%S} UTC</li>"
        for visit in visits
    )
    return f"<!DOCTYPE html>\n<h1>{html.escape(path)}</h1>\n<p>Your recent pages:</p>\n<ol>\n{rows}\n</ol>\n"


def main(path, port):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with VisitManager(path, max_visits=10) as manager:
        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            server.manager = manager
            print(f"http://127.0.0.1:{server.server_port}/", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
