"""postmap and postalias beside the reference when a user slips: option order and missing words, other configurations, files that
are no sources and no databases, standard input of any kind. Each row in a directory of its own; what is compared: standard
output, exit status, what is said, and which files there are afterwards.

Not here, since ours is meant to differ: proxy: where no proxymap runs (ours opens the table), debug:, listing a cdb, a hash file
opened as btree, what was found before trouble came (the reference keeps it to itself), databases that a library describes in
words of its own, a half-made .tmp or .lmdb left behind."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from tables import Tables, grown_old

FILES = {"t": b"a 1\nb 2\n", "t2": b"c 3\n", "al": b"a: b\nroot: x, y\n", "empty": b"", "bin": b"\0\1\2\n\0", "crlf": b"a 1\r\nb 2\r\n",
         "big": b"k " + b"v" * 70000 + b"\nz 1\n", "longkey": b"k" * 70000 + b" v\n", "garbage.db": b"no database at all", "zero.db": b"",
         "garbage.lmdb": b"x" * 9000, "zero.lmdb": b"", "short.db": b"\0" * 12 + b"\x61\x15\x06\0" + b"\0" * 20, "dup": b"a 1\na 2\n",
         "bad": b"\xff\xfe x\nok 1\n", "re": b"/a/ x\nif /b/\n/c/ y\n", "pc": b"/a(/ x\n/b/ y\n", "ci": b"10.0.0.0/8 x\n",
         "rules": b"/a/ x\0y\n\0\n/b/ z\r\n"}

# Words; D stands for the row's directory.
POSTMAP = """
-q | -d | -c | -qa | -q a | -q a -- t | t -q a | -fq a t | -qf t | -q a -q b static:x | -d a -d b t | -s -s t | -s t t2
-sq a t | -ds t | -iq a static:x | -is t | -id a t | -j | -jq a static:x | -x | - | -- | -- -t | -h | -b | -m | -bm
-bq x static:x | -q - -b static:x | -nN t | -Nn t | -rw t | -wr t | -uU t | -U t | -uU bad | -U bad | -u bad | -F t
-p -o t | -c cfg -q a static:x | -c D/cfg t | -c D/cfgbad t | -c D/cfgempty t | -c D/cfgutf t | -c D/cfgutf hash:t
-c D/cfg/ -q a static:x | -c D/nowhere t | -c D/t t | -c cfg -c D/cfg t | '' | '' t | -c '' t | -c '' -q a static:x
hash: | :t | hash | hash:t hash:nosuch hash:t2 | t t2 | nosuch:x t | hash:t nosuch:t2 | HASH:t | ' hash:t' | 'hash: t'
hash:./t | hash:cfg/../t | hash:D/t | hash:noread | hash:dangling | hash:link | cdb:link | lmdb:link | hash:empty
cdb:empty | lmdb:empty | btree:empty | hash:bin | hash:crlf | hash:big | cdb:big | lmdb:big | btree:big | hash:longkey
cdb:longkey | btree:longkey | hash:t.db | hash:dup hash:bad | hash:nodir/t | hash:t/x | proxy:hash:t | -q a proxy:
-i proxy:hash:t | tcp:localhost:1 | mysql:t | -i ldap:t | -q a mysql:x | -q a ldap:/nonexistent
-q a sqlite:/nonexistent | -q a pgsql:nosuch | -q a sqlite:x | -d a mysql:/nonexistent | -s sqlite:/nonexistent
-q a nis:x | nis:x | -q a thash:t | thash:t | -q a internal:x | internal:x | -q a unix:x | unix:passwd.byname
-q a static | -q a static: | texthash:t | cidr:ci | pcre:pc | regexp:re | inline:{a=b} | randmap:{a} | pipemap:{a}
unionmap:{a} | environ:x | -d a hash:t hash:nosuch | -s nosuch:y | -d a nosuch:y | -i nosuch:y | -q a nosuch:y
-d - nosuch:y | -q - static:x nosuch:y | -q - hash:nosuch | -hq - hash:nosuch | -bq - static:x | -hq - static:x
-q - regexp:rules | -q - pcre:rules
"""
POSTALIAS = """
-q | -d | -x | -b | -h | -m | -F al | -u al | -U al | '' | al | hash:al | cdb:al | lmdb:al | btree:al | hash:t
hash:bad | hash:empty | cdb:empty | hash:noread | hash:nosuch | -c D/cfg al | -q a static:x | -q - static:x
-s static:x | -is al | fail:al | regexp:al | hash:bin | hash:crlf | hash:big
"""
INPUTS = (b"", b"\n", b"\n\n", b"a", b"a\0b\n", b"a\r\n", b"\xff\n", b"k" * 70000 + b"\n", b"a b\n", b" a\n", b"a \n", b"\xc3\x89\n",
          b"\0\n", b"a\n\0a\n")
KEYS = ("", "\u00e9", "a\nb", "a\tb", " ", "k" * 1000, "-", "--", "-x", "%s", "a@b", "@", "\"a b\"", "\\")


def rows():
    """Program and steps; a step is its words and its input."""
    for which, text in (("postmap", POSTMAP), ("postalias", POSTALIAS)):
        for line in re.split(r"[|\n]", text.strip()):
            words = [word[1:-1] if word.startswith("'") else word for word in re.findall(r"'[^']*'|\S+", line)]
            yield which, [(words, b"a\nA: b\0c\n\na\0b\n\0\n")]
    for kind in ("hash", "btree", "lmdb"):
        for name in ("garbage", "short", "noread", "t", "link", "nodir/x", "t/x"):
            for words in (["-q", "a"], ["-s"], ["-q", "-"], ["-d", "a"], []):
                if (kind, words[:1]) != ("lmdb", ["-d"]):  # there the reference makes the table that is missing
                    yield "postmap", [([*words, f"{kind}:{name}"], b"a\nb\n")]
    for kind in ("hash", "btree"):
        for words in (["-q", "a"], ["-d", "a"], ["-i"], []):
            yield "postmap", [([*words, f"{kind}:zero"], b"a b\n"), (["-s", f"{kind}:zero"], b"")]
        yield "postmap", [([f"{kind}:t"], b""), (["-d", "-", f"{kind}:t"], b"a\0x\nb\r\n"), (["-s", f"{kind}:t"], b"")]
    for kind in ("texthash", "regexp", "pcre", "cidr"):
        for name in ("t", "noread", "nosuch", "bin", "crlf", "empty", "re", "pc", "ci", "dangling", "link", "t/x", "bad", "dup", ""):
            for words in (["-q", "10.1.1.1"], ["-q", "-"]):
                yield "postmap", [([*words, f"{kind}:{name}"], b"a\n10.0.0.1\n")]
    yield "postmap", [(["-q", "a", "texthash:cfg"], b"")]
    for data in INPUTS:
        yield "postmap", [([*words, "-", table], data) for words in (["-q"], ["-uq"]) for table in ("static:x", "texthash:t")]
        yield "postmap", [(["hash:t"], b""), (["-q", "-", "hash:t"], data), (["-i", "hash:t"], data), (["-s", "hash:t"], b"")]
        yield "postmap", [(["cdb:t"], b""), (["-q", "-", "cdb:t"], data)]
        yield "postalias", [(["hash:al"], b""), (["-q", "-", "hash:al"], data)]
    for key in KEYS:
        yield "postmap", [(["-q", key, table], b"") for table in
                          ("static:x", "texthash:t", "environ:x", "inline:{a=b}", "unix:passwd.byname", "regexp:re", "cidr:ci")]


def prepare(tables, where):
    os.makedirs(where)
    for name, text in FILES.items():
        with open(os.path.join(where, name), "wb") as file:
            file.write(text)
        grown_old(os.path.join(where, name))
    with open(os.path.join(where, "noread"), "wb") as file:
        file.write(b"a 1\n")
    os.chmod(os.path.join(where, "noread"), 0)
    os.symlink("t", os.path.join(where, "link"))
    os.symlink("nowhere", os.path.join(where, "dangling"))
    with open(os.path.join(tables.config, "main.cf")) as file:
        main = file.read()
    for name, text in (("cfg", main + "default_database_type = cdb\n"), ("cfgbad", "nonsense\n"), ("cfgempty", None),
                       ("cfgutf", main + "smtputf8_enable = no\ndefault_database_type = nosuch\n")):
        os.makedirs(os.path.join(where, name))
        if text is None:
            continue
        for other in ("dynamicmaps.cf", "postfix-files", "master.cf"):
            shutil.copy(os.path.join(tables.config, other), os.path.join(where, name, other))
        with open(os.path.join(where, name, "main.cf"), "w") as file:
            file.write(text)


def run(tables, side, number, which, steps):
    where = os.path.join(tables.directory, f"{number}-{side}")
    prepare(tables, where)
    seen = []
    for words, data in steps:
        done = tables.run(side, which, [re.sub("^D/", where + "/", word).replace(":D/", ":" + where + "/") for word in words], data, where)
        out, errors = (re.sub(rb"\[\d+\]", b"[N]", text.replace(where.encode(), b"D")) for text in (done.stdout, done.stderr))
        if any(re.match("-[a-z]*s", word) for word in words):
            out = b"".join(sorted(line for line in out.splitlines(True) if b"YP_" not in line))
        seen.append((done.returncode, out, errors, sorted(os.listdir(where))))
    shutil.rmtree(where)
    return seen


def main(checks):
    tables = Tables()
    all_rows = list(rows())
    pairs = [[tables.pool.submit(run, tables, side, number, *row) for side in (0, 1)] for number, row in enumerate(all_rows)]
    different = []
    for (which, steps), (theirs, ours) in zip(all_rows, pairs):
        for (words, data), a, b in zip(steps, theirs.result(), ours.result()):
            if a != b:
                different.append(f"{which} {words} {data!r:.100}\n  reference {a[:3]!r:.600}\n  ours      {b[:3]!r:.600}" +
                                 ("" if a[3] == b[3] else f"\n  files {sorted(set(a[3]) ^ set(b[3]))}"))
    checks.ok(not different, f"{sum(len(steps) for _, steps in all_rows)} commands, {len(different)} different", "\n".join(different))
    shutil.rmtree(tables.directory, ignore_errors=True)


harness.run(main)
