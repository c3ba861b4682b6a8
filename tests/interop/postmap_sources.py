"""postmap and postalias beside the reference: generated and hand-made sources in every option and every type that both
have. What is compared: standard output, exit status, warnings, and what the database holds."""
import concurrent.futures
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from tables import Tables, grown_old

DATABASES = ("hash", "btree", "lmdb", "cdb")
POSTMAP = {
    "plain": b"a 1\nb 2\n", "continued": b"a 1\n  2\n# note\n  3\nb x\n", "no value": b"a\nb 2\n  \nc  \n",
    "duplicates": b"a 1\na 2\nb 3\nA 4\n", "upper case": b"KEY Value\n", "quoted": b"\"a b\" c\n\"q\\\"w\" e\n\"\" r\n\"a b\"c d\n",
    "unbalanced": b"\"a b c\nd e\nf\"g h\n", "escapes": b"a\\ b c\nd\\\\ e\n\\ f\n", "alias form": b"a: b\nc:\n:d e\n",
    "not UTF-8": b"a\xff b\nc d\xfe\ne f\n", "UTF-8": "é É\nÉ 2\nß 3\nSS 4\nİ 5\n".encode(), "empty": b"",
    "comments": b"# x\n\n   \n# y\n   # z\n", "no last newline": b"a 1\nb 2", "blanks": b"a   1  2  \t\n\tb 3\nc\t\v4\f\r\n",
    "begins with blank": b"  a b\n# \nc d\n" + b" " + b"x" * 100 + b" y\n", "NUL": b"a 1\0 2\nb\0 3\n\0\nc 4\n",
    "CRLF": b"a 1\r\nb 2\r\n", "long value": b"a " + b"v" * 100000 + b"\n", "long key": b"k" * 511 + b" v\n",
    "many": b"".join(b"key%d value %d\n" % (i * 7919 % 3000, i) for i in range(3000)),
    "continued comment": b"a 1\n # no\n  2\n\n\n  3\n", "only blanks continue": b"a 1\n\n   \n\t\n b\n",
}
POSTALIAS = {
    "plain": b"root: joe\npostmaster: root\n", "list": b"list: a@x.test, b@x.test,c\n", "continued": b"list: a@x.test,\n  b@x.test\n",
    "upper case": b"Root: Joe\n", "no colon": b"root joe\nx: y\n", "not local": b"a@b: c\na%b: c\n\"a@b\": c\n",
    "quoted": b"\"joe doe\": joe\n\"a:b\": c\n\"a\\\"b\": c\n", "duplicate": b"a: b\na: c\nA: d\n", "no value": b"a:\nb: \n: c\n",
    "file and command": b"a: /var/x\nb: |\"/bin/x  y z\"\nc: \"|/bin/x\"\nd: :include:/x\ne: \"/a b\", \"|c  d\"\n",
    "comment in value": b"a: b # c\nd: e (f) g\n(x) h: i\n", "not UTF-8": b"a\xff: b\nc: d\n", "empty": b"", "blank name": b"a b: c\n a: b\n",
    "escapes": b"a\\ b: c\nd\\:e: f\n", "spaces": b"a :b\nc  :  d   e  \n", "domain": b"@x: y\nx@: y\n", "many colons": b"a:b:c:d\n",
}
PIECES = [b"a", b"b", b"A", b"key", b" ", b"  ", b"\t", b"\n", b"\n", b"\n", b"#", b":", b"\"", b"\\", b"@", b"%", b",", b"x y", b"1",
          b"\xc3\xa9", b"\xc3\x89", b"\xff", b"\0", b"\r", b"\v", b"(", b")", b"'", b"<", b">", b"[", b"]", b";", b"|", b"/", b"!",
          b"value", b"\nk ", b"\nn: "]
WORDS = (["--"], ["-f"], ["-u"], ["-N"], ["-n"], ["-r"], ["-w"], ["-o"], ["-p"], ["-fur"])


