# SPDX-License-Identifier: MIT
"""What a store holds. README.md, "Reading a closed store"; protocol.md, "Opening read-only"."""

from . import ring
from .index import Cells, Damage, Directory, find_entry, lines_of, shard_of, user_hash, word_of
from .store import DAMAGED, StoreError


class Contents:
    def __init__(self, store):
        self.store = store
        try:
            self.index = Directory(store) if store.clean else Cells(store)
        except Damage as damage:
            raise StoreError(DAMAGED, damage.message) from damage

    def users(self):
        """All users that have visits, in ascending order."""
        try:
            return sorted(entry.user_id for block in self.index.segments()
                          for _, entry in lines_of(self.store, block) if word_of(self.store, entry))
        except Damage as damage:
            raise StoreError(DAMAGED, damage.message) from damage

    def visits(self, user):
        """A user's visits, newest first; raises Damage."""
        hashed = user_hash(self.store, user)
        block = self.index.find(shard_of(self.store, hashed), hashed)
        found = block and find_entry(self.store, block, hashed, user)
        value = found and word_of(self.store, found[1])
        if not value:
            return []
        word = ring.parse_word(value)
        problem = ring.word_problem(self.store, word)
        if problem:
            raise Damage(found[0], "version", problem)
        visits = ring.read_visits(self.store, user, word, min(word.count, self.store.limit))
        if self.store.live.failed:      # the system may have brought old pages back
            for visit in visits:
                if not ring.checksum_is_right(self.store, visit):
                    raise Damage(self.store.geometry.slot_at(visit.slot), "slot-checksum",
                                 "a checksum is wrong")
        return visits
