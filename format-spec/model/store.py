# SPDX-License-Identifier: MIT
"""The store: entries with versioned words, rings, splits, checkpoints, repair and recovery.

All state lies in the disk's words, so that a kill may end any of this between two stores. What a
process knows besides (the stage of its checkpoint) dies with it.
"""
from disk import BLOCK, ENTRIES, ENTRY, SHARDS, SLOT, SLOTS, Bug, in_record, outside_header
from runs import SEGMENT, Allocator, Runs, header, rebuild

ROOTS = 8                     # directory pointers of a shard: three bits of the hash
STAGES = 8


class New:
    """A visit that is not in the file yet; CLS: class of its overflow run, or None."""

    def __init__(self, visit, cls):
        self.visit, self.cls = visit, cls


def ring_slot(head, back, size):
    return head - head % size + (head - back) % size


class Store:
    def __init__(self, disk, rng, wrong='', max_blocks=40):
        self.disk, self.rng, self.wrong = disk, rng, wrong
        self.allocator = Allocator(disk, wrong, max_blocks)
        self.runs = [Runs(disk, s, self.allocator, wrong) for s in range(SHARDS)]
        self.stage, self.began, self.blocks = 0, 0, 0
        self.stepping = False             # at most one checkpoint is in flight
        self.locked = False               # an operation holds a shard's lock
        self.told = lambda epoch: None    # called when an operation has read its epoch
        self.epoch = self.durable = 0     # as the present operation read them

    # -- epochs and checkpoints

    def live(self, field):
        return self.disk.get(('live', field))

    def read_epochs(self):
        first, second = ('E', 'D') if self.wrong != 'D before E' else ('D', 'E')
        values = {first: self.live(first)}
        if self.disk.hook:
            self.disk.hook(.1)
        values[second] = self.live(second)
        self.epoch, self.durable = values['E'], values['D']
        self.told(self.epoch)

    def checkpoint_step(self):
        """One step; the barrier (stage 1) waits for the operation that holds a lock."""
        disk = self.disk
        if self.stepping or self.stage == 1 and self.locked and self.wrong != 'no barrier':
            return
        self.stepping = True
        if self.stage == 0:
            if self.live('E') == self.live('D') + 1 or self.wrong == 'E raised twice':
                disk.put(('live', 'E'), self.live('E') + 1)
        elif self.stage == 1:
            self.flying = self.live('E') - 1
            self.blocks = self.live('blocks')
        elif self.stage in (2, 5):
            self.began = disk.now
            if self.stage == 5 and self.wrong == 'durable before the sync':
                disk.put(('live', 'D'), self.flying)
        elif self.stage == 3:
            disk.sync_end(self.began, outside_header)
        elif self.stage == 6:
            disk.sync_end(self.began, in_record(self.written))
        elif self.stage == 4:
            if self.wrong == 'blocks sampled late':
                self.blocks = self.live('blocks')
            self.write_record(self.flying, self.blocks, self.live('limit'), 0)
        else:
            disk.put(('live', 'D'), self.flying)
        self.stage, self.stepping = (self.stage + 1) % STAGES, False

    def sync(self):
        self.began = self.disk.now
        self.disk.sync_end(self.began)

    def checkpoint(self):
        """All that was acknowledged before the call becomes durable."""
        target = self.live('E')
        while self.stage or self.live('D') < target:
            self.checkpoint_step()
            if self.wrong == 'left-over checkpoint counts' and not self.stage:
                break

    def record(self, i):
        """(serial, D, blocks, limit, clean), or None if it is torn or was never written."""
        words = tuple(self.disk.get(('record', i, k)) for k in range(5))
        return words if words[0] and self.disk.get(('record', i, 5)) == words else None

    def best(self):
        return max((self.record(i) or (0,), i) for i in range(2))

    def write_record(self, durable, blocks, limit, clean):
        best, i = self.best()
        if not self.record(1 - i) and self.wrong != 'torn record written over':
            for k in range(6):            # else a torn record might be completed by this one
                self.disk.put(('record', 1 - i, k), 0)
            self.sync()
        self.written = 1 - i
        words = (best[0] + 1, durable, blocks, limit, clean)
        for k in self.rng.sample(range(6), 6):
            self.disk.put(('record', 1 - i, k), words[k] if k < 5 else words)

    # -- versioned words: three (epoch, word) at an address

    def versions(self, base):
        return [(self.disk.get(base + 2 * i), self.disk.get(base + 2 * i + 1), i) for i in range(3)]

    def newest(self, base, limit=None):
        found = [v for v in self.versions(base) if v[0] and (limit is None or v[0] <= limit)]
        return max(found, key=lambda v: v[0]) if found else (0, 0, None)

    def retained(self, base):
        limits = [None, self.epoch - 1, self.durable]
        if self.wrong == 'forget the flight':
            limits = [None, self.durable]
        if self.wrong == 'forget the durable':
            limits = [None, self.epoch - 1]
        found = {v[2]: v for v in (self.newest(base, x) for x in limits) if v[0]}
        return found

    def publish_version(self, log, base, word):
        epoch, _, i = self.newest(base)
        if epoch == self.epoch:
            log.publish(base + 2 * i + 1, word)
            return
        free = [i for i in range(3) if i not in self.retained(base)]
        i = self.rng.choice(free)
        self.disk.put(base + 2 * i + 1, word)
        log.publish(base + 2 * i, self.epoch)

    def set_cell(self, log, block, use):
        """A block's versioned cell: one word holds epoch and use."""
        cells = [(self.disk.get(header(block, i)) or (0, 0)) + (i,) for i in range(3)]
        keep = {max((c for c in cells if c[0] <= x), default=(0, 0, 9))[2]
                for x in (self.epoch, self.epoch - 1, self.durable)}
        now = max(cells)
        if now[0] == self.epoch:
            i = now[2]
        else:
            i = next((i for i in range(3) if i not in keep or not cells[i][0]), None)
        for k in range(3) if self.wrong == 'all cells written' else [i]:
            log.put(header(block, k), (self.epoch, use))

    # -- index

    @staticmethod
    def hash(user):
        return user // SHARDS * 5 % ROOTS

    def segment(self, user):
        shard = user % SHARDS
        block = self.disk.get(('root', shard, self.hash(user)))
        if block and self.disk.get(block * BLOCK + 1):
            depth = self.disk.get(header(block, 'prefix'))[1]
            block = self.disk.get(block * BLOCK + 1)[self.hash(user) >> 2 - depth & 1]
        return block

    def probe(self, block, user):
        """Entries in probing order: (address, its user or None)."""
        for i in range(ENTRIES):
            entry = block * BLOCK + 2 + (user + i) % ENTRIES * ENTRY
            word = self.disk.get(entry)
            yield entry, word[0] if any(v[0] for v in self.versions(entry + 1)) else None

    def find(self, user):
        """The user's entry, or a free one, or None if the segment is full or missing."""
        block = self.segment(user)
        for entry, owner in self.probe(block, user) if block else ():
            if owner is None or owner == user:
                return entry, owner is not None
        return None, False

    def fill_segment(self, block, shard, depth, prefix, entries):
        for k in range(BLOCK):
            self.disk.put(block * BLOCK + k, 0)
        self.disk.put(header(block, 'prefix'), (shard, depth, prefix))
        for words in entries:
            user = words[0][0]
            for entry, owner in self.probe(block, user):
                if owner is None:
                    for k, word in enumerate(words):
                        self.disk.put(entry + k, word)
                    break

    def split(self, user):
        """Makes room for USER: a first segment, two of one, or one without who has gone. False: look again."""
        shard = user % SHARDS
        runs, old = self.runs[shard], self.segment(user)
        if runs.take([], 2 if old else 1):
            return
        self.read_epochs()
        if not old:
            block = runs.from_hand(0, SEGMENT, 0)
            self.fill_segment(block, shard, 0, 0, [])
            self.set_cell(runs.log, block, 1)
            runs.log.publish(('first', shard), block, self.redo)
            return
        _, depth, prefix = self.disk.get(header(old, 'prefix'))
        living = []
        for i in range(ENTRIES):
            words = [self.disk.get(old * BLOCK + 2 + i * ENTRY + k) for k in range(7)]
            kept = self.retained(old * BLOCK + 3 + i * ENTRY).values()
            if kept and (any(v[1] for v in kept)):
                living.append(words)
        halves = [[w for w in living if self.hash(w[0][0]) >> 2 - depth & 1 == side] for side in range(2)]
        parts = [(depth + 1, prefix << 1 | side, halves[side]) for side in range(2)]
        if 2 * len(living) <= ENTRIES:
            parts = [(depth, prefix, living)]       # renewed
        blocks = []
        for part in parts:
            block = runs.from_hand(0, SEGMENT, 0)
            self.fill_segment(block, shard, *part)
            self.set_cell(runs.log, block, 1)
            blocks.append(block)
        self.set_cell(runs.log, old, 0)
        runs.push_limbo(old * SLOTS, self.epoch)
        after = None if self.wrong == 'directory not redone' else self.redo
        runs.log.publish(old * BLOCK + 1, tuple(blocks), after)
        if not after:
            self.redo(old * BLOCK + 1)

    def point(self, block):
        shard, depth, prefix = self.disk.get(header(block, 'prefix'))
        for i in self.rng.sample(range(ROOTS), ROOTS):
            if i >> 3 - depth == prefix:
                self.disk.put(('root', shard, i), block)

    def redo(self, published):
        """The directory, after a first segment or a split was published."""
        if isinstance(published, tuple):
            if published[0] == 'first':
                self.point(self.disk.get(published))
            return
        kind = self.disk.get(header(published // BLOCK, 'run'))[0]
        if kind == SEGMENT and published % BLOCK == 1:
            for block in self.disk.get(published):
                self.point(block)

    # -- rings

    def read_slot(self, slot):
        return [self.disk.get(slot * SLOT + k) for k in range(SLOT)]

    def read_ring(self, user, word):
        """The ring's slots, newest first, all checked."""
        if not word:
            return []
        head, count, size = word
        slots, last = [ring_slot(head, i, size) for i in range(count)], None
        for slot in slots:
            link, who, overflow, visit = self.read_slot(slot)
            if not isinstance(who, tuple) or len(who) != 3 or who[0] != user or who[1] != visit:
                raise Bug('user %d: slot %d holds %s' % (user, slot, who))
            if last and (who[2] >= last[0] or last[1] != slot):
                raise Bug('user %d: broken chain' % user)
            if overflow:
                for k in range(1 << overflow[1]):
                    if self.disk.get((overflow[0] + k) * SLOT + 1) != ('strings', user, visit):
                        raise Bug('user %d: overflow run overwritten' % user)
            last = (who[2], link[0])
        return slots

    def visits(self, user):
        entry, there = self.find(user)
        slots = self.read_ring(user, self.newest(entry + 1)[1]) if there else []
        return [self.disk.get(s * SLOT + 3) for s in slots][:self.live('limit')]

    def change(self, user, plan):
        """PLAN makes of the user's visible slots, newest first, the new list of slots and New."""
        runs, limit = self.runs[user % SHARDS], self.live('limit')
        self.locked = True
        while True:
            self.read_epochs()
            while runs.drain(self.durable) and self.rng.random() < .6:
                pass
            entry, there = self.find(user)
            word = self.newest(entry + 1)[1] if there else 0
            old = self.read_ring(user, word)
            want = plan(old[:limit])[:limit]
            fresh = [x for x in want if isinstance(x, New)]
            if want == old:
                break
            if not entry:
                self.split(user)
                continue
            place = self.next_slot(entry, word, want, old)
            size = word[2] if word else 1
            least = max(len(want) + 1, min(2 * len(want), limit + 2))
            while want and place is None and size < least:
                size *= 2
            classes = [x.cls for x in fresh if x.cls is not None]
            if want and place is None:
                classes.append(size.bit_length() - 1)
            if runs.take(classes):
                continue
            self.rewrite(runs, user, entry, there, word, old, want, place, size)
            break
        self.locked = False

    def next_slot(self, entry, word, want, old):
        """The slot of an append in place, or None: the ring must move."""
        if not word or not want or not isinstance(want[0], New) or want[1:] != old[:len(want) - 1]:
            return None
        head, count, size = word
        n = ring_slot(head, -1, size)
        for _, kept, _ in self.retained(entry + 1).values():
            same = kept and kept[2] == size and kept[0] // size == head // size
            if same and (kept[0] - n) % size < kept[1]:
                return None
        return None if count == size else n

    def rewrite(self, runs, user, entry, there, word, old, want, place, size):
        disk, log = self.disk, runs.log
        oldest_new = max((i for i, x in enumerate(want) if isinstance(x, New)), default=-1)
        seq = disk.get(entry)[1] if there else 0
        counter = (user, seq + max(oldest_new + 1, 1))
        if self.wrong != 'counter after the publish':
            disk.put(entry, counter)
        base = place if place is not None else runs.pop(size.bit_length() - 1) if want else 0
        head = base if place is not None else base + len(want) - 1
        prev = word[0] if place is not None else 0
        write = [want[0]] if place is not None else want[::-1]
        for k, x in enumerate(write):
            at, renumbered = base + k, len(write) - 1 - k <= oldest_new
            seq += renumbered
            self.write_slot(runs, user, at, prev, x, seq if renumbered else None)
            prev = at
        for slot in old:
            overflow = disk.get(slot * SLOT + 2)
            moved = place is None and self.wrong == 'overflow freed by a move'
            if overflow and (slot not in want or moved):
                runs.push_limbo(overflow[0], self.epoch)
        if word and place is None:
            runs.push_limbo(word[0] - word[0] % word[2], self.epoch)
        self.publish_version(log, entry + 1, (head, len(want), size) if want else 0)
        if self.wrong == 'counter after the publish':
            disk.put(entry, counter)

    def write_slot(self, runs, user, at, prev, x, seq):
        """A new visit, or a copy of slot X; SEQ is None if the copy keeps its own."""
        if isinstance(x, New):
            visit, overflow = x.visit, 0
            if x.cls is not None:
                run = runs.pop(x.cls)
                overflow = (run, x.cls)
                for k in range(1 << x.cls):
                    for w in range(0 if k else 1, SLOT):
                        self.disk.put((run + k) * SLOT + w, ('strings', user, visit))
        else:
            _, who, overflow, visit = self.read_slot(x)
            seq = seq or who[2]
        words = [(prev, 0), (user, visit, seq), overflow, visit]
        for k in self.rng.sample(range(SLOT), SLOT):
            self.disk.put(at * SLOT + k, words[k])

    # -- open, close, repair, recovery

    def close(self):
        self.checkpoint()
        self.stepping = True              # all is quiet from here on
        best = self.best()[0]
        if self.wrong != 'no sync of the header before a close':
            self.sync()
        self.write_record(best[1], self.live('blocks'), self.live('limit'), 1)
        self.sync()

    def open(self, identity):
        """Returns how the store was found: clean, killed or crashed.

        Whatever it was, the file is synced before the first change: a record in the page cache
        need not be on the disk. And nothing is changed while the best record says clean.
        """
        best, i = self.best()
        other, found = self.record(1 - i), 'crashed'
        if best[4] and other:
            found = 'clean'
        elif self.live('identity') == identity:
            found = 'killed'
        if self.wrong != 'no sync when found ' + found:
            self.sync()
        if found == 'clean':
            self.disk.put(('live', 'D'), best[1])
            self.disk.put(('live', 'E'), best[1] + 1)
        if best[4] and (other or self.wrong != 'clean left when the other record is torn'):
            self.write_record(best[1], best[2], best[3], 0)
            self.sync()
        if found == 'killed':
            self.repair()
        elif found == 'crashed':
            self.recover(best)
        self.disk.put(('live', 'identity'), identity)
        return found

    def set_limit(self, limit, users, begin):
        """BEGIN is told of each user before it is swept."""
        old = self.live('limit')
        if limit > old:
            for user in users:
                begin(user)
                if self.wrong != 'no sweep':
                    self.change(user, lambda slots: slots)
            self.checkpoint()
        if limit != old:
            self.disk.put(('live', 'limit'), limit)

    def logs(self):
        return [self.allocator.log] + [r.log for r in self.runs]

    def repair(self):
        for log in self.logs():
            log.repair(self.redo)
        for runs in self.runs:
            runs.give_back()

    def recover(self, best):
        """Rebuilds the store as of the best record. It may be cut short and done again."""
        disk = self.disk
        if self.wrong != 'recovery keeps the identity':
            disk.put(('live', 'identity'), 0)     # else a kill now would look like a mere kill
        for log in self.logs():
            log.drop()
        durable, end = best[1], best[2]
        if disk.get(('file', 'size')) < end:
            raise Bug('the file is shorter than its record says')
        segments, used = {}, {}
        for block in range(disk.get(('file', 'size'))):
            self.recover_header(block, durable, segments)
        for shard in range(SHARDS):
            disk.put(('first', shard), 0)
            for i in range(ROOTS):
                disk.put(('root', shard, i), 0)
        for block in segments:
            if self.wrong != 'moved not cleared':
                disk.put(block * BLOCK + 1, 0)
            shard, depth, prefix = disk.get(header(block, 'prefix'))
            if any(disk.get(('root', shard, i)) for i in range(ROOTS) if i >> 3 - depth == prefix):
                raise Bug('overlapping segments')
            disk.put(('first', shard), block)
            self.point(block)
            segments[block] = shard
            for i in range(ENTRIES):
                self.recover_entry(block * BLOCK + 2 + i * ENTRY, shard, durable, used)
        for shard in range(SHARDS):
            pointers = [disk.get(('root', shard, i)) for i in range(ROOTS)]
            if any(pointers) and not all(pointers):
                raise Bug('missing segment')
        rebuild(disk, self.runs, used, segments, end)
        disk.put(('live', 'blocks'), end)
        disk.put(('live', 'limit'), best[3])
        disk.put(('live', 'D'), durable)
        disk.put(('live', 'E'), durable + 1)

    def recover_header(self, block, durable, segments):
        cells = [(0, 0)]
        for i in range(3):
            cell = self.disk.get(header(block, i)) or (0, 0)
            if cell[0] > durable and self.wrong != 'cells not wiped':
                self.disk.put(header(block, i), 0)
            else:
                cells.append(cell)
        if max(cells)[1]:
            segments[block] = None

    def recover_entry(self, entry, shard, durable, used):
        for i in range(3):
            if self.disk.get(entry + 1 + 2 * i) > durable and self.wrong != 'no wipe':
                self.disk.put(entry + 1 + 2 * i, 0)
        epoch, word, _ = self.newest(entry + 1, durable)
        if not epoch or not word:
            return
        user = self.disk.get(entry)[0]
        claims = [(word[0] - word[0] % word[2], word[2].bit_length() - 1)]
        for slot in self.read_ring(user, word):
            if self.disk.get(slot * SLOT + 2):
                claims.append(self.disk.get(slot * SLOT + 2))
        for run, cls in claims:
            if used.setdefault(run, (cls, shard)) != (cls, shard) or claims.count((run, cls)) > 1:
                raise Bug('run %d is used twice' % run)
