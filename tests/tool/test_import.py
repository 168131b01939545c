# SPDX-License-Identifier: MIT
"""Bad lines of jsonl and csv, and what import takes beyond what export writes."""

import json
import os

from support import BAD_INPUT, CANNOT_OPEN, IO, OK, Case, STRINGS_MAX, main, run, write_line

GOOD = {"user_id": 1, "visit_id": 2, "url": "u", "text": "t", "time": "1970-01-01T00:00:00Z"}
HEADER = b"user_id,visit_id,url,text,time,url_base64,text_base64\r\n"
EPOCH = b"1970-01-01T00:00:00Z"


def changed(**members):
    """GOOD with other members; None takes one away."""
    line = {**GOOD, **members}
    return json.dumps({k: v for k, v in line.items() if v is not None}).encode()


class ImportCase(Case):
    def summary(self, data, kind, *options, code=OK):
        """The lines of stderr."""
        result = run("import", self.store, "--format", kind, *options, data=data)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, b"")
        return result.stderr.decode().splitlines()


class Jsonl(ImportCase):
    BAD = [
        b"", b" ", b"[]", b"1", b"null", b"{", b"{}", b"nonsense", b"\xff", b'{"a":1}{"b":2}',
        b"[" * 100000,
        changed(user_id=None), changed(user_id="1"), changed(user_id=-1), changed(user_id=1 << 32),
        changed(user_id=1.0), changed(user_id=1 << 70), changed(visit_id=None),
        changed(visit_id=True), changed(url=None), changed(url=1), changed(url="a\0b"),
        changed(url_base64="YQ=="), changed(url=None, url_base64="YQ"),
        changed(url=None, url_base64="YR=="), changed(url=None, url_base64="Y==="),
        changed(url=None, url_base64="===="), changed(url=None, url_base64="YQ==YQ=="),
        changed(url=None, url_base64="AA=="), changed(url=None, url_base64="Y Q="),
        changed(text=None), changed(time=None), changed(time=0),
        changed(time="1970-01-01"), changed(time="1970-01-01T00:00:00"),
        changed(time="1970-02-29T00:00:00Z"), changed(time="1970-13-01T00:00:00Z"),
        changed(time="1970-01-00T00:00:00Z"), changed(time="1970-01-01T24:00:00Z"),
        changed(time="1970-01-01T00:60:00Z"), changed(time="1970-01-01T00:00:61Z"),
        changed(time="1970-01-01T00:00:00.Z"), changed(time="1970-01-01T00:00:00.0000000001Z"),
        changed(time="1970-01-01T00:00:00+1"), changed(time="1970-01-01T00:00:00+24:00"),
        changed(time="1970-01-01T00:00:00+0100"), changed(time="1970-01-01T00:00:00Z "),
        changed(time="1677-09-21T00:12:43.145224191Z"),
        changed(time="2262-04-11T23:47:16.854775808Z"),
        changed(time="0000-01-01T00:00:00Z"), changed(time="9999-12-31T23:59:59Z"),
        b'{"user_id":1,"user_id":1,"visit_id":2,"url":"","text":"","time":"1970-01-01T00:00:00Z"}',
        changed(url="u" * (STRINGS_MAX + 1)), changed(url="u" * STRINGS_MAX, text="t"),
        b" " * ((8 << 20) + 1) + changed(), changed()[:-1] + b"\0}",
        changed(url="a")[:-4] + b'\\ud800"}', b'\x1b[31m\x9b',
    ]

    def test_each_bad_line_is_bad(self):
        for line in self.BAD:
            with self.subTest(line=line[:80]):
                said = self.summary(line + b"\n" + changed() + b"\n", "jsonl")
                self.assertIn("standard input: line 1: ", said[0])
                self.assertEqual(said[-1], "rvdump: 2 lines read, 1 imported, 1 bad")
                self.assertEqual(len(self.visits()), 1)

    def test_bad_lines_do_not_touch_their_neighbours(self):
        lines = [write_line((user, 1, b"u", b"t", 0)) for user in range(len(self.BAD))]
        data = b"".join(bad + b"\n" + good for bad, good in zip(self.BAD, lines))
        said = self.summary(data, "jsonl")
        self.assertEqual([visit[0] for visit in self.visits()], list(range(len(self.BAD))))
        count = len(self.BAD)
        self.assertEqual(said[-1], "rvdump: %d lines read, %d imported, %d bad"
                         % (2 * count, count, count))

    def test_reports_are_capped(self):
        said = self.summary(b"bad\n" * 1000, "jsonl")
        self.assertEqual(len(said), 22)
        self.assertIn("line 20: ", said[19])

    def test_strict_stops_at_the_first_bad_line(self):
        data = write_line((1, 1, b"", b"", 0)) + b"bad\n" + write_line((2, 1, b"", b"", 0))
        said = self.summary(data, "jsonl", "--strict", code=BAD_INPUT)
        self.assertIn("line 2: ", said[0])
        self.assertEqual(said[-1], "rvdump: 2 lines read, 1 imported, 1 bad")
        self.assertEqual([visit[0] for visit in self.visits()], [1])

    def test_strict_without_bad_lines(self):
        self.summary(changed(), "jsonl", "--strict")

    def test_offsets_and_fractions(self):
        for time, expected in (("1970-01-01T01:30:00+01:30", 0), ("1969-12-31T23:00:00-01:00", 0),
                               ("1970-01-01t00:00:00.5z", 5 * 10**8),
                               ("1969-12-31T23:59:59.999999999Z", -1),
                               ("1972-06-30T23:59:60Z", 78796800 * 10**9),
                               ("2262-04-12T23:47:16.854775807+24:00", None),
                               ("2262-04-12T00:47:16.854775807+01:00", (1 << 63) - 1)):
            with self.subTest(time):
                self.store = self.path(time.replace(":", ""))
                self.summary(changed(time=time), "jsonl")
                self.assertEqual([v[4] for v in self.visits()],
                                 [] if expected is None else [expected])

    def test_other_members_are_ignored_and_crlf_is_taken(self):
        self.summary(changed(more={"a": [1, None], "b": "a\0b"}) + b"\r\n", "jsonl", "--strict")

    def test_why_a_line_is_no_json_is_told(self):
        for line, why in ((changed(more=2**64), "too big integer"), (changed(url="a\0b"), "a NUL byte"), (b"[]", "not a JSON object")):
            self.assertIn(why, self.summary(line, "jsonl")[0])

    def test_utf8_as_base64_becomes_plain(self):
        self.summary(changed(url=None, url_base64="w6k="), "jsonl")
        self.assertIn('"url":"é"', self.export().decode())

    def test_empty_input_makes_an_empty_store(self):
        self.summary(b"", "jsonl")
        self.assertEqual(self.export(), b"")

    def test_file_and_dash(self):
        with open(self.path("in"), "wb") as file:
            file.write(changed())
        self.run_ok("import", self.store, self.path("in"), "--format", "jsonl")
        self.run_ok("import", self.store, "-", "--format", "jsonl", data=changed(visit_id=3))
        self.assertEqual(len(self.visits()), 2)

    def test_missing_input_makes_no_store(self):
        result = run("import", self.store, self.path("none"), "--format", "jsonl")
        self.assertEqual(result.returncode, CANNOT_OPEN)
        self.assertFalse(os.path.exists(self.store))

    def test_unreadable_input(self):
        result = run("import", self.store, self.folder, "--format", "jsonl")
        self.assertEqual(result.returncode, IO)


