# SPDX-License-Identifier: MIT
"""A user's visits. README.md, "Version", "Slot", "Overflow run", "Reading a closed store" 4."""

import collections

from . import layout
from .index import Damage
from .xxh3 import xxh3

Word = collections.namedtuple("Word", "count run_class explicit overflow unknown head")

Visit = collections.namedtuple(
    "Visit", "slot visit_id time_ns seq url text overflow overflow_class")


def parse_word(word):
    """README.md, "Version"."""
    return Word(word & 0xFFFFF, word >> 20 & 31, bool(word >> 25 & 1), bool(word >> 26 & 1),
                word >> 27 & 31, word >> 32)


def base_of(word):
    return word.head & ~((1 << word.run_class) - 1)


def slot_of(word, i):
    """The slot of the i-th older visit."""
    return base_of(word) + (word.head - i) % (1 << word.run_class)


def word_problem(store, word):
    """What is wrong with a word that is not 0; None if it names a ring that can be looked at."""
    if word.unknown:
        return "its bits 27 to 31 are not 0"
    if word.run_class > store.geometry.class_max:
        return f"a ring of class {word.run_class} is too large"
    if not 1 <= word.count <= 1 << word.run_class:
        return f"{word.count} visits in a ring of {1 << word.run_class}"
    if not store.has_run(base_of(word), word.run_class):
        return f"slot {word.head} is outside of the file or in its header"
    return None


def strings_at(store, at, fields):
    """Where the strings of a visit lie: the offset of the slot or overflow run, and the run's class, None
    for the slot itself."""
    geometry = store.geometry
    length = fields.url_length + fields.text_length
    fit = length + 2 <= geometry.slot_size - layout.SLOT.size
    if fit != (fields.overflow == 0):
        raise Damage(at, "chain", "the strings fit, yet have an overflow run" if fit else
                     "the strings do not fit, yet have no overflow run")
    if fit:
        return at, None
    if length > layout.STRINGS_MAX:
        raise Damage(at, "chain", f"strings of {length} bytes")
    run_class = geometry.class_for(layout.OVERFLOW.size + length + 2)
    if not store.has_run(fields.overflow, run_class):
        raise Damage(at, "chain",
                     f"slot {fields.overflow} cannot be an overflow run of class {run_class}")
    base = geometry.slot_at(fields.overflow)
    owner = layout.OVERFLOW.read(store.data, base)
    if (owner.user_id, owner.visit_id) != (fields.user_id, fields.visit_id):
        raise Damage(at, "chain", f"the overflow run is of user {owner.user_id}, visit {owner.visit_id}")
    return base, run_class


def read_slot(store, slot, fields, base, run_class):
    """The visit in a slot whose strings are known to lie at `base`."""
    begin = base + layout.SLOT.size
    middle = begin + fields.url_length
    end = middle + 1 + fields.text_length
    if store.data[middle] or store.data[end]:
        raise Damage(store.geometry.slot_at(slot), "chain", "a string has no NUL behind it")
    return Visit(slot, fields.visit_id, fields.time_ns, fields.seq, store.data[begin:middle],
                 store.data[middle + 1:end], fields.overflow, run_class)


def checksum_is_right(store, visit):
    """README.md, "Slot"."""
    at = store.geometry.slot_at(visit.slot)
    begin, end = layout.SLOT_CHECKED
    seed = xxh3(visit.url + b"\0" + visit.text + b"\0")
    checksum = layout.SLOT.read(store.data, at).checksum
    return checksum == xxh3(store.data[at + begin:at + end], seed)


def is_below(older, newer):
    """0 < newer - older < 2^31 modulo 2^32."""
    return 0 < (newer - older) & 0xFFFFFFFF < 1 << 31


def read_visits(store, user, word, count):
    """The newest `count` visits of a sound word, newest first; raises Damage if one of them is not sound."""
    visits, outside = [], 0
    for i in range(count):
        slot = slot_of(word, i)
        at = store.geometry.slot_at(slot)
        fields = layout.SLOT.read(store.data, at)
        if fields.user_id != user:
            raise Damage(at, "chain", f"the slot is of user {fields.user_id}")
        if visits and not is_below(fields.seq, visits[-1].seq):
            raise Damage(at, "chain", f"number {fields.seq} is not below {visits[-1].seq} of the newer visit")
        if i + 1 < word.count and fields.prev != slot_of(word, i + 1):
            raise Damage(at, "chain", f"prev is {fields.prev}, not {slot_of(word, i + 1)}")
        base, run_class = strings_at(store, at, fields)
        if run_class is not None:
            outside += fields.url_length + fields.text_length + 2
            if outside > len(store.data):
                raise Damage(at, "chain", "the user's strings need more room than the file has")
        visits.append(read_slot(store, slot, fields, base, run_class))
    return visits
