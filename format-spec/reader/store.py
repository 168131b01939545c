# SPDX-License-Identifier: MIT
"""An open store: superblock, records, live state, geometry, and how its contents are to be read.

README.md: "The file", "Superblock", "Record", "Live state", "Block header". protocol.md: "Open for
writing" (what clean means), "Opening read-only".
"""

import fcntl
import mmap
import os
import stat
import struct

from . import layout
from .xxh3 import xxh3

NOT_A_STORE, NEWER, DAMAGED, BUSY = "not a store", "newer version", "damaged", "busy"

WRITER_BYTE = (1 << 60) + 1     # protocol.md, "Locks"


class StoreError(Exception):
    """The store cannot be read; `kind` is one of the four above."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Geometry:
    """What follows from the superblock's sizes."""

    def __init__(self, superblock):
        self.block_log2, self.slot_log2 = superblock.block_log2, superblock.slot_log2
        self.shards = superblock.shards
        self.block_size = 1 << self.block_log2
        self.slot_size = 1 << self.slot_log2
        self.span = self.block_size // 64
        self.header_blocks = header_blocks(self.block_size, self.shards)
        self.copy_at = self.header_blocks * self.block_size - layout.COPY_SIZE
        self.lines = self.block_size // 64 - 1
        # "large run: a run of whole blocks: class >= block_log2 - slot_log2"; "Limits: run"
        self.large_class = self.block_log2 - self.slot_log2
        self.class_max = 2 * self.block_log2 - self.slot_log2 - 7
        self.node_class = max(0, layout.NODE_LOG2 - self.slot_log2)
        self.limit_max = (1 << self.class_max) - 2

    def map_of(self, block):
        """The block map that has the block's header."""
        return block - (block - self.header_blocks) % self.span

    def header_at(self, block):
        block_map = self.map_of(block)
        return block_map * self.block_size + (block - block_map) * 64

    def block_of(self, slot):
        return slot >> self.large_class

    def slot_at(self, slot):
        return slot << self.slot_log2

    def class_for(self, size):
        """The least class whose run holds so many bytes."""
        slots = -(-size >> self.slot_log2)
        return max(0, (slots - 1).bit_length())


