"""Fails when a file of the project names a page of docs/, a test or a fuzz target that is not there, or a page links to
nothing."""
import os
import re
import sys
import tempfile

NAMED = re.compile(r"\b(?:docs/(?:[\w-]+/)*[\w-]+\.(?:md|txt)|(?:tests|fuzz)/(?:[\w-]+/)*[\w-]+\.(?:py|cpp))\b")
TARGET = re.compile(r"\((fuzz_\w+)\)")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
ELSEWHERE = re.compile(r"[a-z]+:")
LEFT_OUT = {".git", "build", "testdata", "subprojects", "__pycache__"}


def complaints(root):
    found = []
    for base, folders, names in os.walk(root):
        folders[:] = sorted(folder for folder in folders if folder not in LEFT_OUT)
        for name in sorted(names):
            path = os.path.join(base, name)
            try:
                with open(path, encoding="utf-8") as file:
                    lines = file.read().splitlines()
            except (OSError, UnicodeDecodeError):
                continue
            for number, line in enumerate(lines, 1):
                where = f"{os.path.relpath(path, root)}:{number}"
                found += [f"{where}: {page} is not there" for page in NAMED.findall(line)
                          if not os.path.exists(os.path.join(root, page))]
                found += [f"{where}: fuzz/{target}.cpp is not there" for target in TARGET.findall(line)
                          if not os.path.exists(os.path.join(root, "fuzz", target + ".cpp"))]
                if name.endswith(".md"):
                    found += [f"{where}: the link to {target} leads nowhere" for target in LINK.findall(line)
                              if not ELSEWHERE.match(target) and not os.path.exists(os.path.join(base, target))]
    return found


def self_check():
    """The check must notice what it is there for."""
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "docs", "inner"))
        here, there, tests = "docs/", "there.md", "tests/"
        for name, text in (("a.hpp", f"// {here}{there}, {here}absent.md, {here}inner/absent.md (fuzz{'_'}absent) {tests}absent.py\n"),
                           (here + there, "[one](inner) [two](there.md#part) [three](nowhere.md) [four](https://x.test/y.md)\n")):
            with open(os.path.join(root, name), "w") as file:
                file.write(text)
        return len(complaints(root)) == 5


if __name__ == "__main__":
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not self_check():
        print("not ok - the check itself does not notice a page that is not there")
        sys.exit(1)
    found = complaints(root)
    for line in found:
        print("not ok -", line)
    if not found:
        print("ok - every page that is named is there")
    sys.exit(1 if found else 0)
