# SPDX-License-Identifier: MIT
"""rvdump salvage against an oracle: what has to come back from a store of which pages are destroyed.

    RV_SEED=3 RV_SEEDS=20 RV_PAGES=1000 RV_CHANGES=400000 python3 test_salvage.py Pages

draws other stores and destroys more.
"""

import collections
import json
import os
import random
import resource
import signal
import struct
import subprocess

import xxhash

from oracle import PAGE, Damage, Store, destroy
from support import (BUSY, CANNOT_OPEN, DAMAGED, NOT_A_STORE, OK, USAGE, Case, main, run,
                     write_lines)
from terminal import interrupt_held

MAKE_STORE = os.environ.get("MAKE_STORE", "make-store")
SEED = int(os.environ.get("RV_SEED", "1"))
SEEDS = int(os.environ.get("RV_SEEDS", "4"))
CHANGES = int(os.environ.get("RV_CHANGES", "12000"))
PAGES = int(os.environ.get("RV_PAGES", "60"))


class Salvage(Case):
    def make(self, seed, users=400, changes=CHANGES, limit=10, slot_size=256, erase="erase",
             kill=False):
        """A store with a history, as bytes; what it held, in the order of an export."""
        maker = subprocess.Popen([MAKE_STORE, self.store, str(seed), str(users), str(changes),
                                  str(limit), str(slot_size), erase],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(maker.stdout.readline(), b"ready\n")
        visits = self.visits()
        if kill:
            maker.send_signal(signal.SIGKILL)
        maker.communicate()
        self.assertEqual(maker.returncode, -signal.SIGKILL if kill else 0)
        with open(self.store, "rb") as file:
            return file.read(), visits

    def salvage(self, data, *options):
        """Exit code, visits by user, report by user, summary."""
        with open(self.path("damaged.rv"), "wb") as file:
            file.write(data)
        saved = self.path("saved.rv")
        if os.path.exists(saved):
            os.remove(saved)
        result = run("salvage", self.path("damaged.rv"), saved, "--json", *options)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        report = {line["user_id"]: line for line in lines if "user_id" in line}
        if not os.path.exists(saved):
            return result.returncode, {}, report, None
        self.assertEqual(self.run_ok("verify", saved), b"")
        visits = collections.defaultdict(list)
        for visit in self.visits(saved):
            visits[visit[0]].append(visit)
        self.assertEqual(lines[-1]["saved"], sum(map(len, visits.values())))
        self.assertEqual(lines[-1]["lost"], sum(r.get("lost", 0) for r in report.values()))
        self.assertEqual(lines[-1]["unproved_users"],
                         sum(not r["proved"] for r in report.values()))
        for user, line in report.items():
            self.assertEqual(line["saved"], len(visits[user]))
        return result.returncode, visits, report, lines[-1]


class Pages(Salvage):
    def check(self, data, pages, rng, exact):
        """exact: what is destroyed is noise or zeros, so that it is known what can be proved."""
        store, damage = Store(data), Damage(pages)
        damaged = destroy(data, pages, rng, not exact)
        code, saved, report, summary = self.salvage(damaged, "--max-visits", str(store.limit))
        ever = collections.defaultdict(set)
        for _, user, visit_id in store.all_slots():
            ever[user].add(visit_id)
        missing = 0
        for user, entry in store.entries.items():
            whole = [v.content for v in entry.visits if damage.is_whole(v)]
            line = report.get(user, {"proved": True})
            self.assertLessEqual(set(whole), set(saved[user]), "user %d" % user)
            if user not in report and not damage.is_proved(entry) and not saved[user]:
                self.assertEqual(whole, [])  # nothing of the user is left to know of
            elif not line["proved"] or (not exact and not damage.is_proved(entry)):
                # Its entry is gone; or a page with an older one has come to lie there.
                self.assertLessEqual({v[1] for v in saved[user]}, ever[user])
                self.assertLessEqual(len(saved[user]), store.limit)
            elif not exact and saved[user] != whole:
                # Where one of its slots was lies a page that has an older visit of the same user
                # in the same place. With two slots the links would not agree.
                extra = [v for v in saved[user] if v not in whole]
                self.assertEqual([v for v in saved[user] if v in whole], whole)
                self.assertEqual((len(extra), extra[0][1] in ever[user]), (1, True))
                self.assertLess(len(whole), len(entry.visits))
            else:
                self.assertEqual(saved[user], whole)
                self.assertEqual(line.get("lost", 0), len(entry.visits) - len(whole))
            if exact and user in report:
                self.assertEqual(line["proved"], damage.is_proved(entry))
            if exact and damage.is_proved(entry) and len(whole) == len(entry.visits):
                self.assertNotIn(user, report)
            missing += len(entry.visits) - len(whole)
        self.assertLessEqual(set(saved), set(store.entries))
        self.assertEqual(code, OK if not report and summary["index_complete"] else DAMAGED)
        return missing, sum(not line["proved"] for line in report.values())

    def test_the_oracle_agrees_with_the_library(self):
        data, visits = self.make(SEED)
        entries = Store(data).entries
        self.assertEqual([v.content for user in sorted(entries) for v in entries[user].visits],
                         visits)

    def test_a_whole_store_comes_back_whole(self):
        for erase in ("erase", "later"):
            with self.subTest(erase):
                data, visits = self.make(SEED, erase=erase)
                code, saved, report, summary = self.salvage(data)
                self.assertEqual((code, report, summary["index_complete"]), (OK, {}, True))
                self.assertEqual([v for user in sorted(saved) for v in saved[user]], visits)
                self.assertEqual(summary["lost"], 0)
                os.remove(self.store)

    def test_users_who_come_and_go(self):
        """Of those the index drops who have gone. Who came back has what is there now, whatever lies about of
        before; of those who did not, nothing tells that they have gone."""
        data, visits = self.make(SEED, users=30000, changes=150000, limit=4, erase="later")
        _, saved, report, summary = self.salvage(data)
        self.assertTrue(summary["index_complete"])
        self.assertFalse(any(line["proved"] for line in report.values()))
        known = [v for user in sorted(set(saved) - set(report)) for v in saved[user]]
        self.assertEqual(known, visits)

    def test_every_whole_visit_comes_back(self):
        """Random pages are destroyed; what is not is all there, and what the index still knows is
        there exactly: nothing that was removed."""
        total = collections.Counter()
        for seed in range(SEED, SEED + SEEDS):
            rng = random.Random(seed)
            slot_size, limit = rng.choice([(256, 10), (128, 3), (1024, 40), (256, 100)])
            erase = rng.choice(["erase", "later"])
            data, visits = self.make(seed, 20 + CHANGES // 30, CHANGES, limit, slot_size, erase)
            count = min(PAGES, len(data) // PAGE // 3)
            pages = rng.sample(range(len(data) // PAGE), count)
            for exact in (True, False):
                with self.subTest(seed=seed, exact=exact):
                    lost, unproved = self.check(data, pages, rng, exact)
                    total.update({"pages": count, "visits": len(visits), "destroyed": lost,
                                  "unproved users": unproved})
            os.remove(self.store)
        print("\nsalvage:", dict(total))
        self.assertGreater(total["destroyed"], 0)

    def test_a_thousand_pages(self):
        """Of a store of which most is left."""
        data, visits = self.make(SEED, 8000, 150000)
        rng = random.Random(SEED)
        pages = rng.sample(range(len(data) // PAGE), 1000)
        for exact in (True, False):
            lost, unproved = self.check(data, pages, rng, exact)
            print("\nsalvage: %d of %d pages destroyed; %d of %d visits, %d users unproved"
                  % (len(pages), len(data) // PAGE, lost, len(visits), unproved))
            self.assertGreater(lost, 1000)
            self.assertGreater(len(visits) - lost, 10000)

    def test_nothing_that_was_removed(self):
        """What a writer without erasing has left is in the file, and does not come back."""
        data, visits = self.make(SEED, erase="later")
        _, saved, _, _ = self.salvage(data)
        stale = sum(visit_id not in {v[1] for v in saved[user]}
                    for _, user, visit_id in Store(data).all_slots() if user in saved)
        self.assertGreater(stale, 100)
        self.assertEqual(sorted(v for vs in saved.values() for v in vs), sorted(visits))


class Structures(Salvage):
    """Whole structures are gone."""

    def setUp(self):
        super().setUp()
        self.data, self.before = self.make(SEED)
        self.oracle = Store(self.data)

    def without(self, *ranges):
        data = bytearray(self.data)
        for offset, length in ranges:
            data[offset:offset + length] = b"\xa5" * length
        return bytes(data)

    @staticmethod
    def unclean(data):
        """As if the machine had lost power: neither record says that the store was closed."""
        for at in PAGE, 2 * PAGE:
            flags = struct.unpack_from("<I", data, at + 28)[0]
            struct.pack_into("<I", data, at + 28, flags & ~1)
            seed = struct.unpack_from("<Q", data, 40)[0]
            checksum = xxhash.xxh3_64_intdigest(bytes(data[at:at + 56]), seed=seed)
            struct.pack_into("<Q", data, at + 56, checksum)

    def copy_offset(self):
        return self.oracle.header_blocks * self.oracle.block - PAGE

    def check_all(self, data, proved, *options):
        code, saved, report, _ = self.salvage(data, *options)
        self.assertEqual(code, OK if proved else DAMAGED)
        for user, entry in self.oracle.entries.items():
            expected = [v.content for v in entry.visits]
            if proved:
                self.assertEqual(saved[user], expected)
            else:
                self.assertLessEqual(set(expected), set(saved[user]))
        self.assertEqual(any(not line["proved"] for line in report.values()), not proved)

    def test_the_superblock(self):
        self.check_all(self.without((0, 512)), True)

    def test_the_superblock_and_its_copy(self):
        """The sizes are found from the visits; the index counts as far as they agree with it."""
        data = self.without((0, 512), (self.copy_offset(), 512))
        result = self.salvage(data)
        self.assertEqual(result[0], USAGE)  # the records can't be checked without the uuid
        code, saved, report, _ = self.salvage(data, "--max-visits", "10")
        for user, entry in self.oracle.entries.items():
            expected = [v.content for v in entry.visits]
            if entry.visits:
                self.assertEqual(saved[user], expected)
                self.assertNotIn(user, report)
        self.assertEqual(code, OK if not report else DAMAGED)
        self.check_all(data, not report, "--max-visits", "10", "--slot-size", "256")

    def test_slot_sizes_are_found(self):
        for slot_size in (128, 512, 1024, 2048, 4096):
            with self.subTest(slot_size):
                os.remove(self.store)
                self.data, self.before = self.make(SEED, 50, 2000, slot_size=slot_size)
                self.oracle = Store(self.data)
                data = self.without((0, 512), (self.copy_offset(), 512))
                _, saved, _, _ = self.salvage(data, "--max-visits", "10")
                self.assertEqual(
                    json.loads(self.run_ok("info", self.path("saved.rv"), "--json"))["slot_size"],
                    slot_size)
                for user, entry in self.oracle.entries.items():
                    self.assertLessEqual({v.content for v in entry.visits}, set(saved[user]))

    def test_one_record(self):
        for page in (1, 2):
            self.check_all(self.without((page * PAGE, 64)), True)

    def test_both_records(self):
        data = self.without((PAGE, 64), (2 * PAGE, 64))
        self.assertEqual(self.salvage(data)[0], USAGE)
        code, saved, _, _ = self.salvage(data, "--max-visits", "10")
        self.assertIn(code, (OK, DAMAGED))  # users without visits can't be proved to have none
        for user, entry in self.oracle.entries.items():
            self.assertLessEqual({v.content for v in entry.visits}, set(saved[user]))

    def test_the_live_state(self):
        self.check_all(self.without((3 * PAGE, self.copy_offset() - 3 * PAGE)), True)

    def test_the_block_maps(self):
        block = self.oracle.header_blocks * self.oracle.block
        self.check_all(self.without((block, self.oracle.block)), False)

    def test_the_segments(self):
        segments = {e.offset // self.oracle.block for e in self.oracle.entries.values()}
        self.check_all(self.without(*((b * self.oracle.block, self.oracle.block)
                                      for b in segments)), False)

    def test_all_but_the_slots(self):
        """Header, block maps and segments: everything that is not a visit."""
        block = self.oracle.block
        ranges = [(0, (self.oracle.header_blocks + 1) * block)]
        ranges += [(b * block, block) for b in
                   {e.offset // block for e in self.oracle.entries.values()}]
        self.check_all(self.without(*ranges), False, "--max-visits", "10")

    def test_users_of_whom_nothing_is_left(self):
        """A page of entries and all slots of their users are gone: that is told."""
        page = next(iter(self.oracle.entries.values())).offset // PAGE
        entries = [e for e in self.oracle.entries.values() if e.offset // PAGE == page]
        self.assertGreater(len(entries), 2)
        slots = {slot for slot, user, _ in self.oracle.all_slots() if user in {e.user for e in entries}}
        header = entries[0].segment
        for gone in ((page * PAGE, PAGE), (header, 64)):
            data = bytearray(self.data)
            for offset, length in [(slot * 256, 256) for slot in slots] + [gone]:
                data[offset:offset + length] = bytes(length)
            code, saved, report, summary = self.salvage(bytes(data))
            self.assertEqual((code, summary["index_complete"]), (DAMAGED, False))
            self.assertFalse({e.user for e in entries} & (set(saved) | set(report)))

    def test_an_entry_of_before(self):
        """A page of the index was not written: it has an older state, which the visits refute."""
        user, entry = max(self.oracle.entries.items(), key=lambda item: len(item[1].visits))
        data = bytearray(self.data)
        head, changes = entry.visits[0], entry.offset + 4
        newest = struct.unpack_from("<I", data, head.parts[0][0] + 24)[0]
        struct.pack_into("<I", data, changes, newest - 1)
        _, saved, report, _ = self.salvage(bytes(data))
        self.assertEqual([u for u in report if not report[u]["proved"]], [user])
        self.assertLessEqual({v.content for v in entry.visits}, set(saved[user]))

    def test_an_entry_that_has_lost_its_versions(self):
        """Of a closed store: as if the user had no visits; those that are there refute it."""
        user, entry = max(self.oracle.entries.items(), key=lambda item: len(item[1].visits))
        data = bytearray(self.data)
        data[entry.offset + 16:entry.offset + 64] = bytes(48)
        struct.pack_into("<Q", data, entry.offset + 16, 1)  # an epoch, without visits
        code, saved, report, _ = self.salvage(bytes(data))
        self.assertEqual((code, list(report), report[user]["proved"]), (DAMAGED, [user], False))
        self.assertLessEqual({v.content for v in entry.visits}, set(saved[user]))

    def test_an_older_version_where_nothing_is_left_of_the_newest(self):
        """After a power cut: the entry was written, the ring that it names was not."""
        user, entry = max(self.oracle.entries.items(), key=lambda item: len(item[1].visits))
        data = bytearray(self.data)
        versions = [struct.unpack_from("<QQ", data, entry.offset + 16 + 16 * i) for i in range(3)]
        newest = max(range(3), key=lambda i: versions[i][0])
        records = [struct.unpack_from("<QQ", data, at) for at in (PAGE, 2 * PAGE)]
        self.unclean(data)
        slot, free = self.oracle.slot, (len(data) // self.oracle.slot) - 3
        data[free * slot:(free + 2) * slot] = bytes(2 * slot)
        word = free << 32 | 1 << 20 | 1
        place = entry.offset + 16 + 16 * ((newest + 1) % 3)
        struct.pack_into("<QQ", data, place, max(durable for _, durable in records) + 1, word)
        _, saved, report, _ = self.salvage(bytes(data))
        self.assertEqual(saved[user], [v.content for v in entry.visits])
        self.assertEqual([u for u in report if not report[u]["proved"]], [])

    def test_a_file_that_is_cut_off(self):
        for length in (self.oracle.block * 9 // 2, self.oracle.block * 20 + 256 * 100):
            damage = Damage(range(length // PAGE, len(self.data) // PAGE))
            _, saved, _, _ = self.salvage(self.data[:length], "--max-visits", "10")
            whole = {v.content for e in self.oracle.entries.values() for v in e.visits
                     if damage.is_whole(v)}
            self.assertLessEqual(whole, {v for vs in saved.values() for v in vs})

    def test_a_larger_limit_does_not_bring_back_what_a_smaller_one_took(self):
        with open(self.store, "wb") as file:
            file.write(self.data)
        self.run_ok("import", self.store, os.devnull, "--format", "clf", "--max-visits", "3")
        kept = self.visits()
        with open(self.store, "rb") as file:
            _, saved, report, _ = self.salvage(file.read(), "--max-visits", "10")
        self.assertEqual([v for user in sorted(saved) for v in saved[user]], kept)
        self.assertEqual(report, {})

    def test_a_byte_of_the_superblock_that_says_newer(self):
        data = bytearray(self.data)
        data[8] = 2
        code, _, report, _ = self.salvage(bytes(data))
        self.assertEqual((code, report), (OK, {}))

    def test_what_an_interrupted_one_has_left(self):
        with open(self.path("damaged.rv"), "wb") as file:
            file.write(self.data)
        with open(self.path("saved.rv.partial"), "wb") as file:
            file.write(b"left")
        result = run("salvage", self.path("damaged.rv"), self.path("saved.rv"))
        self.assertEqual(result.returncode, CANNOT_OPEN)
        self.assertIn(b"saved.rv.partial: is left from a salvage", result.stderr)

    def test_a_smaller_limit(self):
        _, saved, _, _ = self.salvage(self.data, "--max-visits", "3")
        for user, entry in self.oracle.entries.items():
            self.assertEqual(saved[user], [v.content for v in entry.visits][:3])

    def test_forged_slots_in_an_overflow_run_do_not_count(self):
        """Behind the strings of a long visit lie bytes that its user may have chosen once."""
        slot = self.oracle.slot
        visits = [v for e in self.oracle.entries.values() for v in e.visits]
        victim = next(v for v in visits if v.parts[0][0] == v.parts[1][0])
        for visit in visits:
            start, used = visit.parts[1]
            size = slot << (-(-used // slot) - 1).bit_length()
            if visit.parts[0][0] != start and size - used >= slot:
                break
        data = bytearray(self.data)
        forged = data[victim.parts[0][0]:victim.parts[0][0] + slot]
        for at in self.oracle.all_slots():
            if at[1:] == (victim.user, victim.visit_id):
                data[at[0] * slot:(at[0] + 1) * slot] = bytes(slot)
        entry = self.oracle.entries[victim.user].offset
        data[entry:entry + 64] = bytes(64)
        _, saved, _, _ = self.salvage(bytes(data))
        self.assertNotIn(victim.content, saved[victim.user])
        data[start + size - slot:start + size] = forged
        _, saved, _, _ = self.salvage(bytes(data))
        self.assertIn(visit.content, saved[visit.user])
        self.assertNotIn(victim.content, saved[victim.user])
        # Without the long visit's own slot nothing tells what its run was.
        data[visit.parts[0][0]:visit.parts[0][0] + slot] = bytes(slot)
        _, saved, _, _ = self.salvage(bytes(data))
        self.assertIn(victim.content, saved[victim.user])


class States(Salvage):
    def test_a_killed_writer(self):
        """Its last state, not that of the last checkpoint."""
        for seed in range(3):
            data, visits = self.make(seed, kill=True)
            code, saved, report, _ = self.salvage(data)
            self.assertEqual((code, report), (OK, {}))
            self.assertEqual([v for user in sorted(saved) for v in saved[user]], visits)
            os.remove(self.store)

    def test_a_store_in_use(self):
        maker = subprocess.Popen([MAKE_STORE, self.store, "1", "10", "10", "10", "256", "erase"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        maker.stdout.readline()
        result = run("salvage", self.store, self.path("saved.rv"))
        maker.communicate()
        self.assertEqual((result.returncode, maker.returncode), (BUSY, 0))
        self.assertEqual(os.listdir(self.folder), ["store.rv"])

    def test_dest_exists(self):
        self.load(write_lines([(1, 1, b"u", b"t", 0)]))
        with open(self.path("there"), "wb") as file:
            file.write(b"mine")
        self.assertEqual(run("salvage", self.store, self.path("there")).returncode, CANNOT_OPEN)
        with open(self.path("there"), "rb") as file:
            self.assertEqual(file.read(), b"mine")
        os.symlink("nowhere", self.path("link"))
        self.assertEqual(run("salvage", self.store, self.path("link")).returncode, CANNOT_OPEN)

    def test_not_a_store(self):
        for content in (b"", b"text\n" * 100000, bytes(1 << 20), os.urandom(300000)):
            with open(self.path("other"), "wb") as file:
                file.write(content)
            result = run("salvage", self.path("other"), self.path("saved.rv"), "--max-visits", "5")
            self.assertEqual(result.returncode, NOT_A_STORE)
        self.assertEqual(run("salvage", self.folder, self.path("x")).returncode, NOT_A_STORE)
        self.assertEqual(run("salvage", self.path("none"), self.path("x")).returncode, CANNOT_OPEN)
        self.assertEqual(os.listdir(self.folder), ["other"])

    def test_wrong_arguments(self):
        for options in (["--slot-size", "100"], ["--slot-size", "8192"], ["--max-visits", "0"]):
            self.assertEqual(run("salvage", "a", "b", *options).returncode, USAGE)

    def test_text(self):
        data, visits = self.make(1, 50, 500)
        entry = next(e for e in Store(data).entries.values() if len(e.visits) == 10)
        whole = next(e for e in Store(data).entries.values() if len(e.visits) > 2
                     and e.offset // PAGE != entry.offset // PAGE)
        broken = bytearray(data)
        broken[whole.visits[1].parts[0][0] + 20] ^= 1
        broken[entry.offset:entry.offset + 64] = bytes(64)
        with open(self.store, "wb") as file:
            file.write(broken)
        result = run("salvage", self.store, self.path("saved.rv"))
        self.assertEqual(result.returncode, DAMAGED)
        self.assertEqual(sorted(result.stdout.decode().splitlines()), sorted([
            "user %d: %d saved, 1 lost" % (whole.user, len(whole.visits) - 1),
            "user %d: 10 saved, unproved" % entry.user]))
        self.assertIn(b"%d visits saved" % (len(visits) - 1), result.stderr)
        self.assertIn(b"unproved: of 1 users the index has no sound entry", result.stderr)

    def test_interrupted(self):
        self.load(write_lines([(user, 1, b"u" * 50, b"t", 0) for user in range(3000)]))
        interrupt_held(self, "salvage", self.store, self.path("saved.rv"))
        self.assertEqual(os.listdir(self.folder), ["store.rv"])

    def test_full_disk(self):
        self.load(write_lines([(user, 1, b"u" * 20000, b"", 0) for user in range(500)]))
        limit = (4 << 20, resource.RLIM_INFINITY)
        result = run("salvage", self.store, self.path("saved.rv"),
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assertEqual(result.returncode, 6)
        self.assertEqual(os.listdir(self.folder), ["store.rv"])


if __name__ == "__main__":
    main()
