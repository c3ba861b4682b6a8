#!/usr/bin/env python3
"""Keeps the ACTS column of parameters.txt true: who names a parameter acts on it, and nobody else is listed.

usage: acts.py [--write]   without --write it only compares, and fails on a difference
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLE = ROOT / "lib/mta/config/parameters.txt"
NAME = re.compile(r'param::(\w+)|"(\w+)"')
# postconf only shows parameters, and help texts name them.
SHOWN_ONLY = ("bin/postconf/",)


def users():
    """Name (or family suffix) → the areas and commands whose sources name it."""
    found = {}
    for path in sorted([*ROOT.glob("lib/mta/**/*"), *ROOT.glob("bin/**/*")]):
        if path.suffix not in (".hpp", ".ipp", ".cpp") or not path.is_file():
            continue
        relative = path.relative_to(ROOT).as_posix()
        if relative.startswith(SHOWN_ONLY):
            continue
        parts = relative.split("/")
        who = parts[2] if parts[0] == "lib" else parts[1]
        for match in NAME.finditer(path.read_text(encoding="utf-8")):
            name = match.group(1) or match.group(2)
            found.setdefault(name.removeprefix("p_2"), set()).add(who)
            if name.startswith("p_"):
                found.setdefault(name[2:], set()).add(who)
    return found


def main():
    found = users()
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    wrong = 0
    for index, line in enumerate(lines):
        if not line or line[0] in "# \t":
            continue
        words = line.split(" ", 4)
        acts = ",".join(sorted(found.get(words[0].lstrip("*"), ()))) or "-"
        if acts != words[2]:
            wrong += 1
            print(f"parameters.txt:{index + 1}: {words[0]}: {words[2]} should be {acts}")
            words[2] = acts
            lines[index] = " ".join(words)
    if wrong and "--write" in sys.argv:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return 0
    return 1 if wrong else 0


sys.exit(main())
