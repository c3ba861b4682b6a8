#!/usr/bin/env python3
"""The pages about the configuration are complete: those made from the table are what it says, and postconf(1) and
postconf --help name every option that the program reads."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def main():
    wrong = subprocess.run([sys.executable, ROOT / "lib/mta/config/generate_manual.py", "--check"]).returncode
    source = (ROOT / "bin/postconf/options.cpp").read_text()
    letters = re.search(r'option_reader reader\(args, "([^"]+)"', source).group(1).replace(":", "").replace("E", "")
    words = re.findall(r'option->value == "([a-z-]+)"', source)
    page = (ROOT / "man/postconf.1").read_text()
    items = " ".join(line for line in page.splitlines() if line.startswith(".It"))
    listed = "".join(re.findall(r"(?:Fl|,) (\S)(?= |$)", items))
    listed_words = re.findall(r"-([a-z]{2,})", items)
    for letter in letters:
        if letter not in listed:
            wrong = 1
            print(f"postconf.1 has no item for -{letter}")
    for word in words:
        if word not in listed_words:
            wrong = 1
            print(f"postconf.1 has no item for --{word}")
    help_text = (ROOT / "bin/postconf/main.cpp").read_text()
    for letter in letters:
        if not re.search(rf"-\w*{re.escape(letter)}\b|-{re.escape(letter)} |-M{re.escape(letter)}", help_text) and letter not in "pv":
            wrong = 1
            print(f"postconf --help does not name -{letter}")
    for word in words:
        if f"--{word}" not in help_text:
            wrong = 1
            print(f"postconf --help does not name --{word}")
    print(f"{len(letters)} options, {len(words)} long options")
    return wrong


sys.exit(main())