class Comparison:
    def __init__(self):
        self.tables = Tables()
        self.sides = [os.path.join(self.tables.directory, name) for name in ("theirs", "ours")]
        for where in self.sides:
            os.makedirs(where)
        self.pool = concurrent.futures.ThreadPoolExecutor(6)
        self.jobs = []

    def run(self, side, which, words, data=b""):
        done = self.tables.run(side, which, words, data, self.sides[side])
        # Temporary names and times are not compared.
        errors = re.sub(rb"\[\d+\]", b"[N]", done.stderr)
        return done.returncode, done.stdout, errors

    def later(self, group, label, both):
        """both(side) answers what is compared."""
        self.jobs.append((group, label, [self.pool.submit(both, side) for side in (0, 1)]))

    def report(self, checks):
        groups = {}
        for group, label, sides in self.jobs:
            theirs, ours = (side.result() for side in sides)
            equal, total, different = groups.setdefault(group, [0, 0, []])
            groups[group][1] += 1
            if theirs == ours:
                groups[group][0] += 1
            else:
                different.append(f"{label}\n  reference {theirs!r:.1500}\n  ours      {ours!r:.1500}")
        for group, (equal, total, different) in groups.items():
            checks.ok(equal == total and total > 0, f"{group}: {equal}/{total} equal", "\n".join(different[:12]))
        self.jobs = []


def keys_of(text):
    """Words of a source that may be keys, one a line."""
    words = {word for line in text.split(b"\n") for word in (line.split()[:1] + line.split(b":")[:1]) if word and b"\0" not in word}
    return b"".join(word + b"\n" for word in sorted(words))


def built(run, which, kind, name, text, options, data=b""):
    """Builds and lists (cdb: asks), each with the options."""
    def both(side):
        path = os.path.join(run.sides[side], name)
        with open(path, "wb") as file:
            file.write(text)
        grown_old(path)
        out = [run.run(side, which, [*options, f"{kind}:{name}"], data)]
        if out[0][0] == 0:
            options_too = [word for word in options if word not in ("--", "-i")]
            if kind == "cdb":
                out.append(run.run(side, which, [*options_too, "-q", "-", f"{kind}:{name}"], keys_of(text)))
            else:
                status, rows, errors = run.run(side, which, [*options_too, "-s", f"{kind}:{name}"])
                rows = sorted(row for row in rows.split(b"\n") if not row.startswith((b"YP_LAST", b"YP_MASTER")))
                out.append((status, rows, errors))
        return out
    origin = {"g": "generated", "h": "hand-made", "b": "big"}[name[0]]
    run.later(f"{which}, {origin} sources, {kind}",
              f"{which} {' '.join(options)} {kind}: {text!r:.300}", both)


def sources(run):
    draw = random.Random(20260)
    for which, cases in (("postmap", POSTMAP), ("postalias", POSTALIAS)):
        for number, text in enumerate(cases.values()):
            for kind in DATABASES:
                for options in WORDS if kind in ("hash", "lmdb") else WORDS[:1]:
                    name = f"h{which}{number}{kind}{options[0]}"
                    built(run, which, kind, name, text, options)
        for number in range(120):
            text = b"".join(draw.choices(PIECES, k=draw.randint(1, 60)))
            if which == "postalias":
                # The reference takes a lone backslash for an empty value, and then warns at every lookup; we refuse it.
                # Within parentheses it keeps a CR and a tab; to us they are white space.
                text = re.sub(rb"\\(?=\s|$)|\r", b"", text)
                text = text.replace(b"\t", b" ") if b"(" in text else text
            kind = DATABASES[number % 4]
            built(run, which, kind, f"g{which}{number}", text, WORDS[number % 3])


def big_source(draw, separator):
    """More than is read at once: what is to be said of its lines is said in their order all the same."""
    lines = []
    for number in range(110000):
        key = b"key%d%s@example.com" % (draw.randrange(110000), b"X" * draw.randrange(3))
        lines.append(draw.choices((key + separator + b"value %d and more" % number, key, b"# " + b"comment " * 8, key + separator + b"\xff",
                                   key + separator + b"begins\n\n# between\n\tgoes on", b"   "), (200, 1, 4, 1, 12, 2))[0])
    return b"line one" + separator + b"x\n" + b"\n".join(lines)


def big_sources(run):
    draw = random.Random(4)
    number = 0
    for which, separator in (("postmap", b" "), ("postalias", b": ")):
        text = big_source(draw, separator)
        for kind, options in (("hash", ["--"]), ("btree", ["-r"]), ("btree", ["-w"]), ("lmdb", ["--"]), ("cdb", ["--"]), ("btree", ["-i"]),
                              ("hash", ["-i", "-r"])):
            number += 1
            built(run, which, kind, f"b{number}", b"" if "-i" in options else text, options, text if "-i" in options else b"")


def main(checks):
    run = Comparison()
    sources(run)
    big_sources(run)
    run.report(checks)


harness.run(main)
