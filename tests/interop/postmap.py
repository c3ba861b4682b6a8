"""postmap beside the reference: databases of both sides read by the other, and every option in turn."""
import os
import random
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from tables import Tables, grown_old

ENTRIES = 100000
DATABASES = ("hash", "btree", "lmdb", "cdb")
MESSAGE = b"""From: a@b.c
Subject: one
 two
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary="bb"

pre amble
--bb
Content-Type: text/plain
X-Part: 1
 2

hello
 world
Not-A: header

--bb
Content-Type: message/rfc822

Subject: inner
X: \xff

inner body
--bb--
epilogue
"""
MESSAGES = {"whole": MESSAGE, "no header": b"hello world\nA: b\n", "only headers": b"A: b\nC: d\n", "empty": b"",
            "no last newline": b"A: b\n\nc", "header after blank": b"\nA: b\n", "continued first": b" a\nB: c\n",
            "no blank between": b"A: b\nno header\nC: d\n"}


def random_entries():
    """Keys and values of any byte that a source can hold."""
    draw = random.Random(7)
    letters = [bytes([byte]) for byte in range(1, 256) if byte not in b" \t\r\n\v\f\"\\#:"]
    keys = {b"".join(draw.choices(letters, k=draw.randint(1, 60))) for _ in range(ENTRIES + 500)}
    return {key: b"".join(draw.choices(letters, k=draw.randint(1, 80))) for key in sorted(keys)[:ENTRIES]}


def both_ways(checks, tables):
    entries = random_entries()
    order = list(entries)
    random.Random(8).shuffle(order)
    source = b"".join(b"%s\t%s\n" % (key, entries[key]) for key in order)
    expected = {b"%s\t%s" % (key, entries[key]) for key in order}
    for kind in DATABASES:
        for writer in (0, 1):
            name = os.path.join(tables.directory, f"{kind}{writer}")
            with open(name, "wb") as file:
                file.write(source)
            built = tables.postmap(writer, ["-fu", f"{kind}:{name}"])
            asked = tables.postmap(1 - writer, ["-fuq", "-", f"{kind}:{name}"], b"\n".join(order) + b"\nabsent-key\n")
            seen = set(asked.stdout.split(b"\n")[:-1])
            checks.ok(built.returncode == 0 and asked.returncode == 0 and seen == expected,
                      f"{kind}: {ENTRIES} random keys written by {'ours' if writer else 'the reference'} are read by the other",
                      f"{built.stderr[-300:]!r} {asked.stderr[-300:]!r} {len(seen)} {len(seen ^ expected)}")
    # A database that one side wrote is changed by the other.
    for kind in DATABASES[:3]:
        for writer in (0, 1):
            name = os.path.join(tables.directory, f"{kind}{writer}")
            done = tables.postmap(1 - writer, ["-fuir", f"{kind}:{name}"], b"new-key 1\n" + order[0] + b" changed\n")
            gone = tables.postmap(1 - writer, ["-fud", "-", f"{kind}:{name}"], order[1] + b"\n")
            asked = tables.postmap(writer, ["-fuq", "-", f"{kind}:{name}"], b"\n".join([b"new-key", order[0], order[1], order[2]]))
            wanted = b"new-key\t1\n%s\tchanged\n%s\t%s\n" % (order[0], order[2], entries[order[2]])
            checks.ok((done.returncode, gone.returncode, asked.stdout) == (0, 0, wanted),
                      f"{kind}: {'the reference' if writer else 'we'} change what the other wrote",
                      f"{done.stderr!r} {gone.stderr!r} {asked.stdout!r:.300}")


