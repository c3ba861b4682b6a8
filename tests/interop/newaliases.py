"""newaliases and sendmail -bi beside the reference's: several databases, some of them bad, missing, unwritable or of odd types."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from tables import Tables, grown_old

GOOD = "root: postmaster\nlist: a, b,\n  c\n"
SOURCES = {"one": GOOD, "two": "x: y\n", "bad": "no colon\nroot: x\nroot: y\n: empty\n  \n\"a b\": |\"/bin/cat x\"\n", "empty": "",
           "utf8": "j\u00fcrgen: x\n", "cased": "UPPER: x\n"}


def cases():
    """alias_database, alias_maps, words of the command."""
    for database in ("", "hash:D/one", "hash:D/one, hash:D/two", "btree:D/one lmdb:D/two cdb:D/empty", "D/one", "hash:D/bad", "hash:D/bad hash:D/one",
                     "hash:D/none", "hash:D/one hash:D/none hash:D/two", "hash:D/none, hash:D/one", "nosuch:D/one", "hash:D/one nosuch:D/two hash:D/empty",
                     "texthash:D/one", "regexp:D/one", "static:x", "hash:D/one static:x", "proxy:hash:D/one", "hash:D/one, hash:D/one", "hash:D/empty",
                     "hash:D/utf8 hash:D/cased", "$alias_maps", "hash:D/sub/one", "hash:D/closed/one", "{hash:D/one}", "hash:"):
        yield database, "hash:D/two", []
    yield "hash:D/one", "hash:D/two", ["-oAhash:D/two"]
    yield "hash:D/one", "hash:D/two", ["-oA", "hash:D/two"]
    yield "hash:D/one", "hash:D/two", ["-oAhash:D/none"]
    yield "hash:D/one", "hash:D/two", ["somebody"]


def outcome(tables, side, which, words, database, maps):
    tables.files += 1
    directory = os.path.join(tables.directory, f"n{tables.files}")
    config = os.path.join(directory, "etc")
    os.makedirs(os.path.join(directory, "closed", "one.db"))
    os.makedirs(config)
    for name, text in SOURCES.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)
        grown_old(os.path.join(directory, name))
    with open(os.path.join(directory, "closed", "one"), "w") as file:
        file.write(GOOD)
    for name in os.listdir(tables.config):
        if name != "main.cf":
            os.symlink(os.path.join(tables.config, name), os.path.join(config, name))
    with open(os.path.join(tables.config, "main.cf")) as file:
        text = file.read()
    with open(os.path.join(config, "main.cf"), "w") as file:
        file.write(f"{text}\nalias_database = {database}\nalias_maps = {maps}\ncommand_directory = {os.path.dirname(tables.command_of(side, 'postalias')[0])}\n"
                   .replace("D/", directory + "/"))
    grown_old(os.path.join(config, "main.cf"))
    words = [word.replace("D/", directory + "/") for word in words]
    done = tables.run(side, which, words, directory=directory, config=config)
    made = {}
    for name in sorted(os.listdir(directory)):
        base, dot, suffix = name.rpartition(".")
        if dot:
            kind = {"db": "hash", "lmdb": "lmdb", "cdb": "cdb"}[suffix]
            listed = tables.run(1, "postalias", ["-fs", f"{kind}:{directory}/{base}"], config=config).stdout
            made[name] = sorted(line for line in listed.splitlines() if not line.startswith(b"YP_LAST"))
    out, err = (text.replace(directory.encode(), b"").replace(tables.directory.encode(), b"") for text in (done.stdout, done.stderr))
    return done.returncode, out, err, made


def main(checks):
    tables = Tables()
    for which, first in (("newaliases", []), ("sendmail", ["-bi"]), ("sendmail", ["-I"])):
        rows = list(cases())
        ways = [[tables.pool.submit(outcome, tables, side, which, first + words, database, maps) for side in (0, 1)] for database, maps, words in rows]
        different = []
        for row, way in zip(rows, ways):
            theirs, ours = (side.result() for side in way)
            if theirs != ours:
                different.append(f"{row}\n  reference {theirs!r:.700}\n  ours      {ours!r:.700}")
        checks.ok(not different, f"{' '.join([which, *first])}: {len(rows) - len(different)}/{len(rows)} equal", "\n".join(different))


harness.run(main)
