# SPDX-License-Identifier: MIT
"""A user's visits. README.md, "Version", "Slot", "Overflow run", "Reading a closed store" 4.

What is wrong goes to a function report(offset, rule, message): a reader's raises Damage, a verifier's
takes a note and returns.
"""

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


def raise_damage(offset, rule, message):
    raise Damage(offset, rule, message)


def strings_at(store, slot, fields, report):
    """Where the strings of a visit lie: the offset of the slot or overflow run, and the run's class, None
    for the slot itself. None if it cannot be told."""
    geometry = store.geometry
    at = geometry.slot_at(slot)
    length = fields.url_length + fields.text_length
    fit = length + 2 <= geometry.slot_size - layout.SLOT.size
    if fit != (fields.overflow == 0):
        return report(at, "chain", "the strings fit, yet have an overflow run" if fit else
                      "the strings do not fit, yet have no overflow run")
    if fit:
        return at, None
    if length > layout.STRINGS_MAX:
        return report(at, "chain", f"strings of {length} bytes")
    run_class = geometry.class_for(layout.OVERFLOW.size + length + 2)
    if not store.has_run(fields.overflow, run_class):
        return report(at, "chain", f"slot {fields.overflow} cannot be an overflow run of class {run_class}")
    return geometry.slot_at(fields.overflow), run_class


def read_slot(store, slot, user, report, claim):
    """The visit in a slot, None if it cannot be read. claim(slot, class) is asked before the strings of an
    overflow run are read."""
    at = store.geometry.slot_at(slot)
    fields = layout.SLOT.read(store.data, at)
    if fields.user_id != user:
        return report(at, "chain", f"the slot is of user {fields.user_id}")
    place = strings_at(store, slot, fields, report)
    if place is None:
        return None
    base, run_class = place
    if run_class is not None:
        owner = layout.OVERFLOW.read(store.data, base)
        if (owner.user_id, owner.visit_id) != (user, fields.visit_id):
            return report(at, "chain",
                          f"the overflow run is of user {owner.user_id}, visit {owner.visit_id}")
    begin = base + layout.SLOT.size
    middle = begin + fields.url_length
    end = middle + 1 + fields.text_length
    if store.data[middle] or store.data[end]:
        return report(at, "chain", "a string has no NUL behind it")
    if run_class is not None and not claim(fields.overflow, run_class):
        return None
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


def read_visits(store, user, word, count, report=raise_damage, claim=lambda slot, run_class: True):
    """Yields the newest `count` visits of a sound word, newest first; what cannot be read is left out."""
    newer = None
    for i in range(count):
        slot = slot_of(word, i)
        at = store.geometry.slot_at(slot)
        fields = layout.SLOT.read(store.data, at)
        if newer is not None and not is_below(fields.seq, newer):
            report(at, "chain", f"number {fields.seq} is not below {newer} of the newer visit")
        newer = fields.seq
        if i + 1 < word.count and fields.prev != slot_of(word, i + 1):
            report(at, "chain", f"prev is {fields.prev}, not {slot_of(word, i + 1)}")
        visit = read_slot(store, slot, user, report, claim)
        if visit is not None:
            yield visit
