# SPDX-License-Identifier: MIT
"""python3 -m reader STORE list|verify|info, in format-spec/ or with PYTHONPATH naming it.

list    every visit as a line of JSON, users in ascending order, newest visit first
verify  what breaks a rule of the format: offset, rule, user, message
info    superblock and record

Exit status: 0; 2 wrong arguments; 4 damaged; 5 a writer has it open; 7 it cannot be opened; 8 not a store,
or a newer version.
"""

import argparse
import sys

from . import jsonl
from .contents import Contents
from .index import Damage
from .store import BUSY, DAMAGED, NEWER, NOT_A_STORE, StoreError, open_store
from .verify import verify

STATUS = {DAMAGED: 4, BUSY: 5, NOT_A_STORE: 8, NEWER: 8}


def command_list(store):
    status = 0
    contents = Contents(store)
    for user in contents.users():
        try:
            for visit in contents.visits(user):
                sys.stdout.buffer.write(jsonl.line(user, visit))
        except Damage as damage:
            status = STATUS[DAMAGED]
            print(f"offset {damage.offset}: {damage.message}\nuser {user} is left out", file=sys.stderr)
    return status


def command_verify(store):
    status = 0
    for finding in verify(store):
        user = "" if finding.user is None else f"user {finding.user}: "
        print(f"offset {finding.offset}: {finding.rule}: {user}{finding.message}")
        status = STATUS[DAMAGED]
    return status


def command_info(store):
    superblock, record = store.superblock, store.record
    print(f"uuid            {superblock.uuid.hex()}")
    print(f"format version  {superblock.format_version}")
    print(f"state           {'clean' if store.clean else f'as of epoch {store.durable}'}")
    print(f"created         {jsonl.time_text(superblock.created_ns)}")
    print(f"checkpoint      {jsonl.time_text(record.time_ns)}, serial {record.serial}, "
          f"epoch {record.durable}")
    print(f"max visits      {record.limit}")
    print(f"block size      {store.geometry.block_size}")
    print(f"slot size       {store.geometry.slot_size}")
    print(f"shards          {superblock.shards}")
    print(f"blocks          {store.blocks}")
    return 0


COMMANDS = {"list": command_list, "verify": command_verify, "info": command_info}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="reader", description="Reads a store of recent visits.")
    parser.add_argument("store")
    parser.add_argument("command", choices=COMMANDS)
    chosen = parser.parse_args(arguments)
    try:
        status = COMMANDS[chosen.command](open_store(chosen.store))
        sys.stdout.flush()
        return status
    except StoreError as error:
        print(f"{chosen.store}: {error}", file=sys.stderr)
        return STATUS[error.kind]
    except BrokenPipeError:
        sys.stderr.close()      # nobody reads any more
        return 6
    except OSError as error:
        print(f"{chosen.store}: {error.strerror}", file=sys.stderr)
        return 7


if __name__ == "__main__":
    sys.exit(main())
