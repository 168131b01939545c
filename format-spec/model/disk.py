# SPDX-License-Identifier: MIT
"""The file as a set of aligned words, with what a kill and a power cut leave of them.

A kill keeps every store made so far. A power cut gives each word, on its own, some value that it
had since the last completed sync that covered it began. Keys are integers for words inside blocks, tuples for the
rest.
"""


class Bug(Exception):
    """The protocol failed."""


class Kill(Exception):
    """The process died."""


class Cut(Exception):
    """The power failed."""


class Disk:
    def __init__(self, rng):
        self.rng = rng
        self.now = 0
        self.words = {}       # the present value of each word
        self.older = {}       # key -> [(time, value), ...]: what it has been since the last sync
        self.fuse = None      # stores left before the accident
        self.near = None      # if not None, only stores to words whose key has it count
        self.accident = None
        self.hook = None      # called before each store: lets a checkpoint go on meanwhile

    def get(self, key):
        return self.words.get(key, 0)

    def put(self, key, value):
        if self.hook:
            self.hook()
        self.burn(key)
        self.now += 1
        if key not in self.older:
            self.older[key] = [(0, self.get(key))]
        self.older[key].append((self.now, value))
        self.words[key] = value

    def burn(self, key):
        counts = self.near is None or isinstance(key, tuple) and self.near in key
        if self.fuse is not None and counts:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise self.accident()

    def sync_end(self, began, covers=lambda key: True):
        """A sync that began at time BEGAN has completed, if no accident comes first."""
        self.burn(('record',))
        for key in filter(covers, list(self.older)):
            history = self.older[key]
            while len(history) > 1 and history[1][0] <= began:
                history.pop(0)
            if len(history) == 1:
                del self.older[key]

    def possible(self, key):
        """What the word may be after a power cut now."""
        return [value for _, value in self.older[key]] if key in self.older else [self.get(key)]

    def tear(self):
        """What the disk holds after a power cut. Blocks behind the end of the file are lost."""
        for key, history in self.older.items():
            self.words[key] = self.rng.choice(history)[1]
        self.older = {}
        end = self.get(('file', 'size'))
        for key in list(self.words):
            block = key // BLOCK if isinstance(key, int) else key[1] if key[0] == 'header' else 0
            if block >= end:
                del self.words[key]


# Geometry: small, so that everything is reused all the time.
SLOT = 4                      # words of a slot
SLOTS = 8                     # slots of a block
BLOCK = SLOT * SLOTS          # words of a block
ENTRIES = 3                   # entries of a segment
ENTRY = 8                     # words of an entry: (user, counter), then three times epoch, word
LARGE = 3                     # runs of 2^3 slots and more are runs of whole blocks
ORDERS = 3                    # runs of 1, 2, 4 blocks
SHARDS = 2
HAND = 4


def outside_header(key):
    """Is the word one that the sync of a checkpoint covers?"""
    return isinstance(key, int) or key[0] in ('header', 'file')


def in_record(i):
    return lambda key: isinstance(key, tuple) and key[:2] == ('record', i)


class Undo:
    """The undo log of a shard or of the allocator."""

    def __init__(self, disk, name, wrong=''):
        self.disk, self.name, self.wrong = disk, name, wrong

    def key(self, field):
        return ('log', self.name, field)

    def pairs(self):
        count = self.disk.get(self.key('count'))
        words = [self.disk.get(self.key(i)) for i in range(2 * count)]
        return list(zip(words[::2], words[1::2]))

    def note(self, key):
        """Logs the word KEY, which is about to change."""
        pairs = self.pairs()
        if self.wrong == 'no undo log' or any(k == key for k, _ in pairs):
            return
        n = len(pairs)
        self.disk.put(self.key(2 * n), key)
        self.disk.put(self.key(2 * n + 1), self.disk.get(key))
        self.disk.put(self.key('count'), n + 1)

    def put(self, key, value):
        self.note(key)
        self.disk.put(key, value)

    def publish(self, key, value, after=None):
        """Makes the operation true; AFTER (the directory of a split) is redone by a repair."""
        disk = self.disk
        if disk.get(self.key('count')):
            disk.put(self.key('value'), value)
            disk.put(self.key('offset'), key)
        disk.put(key, value)
        if after:
            after(key)
        self.drop()

    def drop(self):
        fields = ['count', 'offset']
        if self.wrong == 'publish offset dropped first':
            fields.reverse()
        for field in fields:
            if self.disk.get(self.key(field)):
                self.disk.put(self.key(field), 0)

    def repair(self, redo):
        disk = self.disk
        if not disk.get(self.key('count')):
            if self.wrong == 'publish offset left':
                return
        else:
            offset = disk.get(self.key('offset'))
            if offset and disk.get(offset) == disk.get(self.key('value')):
                redo(offset)
            else:
                for key, old in reversed(self.pairs()):
                    disk.put(key, old)
        self.drop()
