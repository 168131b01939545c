# SPDX-License-Identifier: MIT
"""Draws the pictures of docs/design.md.

    python3 docs/img/draw.py

All colours are of middle brightness, on nothing: they show on white and on black.
"""

import pathlib
from html import escape

GREY, BLUE, GREEN, ORANGE, RED = "#767676", "#3b82c4", "#2e9e5b", "#cc7a1e", "#d0524f"


class Picture:
    def __init__(self, width, height, title):
        self.size = width, height
        self.title = title
        self.parts = []

    def text(self, x, y, words, colour=GREY, anchor="start", size=14, style=""):
        self.parts.append(f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" '
                          f'font-size="{size}"{style}>{escape(words)}</text>')

    def box(self, x, y, width, height, words="", colour=GREY, filled=True, dashed=False, size=14):
        opacity = 0.18 if filled else 0
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" fill="{colour}" '
                          f'fill-opacity="{opacity}" stroke="{colour}" stroke-width="1.5"{dash}/>')
        lines = words.split("\n") if words else []
        for i, line in enumerate(lines):
            middle = y + height / 2 + 5 + (i - (len(lines) - 1) / 2) * (size + 4)
            self.text(x + width / 2, middle, line, colour, "middle", size)

    def line(self, *points, colour=GREY, arrow=True, dashed=False):
        head = f' marker-end="url(#{colour[1:]})"' if arrow else ""
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        path = " ".join(f"{x},{y}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}{head}/>')

    def svg(self):
        width, height = self.size
        heads = "".join(
            f'<marker id="{c[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0,0.5 L8,4 L0,7.5 z" fill="{c}"/></marker>' for c in (GREY, BLUE, GREEN, ORANGE, RED))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="system-ui, sans-serif" role="img">\n<title>{escape(self.title)}</title>\n'
            f'<defs>{heads}</defs>\n' + "\n".join(self.parts) + "\n</svg>\n")


def row(picture, x, y, cells, height=44):
    """Boxes side by side: (width, words, colour)."""
    places = []
    for width, words, colour in cells:
        picture.box(x, y, width, height, words, colour, size=13)
        places.append(x)
        x += width
    return places


def layout():
    p = Picture(900, 500, "The file: blocks, the header, and the way from a user id to visits")
    p.text(20, 28, "the file, in blocks of 64 KiB")
    row(p, 20, 40, [
        (100, "header", ORANGE), (80, "block map", GREY), (80, "slots", GREEN), (80, "segment", BLUE),
        (80, "slots", GREEN), (80, "free", GREY), (160, "large run", GREEN), (80, "...", GREY),
        (110, "block map", GREY)])
    p.text(160, 102, "block 1", anchor="middle", size=12)
    p.text(815, 102, "block 1025", anchor="middle", size=12)
    p.line((20, 84), (20, 140), colour=ORANGE, arrow=False, dashed=True)
    p.line((120, 84), (870, 140), colour=ORANGE, arrow=False, dashed=True)
    row(p, 20, 140, [
        (120, "superblock", ORANGE), (100, "record A", ORANGE), (100, "record B", ORANGE),
        (110, "live state", ORANGE), (80, "shard 0", ORANGE), (80, "...", ORANGE), (80, "shard 15", ORANGE),
        (70, "zeros", GREY), (110, "copy of the\nsuperblock", ORANGE)])
    p.text(80, 202, "constant", anchor="middle", size=12)
    p.text(240, 202, "last checkpoint, and the one before", anchor="middle", size=12)
    p.text(395, 202, "E, D, N", anchor="middle", size=12)
    p.text(650, 202, "each: lock, lists, limbo, undo log, root of its directory", anchor="middle", size=12)

    p.text(20, 262, "from a user id to visits")
    p.box(20, 290, 90, 50, "user id", GREY)
    p.line((110, 315), (178, 315))
    p.text(144, 305, "XXH3", anchor="middle", size=12)
    p.box(180, 290, 110, 50, "shard's root,\nnodes", ORANGE, size=13)
    p.text(235, 358, "lowest bits: shard;", anchor="middle", size=12)
    p.text(235, 374, "highest: directory", anchor="middle", size=12)
    p.line((290, 315), (348, 315))
    p.box(350, 276, 90, 78, "", BLUE)
    for i in range(1, 6):
        p.line((350, 276 + 13 * i), (440, 276 + 13 * i), colour=BLUE, arrow=False)
    p.box(350, 302, 90, 13, "", BLUE)
    p.text(395, 374, "segment: entries", BLUE, "middle", 12)
    p.line((440, 309), (498, 309), colour=BLUE)
    p.box(500, 276, 150, 30, "id, changes, hints", BLUE, size=13)
    p.box(500, 306, 150, 20, "epoch 5: head, count", BLUE, size=12)
    p.box(500, 326, 150, 20, "epoch 6: head, count", BLUE, size=12)
    p.box(500, 346, 150, 20, "epoch 4: head, count", BLUE, size=12)
    p.text(575, 386, "entry: one cache line", BLUE, "middle", 12)
    p.line((650, 336), (690, 336), (690, 420), (640, 420), (640, 434), colour=GREEN)
    row(p, 465, 436, [(50, w, GREEN if w else GREY) for w in ("", "a", "b", "c", "", "", "", "")], 30)
    p.text(665, 486, "ring: slots that lie side by side", GREEN, "middle", 12)
    p.text(700, 426, "head: the newest", GREEN, size=12)
    return p