class Csv(ImportCase):
    def strings(self, data):
        self.summary(data, "csv", "--strict")
        return [visit[2:4] for visit in self.visits()]

    def test_quoting(self):
        for field, expected in ((b'""', b""), (b'"a"', b"a"), (b'"a,b"', b"a,b"),
                                (b'"a""b"', b'a"b'), (b'""""', b'"'), (b'"a\nb"', b"a\nb"),
                                (b'"a\r\n\r\n""b"', b'a\r\n\r\n"b'), (b" a ", b" a "),
                                (b"'a'", b"'a'"), (b'"\x1b\xff"', b"\x1b\xff"), (b"\xff", b"\xff"),
                                (b'"\n","\n"'[:3], b"\n")):
            for end in (b"\n", b"\r\n", b""):
                with self.subTest(field=field, end=end):
                    self.store = self.path("s%d" % len(os.listdir(self.folder)))
                    data = HEADER + b"1,2," + field + b",t," + EPOCH + b",," + end
                    self.assertEqual(self.strings(data), [(expected, b"t")])

    def test_last_field_quoted_and_columns_in_another_order(self):
        data = b'\xef\xbb\xbftime,more,text,"url",visit_id,user_id\n' + EPOCH + b",x,t,u,2,1\n"
        self.assertEqual(self.strings(data), [(b"u", b"t")])

    def test_lines_inside_quotes_count(self):
        data = HEADER + b'1,1,"a\n\nb",t,' + EPOCH + b",,\nbad\n"
        said = self.summary(data, "csv")
        self.assertIn("line 5: ", said[0])
        self.assertEqual(said[-1], "rvdump: 2 lines read, 1 imported, 1 bad")

    def test_stray_quote_costs_one_line(self):
        row = b"1,%d,u,t," + EPOCH + b",,\n"
        quoted = b'1,%d,"a,b",t,' + EPOCH + b",,\n"
        for name, after in (("plain", row), ("quoted", quoted)):
            with self.subTest(name):
                self.store = self.path(name)
                data = HEADER + row % 1 + b'1,2,"u,t,' + EPOCH + b",,\n"
                data += b"".join(after % i for i in range(3, 11))
                said = self.summary(data, "csv")
                self.assertIn("line 3: ", said[0])
                self.assertEqual(said[-1], "rvdump: 10 lines read, 9 imported, 1 bad")
                self.assertEqual(sorted(v[1] for v in self.visits()), [1, *range(3, 11)])

    def test_stray_quotes_in_a_long_file(self):
        row = b"1,%d,u,t," + EPOCH + b",,\n"
        count = 300000
        data = HEADER + b'1,0,"u,t,' + EPOCH + b",,\n" + b"".join(row % i for i in range(count))
        said = self.summary(data, "csv")
        self.assertEqual(said[-1], "rvdump: %d lines read, %d imported, 1 bad" % (count + 1, count))

    def test_nul_in_a_record_of_several_lines(self):
        inside = b"\n666,1,evil,t," + EPOCH + b",,\n"
        for field in (b'"a\0' + inside + b'b"', b'"a' + inside + b'\0b"'):
            with self.subTest(field=field):
                data = HEADER + b"1,2," + field + b",t," + EPOCH + b",,\n7,7,u,t," + EPOCH + b",,\n"
                said = self.summary(data, "csv")
                self.assertIn("a NUL byte", said[0])
                self.assertEqual([v[0] for v in self.visits()], [7])

    def test_input_that_is_none_changes_nothing(self):
        self.summary(HEADER + b"".join(b"1,%d,u,t,%s,,\n" % (i, EPOCH) for i in range(3)), "csv")
        before = self.export("csv")
        for data in (b"", b"user_id\n"):
            self.summary(data, "csv", "--max-visits", "1", code=BAD_INPUT)
        result = run("import", self.store, self.folder, "--format", "jsonl", "--max-visits", "1")
        self.assertEqual(result.returncode, IO)
        self.assertEqual(self.export("csv"), before)

    def test_byte_order_mark(self):
        mark = b"\xef\xbb\xbf"
        line = b'host - - [01/Jul/1995:00:00:01 -0400] "GET /a HTTP/1.0" 200 6245\n'
        for kind, data in (("csv", HEADER + b"1,2,u,t," + EPOCH + b",,\n"), ("clf", line),
                           ("jsonl", write_line((1, 2, b"u", b"t", 0)))):
            with self.subTest(kind):
                self.store = self.path(kind)
                self.summary(data, kind, "--strict")
                plain = self.export("csv")
                self.store = self.path(kind + "-marked")
                self.summary(mark + data, kind, "--strict")
                self.assertEqual(self.export("csv"), plain)

    def test_column_twice(self):
        said = self.summary(HEADER.replace(b"text_base64", b"url"), "csv", code=BAD_INPUT)
        self.assertIn("names a column twice", said[0])
        self.assertFalse(os.path.exists(self.store))

    def test_too_many_columns(self):
        more = b"".join(b",c%d" % i for i in range(57))
        self.summary(HEADER[:-2] + more + b"\r\n", "csv")
        said = self.summary(HEADER[:-2] + more + b",d\r\n", "csv", code=BAD_INPUT)
        self.assertIn("more than 64 columns", said[0])

    def test_bad_lines(self):
        rows = [b"", b"1", b"1,2,u,t," + EPOCH, b"1,2,u,t," + EPOCH + b",,,", b"x,2,u,t," + EPOCH + b",,",
                b"1,,u,t," + EPOCH + b",,", b"1,4294967296,u,t," + EPOCH + b",,", b"1,2,u,t,x,,",
                b"-1,2,u,t," + EPOCH + b",,", b"1, 2,u,t," + EPOCH + b",,",
                b'1,2,a"b,t,' + EPOCH + b",,", b'1,2,"a"b,t,' + EPOCH + b",,",
                b"1,2,u,t," + EPOCH + b",YQ==,", b"1,2,,t," + EPOCH + b",Y,",
                b"1,2,,t," + EPOCH + b",AA==,", b"1,2,u\0,t," + EPOCH + b",,",
                b'1,2,"u\n\0",t,' + EPOCH + b",,", b"1," * 100,
                b"1,2," + b"u" * (9 << 20) + b",t," + EPOCH + b",,"]
        for row in rows:
            with self.subTest(row=row[:60]):
                said = self.summary(HEADER + row + b"\r\n7,7,u,t," + EPOCH + b",,\r\n", "csv")
                self.assertIn("line 2: ", said[0])
                self.assertEqual([v[0] for v in self.visits()], [7])

    def test_header_is_needed(self):
        for data in (b"", b"\n", b"1,2,u,t," + EPOCH + b",,\n", b"user_id,visit_id,url,text\n",
                     b'"user_id\n'):
            with self.subTest(data=data):
                self.summary(data, "csv", code=BAD_INPUT)

    def test_exported_records_are_lines_that_end_in_crlf(self):
        self.summary(write_line((1, 1, b"a\nb", b'"\r,', 0)), "jsonl")
        self.assertEqual(self.export("csv"), HEADER
                         + b"1,1,,,1970-01-01T00:00:00.000000000Z,YQpi,Ig0s\r\n")


if __name__ == "__main__":
    main()