def steps(kind):
    """Each row: words, with T for the table; standard input."""
    t = f"{kind}:t"
    rows = [([t], b""), (["-q", "a", t], b""), (["-q", "A", t], b""), (["-q", "x", t], b""), (["-fq", "A", t], b""),
            (["-q", "-", t], b"a\nx\nb\n"), (["-q", "-", t, "static:z"], b"a\nx\n"), (["-q", "", t], b""),
            (["-q", "k" * 600, t], b""), (["-nq", "a", t], b""), (["-Nq", "a", t], b""), (["-q", "a", "static:x", "nosuch:y"], b""),
            (["-i", t], b"c 3\na 9\n"), (["-q", "c", t], b""), (["-ir", t], b"a 9\n"), (["-q", "a", t], b""),
            (["-iw", t], b"a 10\n"), (["-i", t], b"bad\n# no\nd 4\n  5\n\xff z\n"), (["-q", "a", t], b""), (["-q", "d", t], b""),
            (["-d", "a", t], b""), (["-d", "a", t], b""), (["-d", "-", t], b"b\nzz\n"), (["-fd", "C", t], b""), (["-d", "\udcff", t], b""),
            (["-s", t], b""), (["-q", "a", f"{kind}:nosuch"], b""), ([f"{kind}:nosuch"], b""), (["-d", "a", f"{kind}:nosuch"], b""),
            (["-s", f"{kind}:nosuch"], b""), (["-i", f"{kind}:fresh"], b"a 1\n"), (["-q", "a", f"{kind}:fresh"], b""),
            (["-N", t], b""), (["-q", "a", t], b""), (["-n", t], b""), (["-q", "a", t], b""), (["-ni", t], b"n 1\n"), (["-q", "n", t], b""),
            (["-F", f"{kind}:files"], b""), (["-Fq", "w", f"{kind}:files"], b""), (["-q", "w", f"{kind}:files"], b""),
            (["-Fq", "-", f"{kind}:files"], b"w\nv\n"), (["-Fs", t], b""), (["-Fq", "a", t], b""), (["-uq", "\udcff", t], b""),
            (["-q", "\udcff", t], b"")]
    if kind == "lmdb":
        # To the reference an empty key is trouble, and a missing table is an empty one that it makes.
        rows = [row for row in rows if row[0] not in (["-q", "", t], ["-d", "a", "lmdb:nosuch"], ["-s", "lmdb:nosuch"])]
    if kind == "cdb":
        # Listing a cdb database is more than the reference can.
        rows = [row for row in rows if row[0][0] not in ("-s", "-Fs")]
    return rows


def general():
    rows = [(["-s", "-q", "a", "hash:t"], b""), (["-q", "a", "-d", "b", "hash:t"], b""), ([], b""), (["-Q"], b""), (["-q"], b""),
            (["-c", "/nonexistent", "-q", "a", "hash:t"], b""), (["-b", "hash:t"], b""), (["-hq", "a", "hash:t"], b""),
            (["-mq", "-", "static:x"], b"a\n"), (["-q", "a", "static:"], b""), (["-q", "a", ":x"], b""),
            (["nosuch:x"], b""), (["regexp:t"], b""), (["-i", "regexp:t"], b""), (["-d", "a", "regexp:t"], b""), (["static:t"], b""),
            (["-d", "a", "static:t"], b""), (["-d", "a", "environ:x"], b""), (["-s", "static:x"], b""), (["-s", "environ:x"], b""),
            (["-s", "inline:{a=b}"], b""), (["-s", "fail:x"], b""), (["-s", "internal:x"], b""), (["fail:t"], b""), (["-i", "fail:t"], b""),
            (["-d", "a", "fail:x"], b""), (["-q", "a", "fail:x"], b""), (["-q", "PATH", "environ:x"], b""),
            (["-q", "root", "unix:passwd.byname"], b""), (["-q", "daemon", "unix:group.byname"], b""), (["-q", "a", "unix:shadow.byname"], b""),
            (["-q", "a", "inline:{a=}", "static:q"], b""), (["-q", "x", "static:{}"], b""), (["-q", "x", "static:{ a b }"], b""),
            (["-q", "x", "static:{a"], b""), (["-q", "x", "static:a}"], b""), (["-Fq", "w", "static:f1"], b""), (["-Fq", "w", "static:none"], b""),
            (["-Fq", "w", "inline:{w=f1}"], b""), (["-Fq", "w", "inline:{w=none}"], b""), (["-Fq", "w", "texthash:files"], b""),
            (["-q", "x", "static:\udcff"], b""), (["-uq", "x", "static:\udcff"], b""), (["-q", "a", "inline:{a=b"], b""),
            (["-q", "a", "inline:a=b"], b""), (["-q", "a", "inline:{a}"], b""), (["-q", "a", "inline:{}"], b""), (["-q", "c d", "inline:{{c d = e f}, g = h}"], b""),
            (["-q", "a", "inline:{{a=b}x}"], b""), (["-q", "A", "inline:{A=b}"], b""), (["-fq", "a", "inline:{A=b}"], b""),
            (["-q", "a", "randmap:{x}"], b""), (["-q", "a", "randmap:{}"], b""), (["-q", "a", "randmap:x"], b""),
            (["-q", "a", "pipemap:{inline:{a=B},inline:{b=c}}"], b""), (["-q", "a", "pipemap:{inline:{a=b}, fail:x}"], b""),
            (["-q", "a", "pipemap:{inline:{b=b}, fail:x}"], b""), (["-q", "a", "pipemap:{x}"], b""), (["-q", "a", "pipemap:x"], b""),
            (["-q", "a", "unionmap:{inline:{a=1},static:2,inline:{b=3}}"], b""), (["-q", "a", "unionmap:{static:1,fail:x}"], b""),
            (["-q", "a", "unionmap:{}"], b""), (["-q", "a", "unionmap:{static:x"], b""), (["-q", "a", "texthash:none"], b""),
            (["-q", "a", "hash:t", "texthash:t"], b""), (["-q", "b", "texthash:t"], b""), (["-s", "texthash:t"], b"")]
    for message in MESSAGES.values():
        for letters in ("-b", "-h", "-bh", "-bm", "-hm", "-bhm", "-bU", "-hu"):
            rows.append(([letters, "-q", "-", "static:x"], message))
    return rows