def ring():
    p = Picture(900, 500, "A ring of 8 slots turns: N is 4")
    rows = [
        ("full: four visits", "abcd....", (0, 4), (0, 4), "the last checkpoint is the present"),
        ("e and f are added", "abcdef..", (2, 4), (0, 4), "each: one slot written, one word published"),
        ("g and h are added", "abcdefgh", (4, 4), (0, 4), "the next slot is the checkpoint's: not free"),
        ("a checkpoint", "abcdefgh", (4, 4), (4, 4), "nothing is written here: D rises, a is free"),
        ("i is added", "ibcdefgh", None, (4, 4), "round the ring: no allocation, no garbage"),
    ]
    for i, (what, slots, newest, saved, note) in enumerate(rows):
        y = 20 + 96 * i
        p.text(20, y + 26, what)
        for k, name in enumerate(slots):
            inside = newest and newest[0] <= k < newest[0] + newest[1] or newest is None and k in (0, 5, 6, 7)
            empty = name == "."
            p.box(200 + 42 * k, y, 42, 38, "" if empty else name, GREEN if inside else GREY,
                  filled=bool(inside), dashed=empty)
        if newest:
            p.line((200 + 42 * newest[0] + 3, y + 43), (200 + 42 * (newest[0] + 4) - 3, y + 43), colour=GREEN, arrow=False)
        else:
            p.line((203, y + 43), (239, y + 43), colour=GREEN, arrow=False)
            p.line((200 + 42 * 5 + 3, y + 43), (200 + 42 * 8 - 3, y + 43), colour=GREEN, arrow=False)
        p.line((200 + 42 * saved[0] + 3, y + 49), (200 + 42 * (saved[0] + 4) - 3, y + 49), colour=BLUE, arrow=False)
        p.text(200 + 42 * saved[0] + 84, y + 66, "as of the last checkpoint", BLUE, "middle", 12)
        p.text(560, y + 26, note, size=13)
    p.line((560, 68), (590, 68), colour=GREEN, arrow=False)
    p.text(598, 72, "the newest version", GREEN, size=12)
    p.text(560, 256, "(a fifth add before the checkpoint", size=12)
    p.text(560, 272, "would move to a fresh ring)", size=12)
    return p


