# SPDX-License-Identifier: MIT
"""Writes the manual pages of section 3 from the comments of the public header, in mdoc.

    man.py recent_visits.h OUTPUT-FOLDER FUNCTION...

One page a function, librv.3 with an overview, librv-types.3 with the types. It fails if FUNCTION... are
not exactly what the header declares, or one has no comment.
"""

import datetime
import os
import pathlib
import re
import sys

COMMENT = r"/\*\*((?:(?!\*/).)*)\*/\n"
FUNCTION = re.compile(COMMENT + r"([\w \*]+?)(Visit\w+)\(([^)]*)\);", re.DOTALL)
TYPE = re.compile(COMMENT + r"((?:typedef|enum)[^;{]*(?:\{.*?\n\}[^;]*)?;)", re.DOTALL)
GROUP = re.compile(r"/\* -{20,}\n \* (.*?)\n \* -{20,} \*/")
DEFINE = re.compile(r"^#define VISIT_(?!VERSION)\w+ .*$", re.MULTILINE)


def escape(text):
    text = text.replace("\\", "\\e")
    text = re.sub(r"`([^`]*)`", lambda code: "\\fB" + code[1].replace("-", "\\-") + "\\fR", text)
    text = re.sub(r"\b(Visit\w+)\(\)", r"\\fB\1\\fR()", text)
    text = re.sub(r"\b(VISIT_\w+|VisitOptions\.\w+)", r"\\fB\1\\fR", text)
    return re.sub(r"^(?=[.'])", r"\\&", text)


def fill(text):
    """Each sentence in a line of its own, as mdoc wants it."""
    text = re.sub(r"\s+", " ", text).strip()
    return [escape(sentence) for sentence in re.split(r"(?<=[\w)][.?]) (?=[A-Z])", text)]


def unwrap(comment):
    """A comment's lines without the stars."""
    return [re.sub(r"^\s*\* ?", "", line).rstrip() for line in comment.strip().split("\n")]


def literal(code):
    lines = code.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return [".Bd -literal -offset indent", *(re.sub(r"^(?=[.'])", r"\\&", line) for line in lines), ".Ed"]


def paragraphs(lines):
    """Paragraphs, and lists whose items begin with a dash."""
    out, in_list = [], False
    for block in re.split(r"\n\n+", "\n".join(lines).strip()):
        items = re.split(r"(?:^|\n)- ", block)
        if items[0].strip():
            out += [".Pp", *fill(items[0])]
        if items[1:]:
            out.append(".Bl -bullet")
            for item in items[1:]:
                out += [".It", *fill(item)]
            out.append(".El")
    return out[1:] if out and out[0] == ".Pp" else out


class Comment:
    def __init__(self, text):
        lines = unwrap(text)
        tags = next((i for i, line in enumerate(lines) if line.startswith("@")), len(lines))
        self.lines = lines[:tags]
        tagged = re.split(r"(?:^|\n)@", "\n".join(lines[tags:]))[1:]
        self.parameters = [re.fullmatch(r"param(?:\[out\])?\s+(\w+(?:, \w+)*)\s+(.*)", tag, re.DOTALL).groups()
                           for tag in tagged if tag.startswith("param")]
        self.returns = [tag.removeprefix("return ") for tag in tagged if tag.startswith("return")]

    def brief(self):
        text = re.sub(r"\s+", " ", " ".join(self.lines)).strip()
        return re.split(r"(?<=[\w)])\.(?: |$)", text)[0]


class Function:
    def __init__(self, match):
        self.comment = Comment(match[1])
        self.result = re.sub(r"\s+", " ", match[2]).strip()
        self.name = match[3]
        self.arguments = [re.sub(r"\s+", " ", a).strip() for a in match[4].split(",")]
        self.place = match.start(3)

    def page(self, functions):
        c = self.comment
        out = [*head(self.name), *name(self.name, c.brief()), ".Sh SYNOPSIS", ".In recent_visits.h",
               f'.Ft "{self.result}"', f".Fo {self.name}", *(f'.Fa "{a}"' for a in self.arguments), ".Fc",
               ".Sh DESCRIPTION", *paragraphs(c.lines)]
        if c.parameters:
            out += [".Bl -tag -width Ds"]
            for names, text in c.parameters:
                out += [".It " + " , ".join(f"Fa {n}" for n in names.split(", ")), *fill(text)]
            out += [".El"]
        if c.returns:
            out += [".Sh RETURN VALUES", *(line for text in c.returns for line in fill(text))]
        said = "\n".join(out)
        others = {f.name for f in functions if f is not self and f"{f.name}\\fR" in said}
        return out + see_also(others | {"librv", "librv-types"})


def head(title):
    when = datetime.datetime.fromtimestamp(
        int(os.environ.get("SOURCE_DATE_EPOCH", datetime.datetime.now().timestamp())), datetime.timezone.utc)
    return [f".Dd {when:%B} {when.day}, {when.year}", f".Dt {title.upper()} 3", ".Os"]


def name(title, brief):
    return [".Sh NAME", f".Nm {title}", f".Nd {escape(brief)}"]


def see_also(names):
    *first, last = sorted(names, key=str.lower)
    return [".Sh SEE ALSO", *(f".Xr {n} 3 ," for n in first), f".Xr {last} 3"]


def overview(text, functions):
    out = [*head("librv"), *name("librv", "the newest visits of each user, in one memory-mapped file"),
           ".Sh LIBRARY", "librv (\\-lrv)", ".Sh SYNOPSIS", ".In recent_visits.h", ".Sh DESCRIPTION"]
    about = unwrap(re.search(COMMENT, text, re.DOTALL)[1])
    out += paragraphs(about[2:])
    groups = [(match.start(), match[1]) for match in GROUP.finditer(text)]
    for (begin, title), (end, _) in zip(groups, groups[1:] + [(len(text), "")]):
        out += [f".Ss {title}", ".Bl -tag -width Ds"]
        for f in functions:
            if begin < f.place < end:
                out += [f".It Fn {f.name}", *fill(f.comment.brief())]
        out += [".El"]
    return out + see_also({"librv-types"} | {f.name for f in functions})


def types(text):
    out = [*head("librv-types"), *name("librv-types", "types and constants of librv"),
           ".Sh SYNOPSIS", ".In recent_visits.h", ".Sh DESCRIPTION"]
    for match in TYPE.finditer(text):
        named = re.match(r"typedef (?:\w+ )*?(Visit\w*)\(|typedef .*?\b(Visit\w*);", match[2], re.DOTALL)
        out += [f".Ss {named[1] or named[2]}" if named else ".Pp"]
        out += [*paragraphs(Comment(match[1]).lines), *literal(match[2])]
    return out + [".Ss Limits", *literal("\n".join(DEFINE.findall(text))), *see_also({"librv"})]


def main(header, folder, *names):
    text = pathlib.Path(header).read_text(encoding="utf-8")
    functions = [Function(match) for match in FUNCTION.finditer(text) if not match[2].startswith("typedef")]
    declared = {f.name for f in functions}
    if declared != set(names):
        sys.exit(f"man.py: declared with a comment or exported, but not both: {sorted(declared ^ set(names))}")
    pages = {f.name: f.page(functions) for f in functions}
    pages |= {"librv": overview(text, functions), "librv-types": types(text)}
    for title, lines in pages.items():
        (pathlib.Path(folder) / f"{title}.3").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
