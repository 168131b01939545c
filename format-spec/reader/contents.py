# SPDX-License-Identifier: MIT
"""What a store holds. README.md, "Reading a closed store"; protocol.md, "Opening read-only"."""

from . import ring
from .index import (Cells, Damage, Directory, find_entry, is_free, lines_of, shard_of, user_hash,
                    word_of)
from .store import DAMAGED, StoreError


class Contents:
    def __init__(self, store):
        self.store = store
        try:
            self.index = Directory(store) if store.clean else Cells(store)
        except Damage as damage:
            raise StoreError(DAMAGED, damage.message) from damage
        # Rings and overflow runs are never shared by users, so they do not exceed the file. This bounds
        # the work that a hostile file can ask for.
        self.budget = len(store.data)

    def users(self, report):
        """All users that have visits, in ascending order; report(damage) is told of what is in the way."""
        found = set()
        for block in self.index.segments(report):
            for _, entry in lines_of(self.store, block):
                if not is_free(entry) and word_of(self.store, entry):
                    found.add(entry.user_id)
        return sorted(found)

    def visits(self, user):
        """A user's visits, newest first; raises Damage."""
        hashed = user_hash(self.store, user)
        block = self.index.find(hashed)
        entry = None if block is None else find_entry(self.store, block, hashed, user)
        found = entry and word_of(self.store, entry)
        if not found:
            return []
        word = ring.parse_word(found)
        problem = ring.word_problem(self.store, word)
        if problem:
            raise Damage(self.store.shard_at(shard_of(self.store, hashed)), "version", problem)
        self._spend(word.head, word.run_class)
        return list(ring.read_visits(self.store, user, word, min(word.count, self.store.limit),
                                     claim=self._spend))

    def _spend(self, _slot, run_class):
        self.budget -= self.store.geometry.slot_size << run_class
        if self.budget < 0:
            raise StoreError(DAMAGED, "the visits need more room than the file has")
        return True