def version():
    p = Picture(900, 330, "Three cells of one user through a checkpoint")
    new, saved, flight, free = GREEN, BLUE, ORANGE, None
    columns = [
        ("D 4, E 5", "at rest", [("4", "d", new), None, None]),
        ("D 4, E 5", "add e: a free cell", [("4", "d", saved), ("5", "e", new), None]),
        ("D 4, E 5", "add f: in place", [("4", "d", saved), ("5", "f", new), None]),
        ("D 4, E 6", "begins; add g", [("4", "d", saved), ("5", "f", flight), ("6", "g", new)]),
        ("D 5, E 6", "synced, recorded", [("4", "d", free), ("5", "f", saved), ("6", "g", new)]),
        ("D 5, E 7", "next begins; add h", [("7", "h", new), ("5", "f", saved), ("6", "g", flight)]),
    ]
    for i, (epochs, what, cells) in enumerate(columns):
        x = 14 + 148 * i
        p.text(x + 62, 30, epochs, anchor="middle")
        p.text(x + 62, 52, what, anchor="middle", size=13)
        for k, cell in enumerate(cells):
            y = 70 + 46 * k
            if cell is None:
                p.box(x, y, 124, 38, "", GREY, filled=False, dashed=True)
            else:
                epoch, head, colour = cell
                p.box(x, y, 124, 38, f"epoch {epoch}: head {head}", colour or GREY, filled=bool(colour),
                      dashed=not colour, size=13)
        if i < 5:
            p.line((x + 127, 135), (x + 145, 135))
    p.line((443, 222), (443, 238), (733, 238), (733, 222), colour=ORANGE, arrow=False)
    p.text(588, 256, "a checkpoint: writers go on meanwhile", ORANGE, "middle", 13)
    for x, colour, words in ((14, GREEN, "the newest: what a read returns"),
                             (290, BLUE, "as of D: what a power cut returns"),
                             (580, ORANGE, "as of E - 1, on its way to the disk")):
        p.box(x, 284, 18, 18, "", colour)
        p.text(x + 26, 298, words, colour, size=13)
    return p


def split():
    p = Picture(900, 420, "A segment is split in three steps")
    steps = [("1  copy into two new ones", ""), ("2  publish: one word", "moved"), ("3  directory, then limbo", "limbo")]
    for i, (title, state) in enumerate(steps):
        x = 20 + 300 * i
        done = state == "limbo"
        p.text(x, 28, title)
        p.text(x + 30, 62, "directory", ORANGE, "middle", 12)
        for k, bits in enumerate(("00", "01", "10", "11")):
            p.box(x, 72 + 40 * k, 60, 40, bits, ORANGE)
        p.box(x + 160, 62, 90, 52, "full" if not done else "in limbo", GREY if done else BLUE, dashed=done, filled=not done)
        p.text(x + 205, 132, "moved = S0, S1" if state else "moved = 0", RED if state == "moved" else GREY, "middle", 12)
        fresh = GREY if not state else BLUE
        p.box(x + 160, 160, 90, 46, "S0: 00", fresh, dashed=not state)
        p.box(x + 160, 222, 90, 46, "S1: 01", fresh, dashed=not state)
        p.box(x + 160, 290, 90, 46, "another: 1", BLUE)
        if done:
            p.line((x + 60, 92), (x + 110, 92), (x + 110, 183), (x + 158, 183), colour=ORANGE)
            p.line((x + 60, 132), (x + 96, 132), (x + 96, 245), (x + 158, 245), colour=ORANGE)
        else:
            p.line((x + 60, 92), (x + 158, 84), colour=ORANGE)
            p.line((x + 60, 132), (x + 158, 96), colour=ORANGE)
        p.line((x + 60, 172), (x + 82, 172), (x + 82, 306), (x + 158, 306), colour=ORANGE)
        p.line((x + 60, 212), (x + 70, 212), (x + 70, 320), (x + 158, 320), colour=ORANGE)
    p.text(20, 376, "killed: taken back", GREY, size=13)
    p.text(320, 376, "from here on a kill is repaired forwards", RED, size=13)
    p.text(620, 376, "the old one serves until the structure", GREY, size=13)
    p.text(620, 394, "counter rises; free after a checkpoint", GREY, size=13)
    return p


def pictures():
    return {f"{draw.__name__}.svg": draw().svg() for draw in (layout, ring, version, split)}


if __name__ == "__main__":
    for name, svg in pictures().items():
        (pathlib.Path(__file__).parent / name).write_text(svg, encoding="utf-8")
