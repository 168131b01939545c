# SPDX-License-Identifier: MIT
meta:
  id: librv
  title: store of librv, format version 1
  file-extension: rv
  license: MIT
  endian: le
doc: |
  The structures of README.md, with its names, for Kaitai Struct. Nothing is checked but the magic, and the newest
  version of everything is taken: so this is for closed stores. `segments` are found from the block headers, as
  recovery finds them; from there `entries` lead to `visits`.

instances:
  superblock:
    pos: 0
    type: superblock
  record_a:
    pos: 4096
    type: record
  record_b:
    pos: 8192
    type: record
  live:
    pos: 12288
    type: live
  shards:
    pos: 16384
    type: shard
    repeat: expr
    repeat-expr: superblock.shards
  superblock_copy:
    pos: superblock.header_blocks * block_size - 4096
    type: superblock
  block_maps:
    type: block_map(superblock.header_blocks + _index * span)
    repeat: expr
    repeat-expr: (block_count - superblock.header_blocks + span - 1) / span
  block_size:
    value: 1 << superblock.block_log2
  slot_size:
    value: 1 << superblock.slot_log2
  span:
    value: block_size / 64
    doc: a block map every so many blocks
  block_count:
    value: _io.size / block_size
    doc: a rest of the file is ignored

types:
  superblock:
    seq:
      - {id: magic, contents: [0x89, 0x52, 0x56, 0x53, 0x0d, 0x0a, 0x1a, 0x0a]}
      - {id: format_version, type: u4}
      - {id: size, type: u4}
      - {id: compatible, type: u8}
      - {id: incompatible, type: u8}
      - {id: writer_incompatible, type: u8}
      - {id: uuid, size: 16}
      - {id: hash_seed, type: u8}
      - {id: block_log2, type: u4}
      - {id: slot_log2, type: u4}
      - {id: shards, type: u4}
      - {id: header_blocks, type: u4}
      - {id: created_ns, type: s8}
      - {id: reserved, type: u8, repeat: expr, repeat-expr: 51}
      - {id: checksum, type: u8}
      - {id: reserved2, type: u8}

  record:
    seq:
      - {id: serial, type: u8}
      - {id: durable, type: u8}
      - {id: blocks, type: u8}
      - {id: limit, type: u4}
      - {id: flags, type: u4}
      - {id: time_ns, type: s8}
      - {id: last_time, type: s8}
      - {id: reserved, type: u8}
      - {id: checksum, type: u8}
    instances:
      is_clean: {value: (flags & 1) != 0}
      is_trimmed: {value: (flags & 2) != 0}

  undo_pair:
    seq:
      - {id: offset, type: u8}
      - {id: old, type: u8}

  undo:
    seq:
      - {id: count, type: u8}
      - {id: publish_offset, type: u8}
      - {id: publish_value, type: u8}
      - {id: reserved, type: u8}

  lock:
    seq:
      - {id: mutex, type: u8, repeat: expr, repeat-expr: 6}
      - {id: repair, type: u8}
      - {id: holder, type: u8}

  live:
    seq:
      - {id: boot_id, size: 16}
      - {id: mount, type: u8}
      - {id: device, type: u8}
      - {id: inode, type: u8}
      - {id: holder, type: u8}
      - {id: serial, type: u8}
      - {id: epoch, type: u8}
      - {id: durable, type: u8}
      - {id: failed, type: u8}
      - {id: limit, type: u8}
      - {id: blocks, type: u8}
      - {id: synced, type: u8}
      - {id: reserved, type: u8, repeat: expr, repeat-expr: 3}
      - {id: free, type: u8, repeat: expr, repeat-expr: 16}
      - {id: undo, type: undo}
      - {id: pair, type: undo_pair, repeat: expr, repeat-expr: 96}
      - {id: lock_abi, type: u8}
      - {id: pid_space, type: u8}
      - {id: reserved2, type: u8, repeat: expr, repeat-expr: 2}
      - {id: alloc_lock, type: lock}
      - {id: checkpoint_lock, type: lock}
      - {id: sharers, type: u8, repeat: expr, repeat-expr: 32}
      - {id: reserved3, type: u8, repeat: expr, repeat-expr: 232}

  limbo:
    seq:
      - {id: epoch, type: u8}
      - {id: head, type: u8}

  shard:
    seq:
      - {id: lock, type: lock}
      - {id: structure, type: u8}
      - {id: changed, type: u8}
      - {id: last_time, type: u8}
      - {id: first, type: u8}
      - {id: hand, type: u8, repeat: expr, repeat-expr: 4}
      - {id: partial, type: u8, repeat: expr, repeat-expr: 14}
      - {id: limbo, type: limbo, repeat: expr, repeat-expr: 3}
      - {id: reserved, type: u8, repeat: expr, repeat-expr: 4}
      - {id: undo, type: undo}
      - {id: pair, type: undo_pair, repeat: expr, repeat-expr: 30}
      - {id: reserved2, type: u8, repeat: expr, repeat-expr: 24}
      - {id: root, type: pointer, repeat: expr, repeat-expr: 128}

  pointer:
    seq:
      - {id: word, type: u8}
    instances:
      kind: {value: word >> 56, enum: pointer_kind}
      target: {value: word & 0xffffffffffffff}
      node:
        io: _root._io
        pos: target * _root.slot_size
        type: node
        if: kind == pointer_kind::node

  node:
    seq:
      - {id: pointers, type: pointer, repeat: expr, repeat-expr: 128}

  block_map:
    params:
      - {id: block, type: u4}
    instances:
      headers:
        io: _root._io
        pos: block * _root.block_size
        type: block(block + _index)
        repeat: expr
        repeat-expr: _root.span
        doc: of this block map, and of the blocks up to the next one

  block:
    params:
      - {id: number, type: u4}
    seq:
      - {id: cell, type: u8, repeat: expr, repeat-expr: 3}
      - {id: segment, type: u8}
      - {id: prefix, type: u8}
      - {id: run, type: u8}
      - {id: list, type: u8}
      - {id: free, type: u8}
    instances:
      newest_cell: {value: "cell[0] >= cell[1] and cell[0] >= cell[2] ? cell[0] : cell[1] >= cell[2] ? cell[1] : cell[2]"}
      is_segment: {value: newest_cell > 255 and (newest_cell & 255) == 1}
      segment_shard: {value: segment >> 8}
      segment_depth: {value: segment & 255}
      kind: {value: (run >> 24) & 255, enum: kind}
      run_class: {value: (run >> 16) & 255}
      shard: {value: run & 65535}
      contents:
        io: _root._io
        pos: number * _root.block_size
        type: segment
        if: is_segment

  segment:
    seq:
      - {id: reserved, type: u4}
      - {id: link, type: u4}
      - {id: moved, type: u8}
      - {id: count, type: u8}
      - {id: changes, type: u4}
      - {id: reserved2, type: u4}
      - {id: reserved3, type: u8, repeat: expr, repeat-expr: 4}
      - {id: entries, type: entry, repeat: expr, repeat-expr: _root.span - 1}

  version:
    seq:
      - {id: epoch, type: u8}
      - {id: word, type: u8}

  entry:
    seq:
      - {id: user_id, type: u4}
      - {id: changes, type: u4}
      - {id: newest, type: u4}
      - {id: filter, type: u4}
      - {id: version, type: version, repeat: expr, repeat-expr: 3}
    instances:
      newest_word:
        value: >-
          version[0].epoch == 0 and version[1].epoch == 0 and version[2].epoch == 0 ? 0 :
          version[0].epoch >= version[1].epoch and version[0].epoch >= version[2].epoch ? version[0].word :
          version[1].epoch >= version[2].epoch ? version[1].word : version[2].word
      count: {value: newest_word & 0xfffff}
      run_class: {value: (newest_word >> 20) & 31}
      is_explicit: {value: (newest_word & 0x2000000) != 0}
      has_overflow: {value: (newest_word & 0x4000000) != 0}
      head: {value: newest_word >> 32}
      ring_size: {value: 1 << run_class}
      visits:
        type: ring_slot(head - head % ring_size + (head + ring_size - _index) % ring_size)
        repeat: expr
        repeat-expr: count
        doc: newest first; those from the limit on do not count

  ring_slot:
    params:
      - {id: number, type: u4}
    instances:
      slot:
        io: _root._io
        pos: number * _root.slot_size
        type: slot

  slot:
    seq:
      - {id: prev, type: u4}
      - {id: link, type: u4}
      - {id: user_id, type: u4}
      - {id: visit_id, type: u4}
      - {id: time_ns, type: s8}
      - {id: seq, type: u4}
      - {id: url_length, type: u4}
      - {id: text_length, type: u4}
      - {id: overflow, type: u4}
      - {id: checksum, type: u8}
      - {id: here, type: "strings(url_length, text_length)", if: overflow == 0}
    instances:
      elsewhere:
        io: _root._io
        pos: overflow * _root.slot_size
        type: overflow(url_length, text_length)
        if: overflow != 0

  overflow:
    params:
      - {id: url_length, type: u4}
      - {id: text_length, type: u4}
    seq:
      - {id: reserved, type: u4}
      - {id: link, type: u4}
      - {id: user_id, type: u4}
      - {id: visit_id, type: u4}
      - {id: reserved2, type: u8, repeat: expr, repeat-expr: 4}
      - {id: strings, type: "strings(url_length, text_length)"}

  strings:
    params:
      - {id: url_length, type: u4}
      - {id: text_length, type: u4}
    seq:
      - {id: url, size: url_length}
      - {id: url_end, contents: [0]}
      - {id: text, size: text_length}
      - {id: text_end, contents: [0]}

enums:
  kind:
    0: unused
    1: free
    2: slots
    3: large
    4: segment
    5: map
    6: hand
  pointer_kind:
    0: none
    1: segment
    2: node
