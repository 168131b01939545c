/* SPDX-License-Identifier: MIT */
#include "commands.h"

const struct option long_options[] = {
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"json", no_argument, NULL, OPT_JSON},
    {"top", required_argument, NULL, OPT_TOP},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"max-visits", required_argument, NULL, OPT_MAX_VISITS},
    {"first-visit-id", required_argument, NULL, OPT_FIRST_VISIT_ID},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"by", required_argument, NULL, OPT_BY},
    {"count", required_argument, NULL, OPT_COUNT},
    {"yes", no_argument, NULL, OPT_YES},
    {"slot-size", required_argument, NULL, OPT_SLOT_SIZE},
    {"slot", required_argument, NULL, OPT_SLOT},
    {"offset", required_argument, NULL, OPT_OFFSET},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"theme", required_argument, NULL, OPT_THEME},
    {NULL, 0, NULL, 0},
};

const struct command commands[] = {
    {"info", command_info, OPT_JSON, 1, 1, false, NULL, "info STORE [--json]",
     "Shows the figures of a store.\n\n"
     "  --json    one JSON object\n"},
    {"users", command_users, OPT_JSON | OPT_TOP, 1, 1, false, NULL,
     "users STORE [--top N] [--json]",
     "Lists the users with their numbers of visits, in ascending order of id.\n\n"
     "  --top N   only the N users with the most visits, busiest first\n"
     "  --json    one JSON object a line\n"},
    {"stats", command_stats, OPT_JSON, 1, 1, false, NULL, "stats STORE [--json]",
     "Shows how visits, strings, slots, rings and the index are spread, and suggests a slot size "
     "and\n"
     "a number of shards for a new store.\n\n"
     "  --json    one JSON object a line\n"},
    {"top", command_top, OPT_BY | OPT_COUNT | OPT_JSON, 1, 1, false, NULL,
     "top STORE [--by visits|bytes|recency] [--count N] [--json]",
     "Shows the users that come first: with the most visits, with the most bytes of url and text, "
     "or\n"
     "with the newest visit.\n\n"
     "  --by ORDER  visits, bytes or recency; visits\n"
     "  --count N   so many users; 10\n"
     "  --json      one JSON object a line\n"},
    {"show", command_show, OPT_JSON, 2, 2, false, NULL, "show STORE USER [--json]",
     "Shows a user's visits, newest first: time, visit id, url and text, with tabs between.\n\n"
     "  --json    one JSON object a line\n"},
    {"import", command_import, OPT_FORMAT | OPT_MAX_VISITS | OPT_FIRST_VISIT_ID | OPT_STRICT, 1, 2,
     true, "jsonl csv clf", "import STORE [FILE|-] --format jsonl|csv|clf [OPTION]...",
     "Adds the visits of FILE, or of standard input, to a store; creates it if it is missing.\n"
     "A bad line is reported and left out.\n\n"
     "  --format F          jsonl, csv, or clf: common and combined log format\n"
     "  --max-visits N      visits kept for each user from now on; as the store has it, or 10\n"
     "  --first-visit-id N  clf: the visit id of line 1; the lines count on from there; 1\n"
     "  --strict            stop at the first bad line\n"},
    {"export", command_export, OPT_FORMAT, 1, 1, true, "jsonl csv",
     "export STORE --format jsonl|csv",
     "Writes all visits to standard output: users in ascending order of id, each user's visits\n"
     "newest first.\n\n"
     "  --format F  jsonl or csv\n"},
    {"diff", command_diff, OPT_JSON, 2, 2, false, NULL, "diff STORE OTHER [--json]",
     "Compares what two stores have: - is a visit that only the first has, + one that only the "
     "other\n"
     "has. Exit code 1 if they differ.\n\n"
     "  --json    one JSON object a line\n"},
    {"erase", command_erase, OPT_YES | OPT_JSON, 2, 2, false, NULL,
     "erase STORE USER [--yes] [--json]",
     "Removes all visits of a user and overwrites their bytes in the file. On a terminal it asks "
     "first.\n\n"
     "  --yes     does not ask\n"
     "  --json    one JSON object\n"},
    {"verify", command_verify, OPT_JSON, 1, 1, false, NULL, "verify STORE [--json]",
     "Checks every rule of the format and every checksum; tells what is wrong, what it costs, and\n"
     "what to do. Exit code 4 if visits are lost, or may be; 10 if none are.\n\n"
     "  --json    each finding, one JSON object a line\n"},
    {"watch", command_watch, OPT_INTERVAL | OPT_COUNT | OPT_JSON, 1, 1, true, NULL,
     "watch STORE [--interval SECONDS] [--count N] [--json]",
     "Shows the figures of a store that others write to, and how fast they rise, until it is\n"
     "interrupted.\n\n"
     "  --interval SECONDS  from one look to the next, 0.1 or more; 1\n"
     "  --count N           ends after so many looks\n"
     "  --json              one JSON object a look, a line each\n"},
    {"map", command_map, OPT_FORMAT | OPT_OUTPUT | OPT_THEME, 1, 1, true, "svg png html",
     "map STORE --format svg|png|html [-o FILE] [--theme light|dark]",
     "Draws a picture of the file: its blocks by use, fill and age. A large store has several in "
     "one\n"
     "cell.\n\n"
     "  --format F              svg, png or html\n"
     "  -o FILE, --output FILE  writes to FILE, not to standard output\n"
     "  --theme T               light or dark; svg and html: as the viewer has it, png: light\n"},
    {"salvage", command_salvage, OPT_MAX_VISITS | OPT_SLOT_SIZE | OPT_JSON, 2, 2, true, NULL,
     "salvage STORE DEST [--max-visits N] [--slot-size BYTES] [--json]",
     "Makes a new store of all that is whole in a damaged one, and tells for each user what is "
     "lost.\n"
     "DEST must not exist.\n\n"
     "  --max-visits N     visits kept for each user; as the store's records have it\n"
     "  --slot-size BYTES  if the superblock is lost; else and by default, as the visits lie\n"
     "  --json             one JSON object a line\n"},
    {"page", command_page, OPT_SLOT | OPT_OFFSET | OPT_SLOT_SIZE | OPT_JSON, 1, 2, false, NULL,
     "page STORE BLOCK | --slot N | --offset BYTE [--slot-size BYTES] [--json]",
     "Shows the bytes of a block, of a slot, or of what lies around a byte, each field with its "
     "name and\n"
     "value. Any file will do, damaged ones too.\n\n"
     "  --slot N           the slot of this number\n"
     "  --offset BYTE      the structure that this byte is part of, such as verify names\n"
     "  --slot-size BYTES  if the superblock is lost; else and by default, as the visits lie\n"
     "  --json             one JSON object a line\n"},
    {"backup", command_backup, 0, 2, 2, true, NULL, "backup STORE DEST",
     "Writes a copy of a store, also of one that is being written to. DEST must not exist.\n"},
    {"copy", command_backup, 0, 2, 2, true, NULL, "copy STORE DEST", "Another name for backup.\n"},
};

const size_t command_count = sizeof commands / sizeof commands[0];