def header_blocks(block_size, shards):
    """README.md, "The file": H."""
    header = layout.SHARDS_AT + layout.SHARD.size * shards
    header += -header % 4096 + layout.COPY_SIZE
    return -(-header // block_size)


def superblock_is_valid(data, at):
    """README.md, "Superblock": valid is one with the magic and the right checksum."""
    if at + layout.SUPERBLOCK.size > len(data):
        return False
    found = layout.SUPERBLOCK.read(data, at)
    return (found.magic == layout.MAGIC
            and found.checksum == xxh3(data[at:at + layout.SUPERBLOCK.offset["checksum"]]))


def find_superblock(data):
    """The offset of the superblock that counts. README.md, "Superblock" and "Extensibility"."""
    if len(data) < 4096:
        raise StoreError(NOT_A_STORE, "it is too short")
    version = int.from_bytes(data[8:12], "little")
    has_magic = data[:8] == layout.MAGIC
    if has_magic and version > layout.VERSION:
        raise StoreError(NEWER, f"format version {version}; this reader knows {layout.VERSION}")
    if superblock_is_valid(data, layout.SUPERBLOCK_AT):
        return layout.SUPERBLOCK_AT
    for at in range(4096, layout.COPY_SEARCH_END, 4096):
        if superblock_is_valid(data, at):
            found = layout.SUPERBLOCK.read(data, at)
            if (found.block_log2 <= 20
                    and (found.header_blocks << found.block_log2) - layout.COPY_SIZE == at):
                return at
    if has_magic:
        raise StoreError(DAMAGED, "the superblock and its copy are damaged")
    raise StoreError(NOT_A_STORE, "there is no superblock")


def check_superblock(superblock):
    """README.md, "Superblock" and "Extensibility"."""
    if superblock.format_version > layout.VERSION or superblock.incompatible:
        raise StoreError(NEWER, "it has features that this reader does not know")
    shards = superblock.shards
    if not (superblock.format_version == layout.VERSION
            and 12 <= superblock.block_log2 <= 20
            and 7 <= superblock.slot_log2 <= 12
            and 1 <= shards <= 256 and shards & shards - 1 == 0
            and superblock.header_blocks == header_blocks(1 << superblock.block_log2, shards)):
        raise StoreError(DAMAGED, "the superblock names sizes that cannot be")


def record_is_valid(data, at, uuid):
    """README.md, "Record"."""
    record = layout.RECORD.read(data, at)
    covered = data[at:at + layout.RECORD.offset["checksum"]]
    return (0 < record.serial < layout.SERIAL_END
            and record.durable < layout.DURABLE_END
            and record.checksum == xxh3(covered, int.from_bytes(uuid[:8], "little")))


class Store:
    """A store in a bytes-like object.

    superblock, record  those that count
    clean               closed: the newest versions are read; else those as of D, with an index from the cells
    durable             D
    blocks              of the file; a rest behind them is ignored
    """

    def __init__(self, data):
        self.data = data
        self.superblock_at = find_superblock(data)
        self.superblock = layout.SUPERBLOCK.read(data, self.superblock_at)
        check_superblock(self.superblock)
        self.geometry = Geometry(self.superblock)
        self.blocks = len(data) // self.geometry.block_size
        self._choose_record()
        self._check_record()
        self.live = layout.LIVE.read(data, layout.LIVE_AT)

    def _choose_record(self):
        """README.md, "Record": the valid one with the higher serial counts."""
        if self.blocks <= self.geometry.header_blocks:
            raise StoreError(DAMAGED, "the file ends inside its header")
        valid = [at for at in layout.RECORDS_AT
                 if record_is_valid(self.data, at, self.superblock.uuid)]
        if not valid:
            raise StoreError(DAMAGED, "no checkpoint record is valid")
        self.record_at = max(valid, key=lambda at: layout.RECORD.read(self.data, at).serial)
        self.record = layout.RECORD.read(self.data, self.record_at)
        self.broken_records = [at for at in layout.RECORDS_AT
                               if at not in valid and any(self.data[at:at + layout.RECORD.size])]
        self.clean = bool(self.record.flags & layout.CLEAN) and not self.broken_records
        self.durable = self.record.durable
        self.limit = self.record.limit

    def _check_record(self):
        """README.md, "Reading a closed store", 1; protocol.md, "Recovery": the record's blocks."""
        if not 1 <= self.limit <= 65535:
            raise StoreError(DAMAGED, f"the record has the limit {self.limit}")
        if not self.clean and self.record.blocks > self.blocks:
            raise StoreError(DAMAGED, f"the record says {self.record.blocks} blocks, the file has "
                                      f"{self.blocks}")

    # ---- where things lie ----

    def shard_at(self, shard):
        return layout.SHARDS_AT + layout.SHARD.size * shard

    def shard(self, shard):
        return layout.SHARD.read(self.data, self.shard_at(shard))

    def header(self, block):
        return layout.HEADER.read(self.data, self.geometry.header_at(block))

    def maps(self):
        return range(self.geometry.header_blocks, self.blocks, self.geometry.span)

    def is_map(self, block):
        return (block - self.geometry.header_blocks) % self.geometry.span == 0

    def has_block(self, block):
        """May a structure that a number of the file names lie there? (I6)"""
        return self.geometry.header_blocks < block < self.blocks and not self.is_map(block)

    def has_run(self, slot, run_class):
        """Does a run lie in the file behind block H, aligned?"""
        geometry = self.geometry
        if run_class > geometry.class_max or slot & (1 << run_class) - 1:
            return False
        last = slot + (1 << run_class) - 1
        return geometry.block_of(slot) > geometry.header_blocks and geometry.block_of(last) < self.blocks

    # ---- versions ----

    def newest(self, epochs):
        """Which of three versions counts: README.md, "Reading a closed store", 3, or as of D.
        None if none does."""
        best, best_epoch = None, 0
        for i, epoch in enumerate(epochs):
            if best_epoch < epoch and (self.clean or epoch <= self.durable):
                best, best_epoch = i, epoch
        return best

    def use_of(self, header):
        """The use that a block's cells name; 0: none."""
        i = self.newest([cell >> 8 for cell in header.cell])
        return 0 if i is None else header.cell[i] & 0xFF


def open_store(path):
    """Maps the file and reads its header. The writer must not be there: a reader beside one has to look
    at counters again and again (protocol.md, "Reading beside a writer"), which this one does not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(NOT_A_STORE, "it is not a regular file")
        if status.st_size == 0:
            raise StoreError(NOT_A_STORE, "it is empty")
        if _writer_is_there(descriptor):
            raise StoreError(BUSY, "a writer has it open")
        return Store(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
    finally:
        os.close(descriptor)


def _writer_is_there(descriptor):
    lock = struct.Struct("hhqqi4x")     # struct flock where off_t has 64 bits
    asked = lock.pack(fcntl.F_WRLCK, os.SEEK_SET, WRITER_BYTE, 1, 0)
    found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
    return lock.unpack(found)[0] != fcntl.F_UNLCK