def options(checks, tables, label, rows):
    """The same words one after the other on each side."""
    sides = [os.path.join(tables.directory, f"{name}-{label}") for name in ("theirs", "ours")]
    seen = []
    for side in (0, 1):
        os.makedirs(sides[side])
        for name, text in (("t", b"a 1\nb 2\n"), ("files", b"w f1\nv f1, f2\nu none\n"), ("f1", b"one\n"), ("f2", b"two\n")):
            with open(os.path.join(sides[side], name), "wb") as file:
                file.write(text)
            grown_old(os.path.join(sides[side], name))
    # Each side in its own order, both at once: the reference waits a second when it fails.
    def all_of(side):
        return [tables.run(side, "postmap", words, data, sides[side]) for words, data in rows]
    seen = list(tables.pool.map(all_of, (0, 1)))
    equal, different = 0, []
    for (words, data), theirs, ours in zip(rows, *seen):
        both = [(done.returncode, b"".join(sorted(done.stdout.splitlines(True))) if "-s" in words else done.stdout, done.stderr)
                for done in (theirs, ours)]
        equal += both[0] == both[1]
        if both[0] != both[1]:
            different.append(f"{words} {data!r:.200}\n  reference {both[0]!r:.700}\n  ours      {both[1]!r:.700}")
    checks.ok(equal == len(rows), f"postmap, {label}: {equal}/{len(rows)} equal", "\n".join(different))


def modes(checks, tables):
    """Owner and mode of what is made, and who replaces it."""
    rows, different = 0, []
    for kind, suffix in (("hash", ".db"), ("lmdb", ".lmdb"), ("cdb", ".cdb")):
        for mode in (0o644, 0o600, 0o640, 0o604, 0o777, 0o444):
            for words in ([], ["-p"], ["-o"]):
                for owner in ((0, 0), (2, 2)) if os.geteuid() == 0 else ((-1, -1),):
                    seen = []
                    for side in (0, 1):
                        where = os.path.join(tables.directory, f"mode{rows}-{side}")
                        os.makedirs(where)
                        path = os.path.join(where, "t")
                        with open(path, "wb") as file:
                            file.write(b"a 1\n")
                        os.chown(path, *owner)
                        os.chown(where, *owner)
                        os.chmod(path, mode)
                        done = tables.postmap(side, [*words, f"{kind}:{path}"])
                        made = os.stat(path + suffix) if os.path.exists(path + suffix) else None
                        seen.append((done.returncode, made and (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid), sorted(os.listdir(where))))
                    rows += 1
                    if seen[0] != seen[1]:
                        different.append(f"{kind} {mode:o} {words} {owner}: {seen}")
    checks.ok(not different, f"mode and owner of new databases: {rows - len(different)}/{rows} equal", "\n".join(different))


def main(checks):
    tables = Tables()
    both_ways(checks, tables)
    for kind in DATABASES:
        options(checks, tables, kind, steps(kind))
    options(checks, tables, "types and mistakes", general())
    os.chmod(tables.directory, 0o755)
    modes(checks, tables)


harness.run(main)
