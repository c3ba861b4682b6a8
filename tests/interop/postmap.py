"""postmap and postalias: databases of both sides read by the other; sources, options, warnings and statuses."""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command
from reference import library_path, tool
from server import new_directory

ENTRIES = 10000
CASES = {
    "plain": b"a 1\nb 2\n",
    "continued": b"a 1\n  2\n# note\n  3\nb x\n",
    "no value": b"a\nb 2\n",
    "duplicate": b"a 1\na 2\n",
    "upper case": b"KEY Value\n",
    "quoted": b"\"a b\" c\n",
    "alias form": b"a: b\n",
    "bad UTF-8": b"a\xff b\nc d\n",
    "empty": b"",
    "only comments": b"# x\n\n   \n# y\n",
    "no last newline": b"a 1\nb 2",
    "spaces": b"a   1  2  \t\n",
}
ALIASES = {
    "plain": b"root: joe\npostmaster: root\n",
    "list": b"list: a@x.test, b@x.test\n",
    "continued": b"list: a@x.test,\n  b@x.test\n",
    "upper case": b"Root: Joe\n",
    "no colon": b"root joe\nx: y\n",
    "not local": b"a@b: c\n",
    "quoted": b"\"joe doe\": joe\n",
    "duplicate": b"a: b\na: c\n",
}


def environments(config):
    common = {"MAIL_CONFIG": config, "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1"}
    return {**common, "LD_LIBRARY_PATH": library_path()}, common


def run(program, words, environment, data=b""):
    return subprocess.run([program, *words], input=data, capture_output=True, env=environment, timeout=120)


def random_entries():
    draw = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.-_@+="
    keys = {"".join(draw.choices(letters, k=draw.randint(1, 60))) for _ in range(ENTRIES + 500)}
    return {key: "".join(draw.choices(letters + " ", k=draw.randint(1, 80))).strip() or "v" for key in list(keys)[:ENTRIES]}


def both_ways(checks, directory, sides):
    entries = random_entries()
    source = "".join(f"{key}\t{' '.join(value.split(' '))}\n" for key, value in entries.items()).encode()
    expected = {f"{key}\t{value}" for key, value in entries.items()}
    for kind in ("hash", "btree"):
        for writer, reader in ((0, 1), (1, 0)):
            name = os.path.join(directory, f"{kind}{writer}")
            with open(name, "wb") as file:
                file.write(source)
            built = run(sides["postmap"][writer], [f"{kind}:{name}"], sides["environment"][writer])
            asked = run(sides["postmap"][reader], ["-q", "-", f"{kind}:{name}"], sides["environment"][reader],
                        "\n".join(entries).encode() + b"\nabsent-key\n")
            seen = set(asked.stdout.decode().splitlines())
            checks.ok(built.returncode == 0 and asked.returncode == 0 and seen == expected,
                      f"{kind}: {ENTRIES} keys written by {'ours' if writer else 'the reference'} are read by the other",
                      f"{built.stderr[-300:]!r} {asked.stderr[-300:]!r} {len(seen)} {len(seen ^ expected)}")


def dump(program, environment, name):
    rows = run(program, ["-s", name], environment).stdout.splitlines()
    return sorted(row for row in rows if not row.startswith((b"YP_LAST", b"YP_MASTER")))


def sources(checks, directory, sides, which, cases):
    for label, text in cases.items():
        seen = []
        for side in (0, 1):
            where = os.path.join(directory, f"{which}{side}")
            os.makedirs(where, exist_ok=True)
            with open(os.path.join(where, "t"), "wb") as file:
                file.write(text)
            if os.path.exists(os.path.join(where, "t.db")):
                os.unlink(os.path.join(where, "t.db"))
            done = run(sides[which][side], [f"hash:{where}/t"], sides["environment"][side])
            seen.append((done.returncode, done.stdout, done.stderr.replace(where.encode(), b"DIR"),
                         dump(sides[which][side], sides["environment"][side], f"hash:{where}/t")))
        checks.ok(seen[0] == seen[1], f"{which}: {label}", f"reference {seen[0]}\nours {seen[1]}")


def options(checks, directory, sides):
    """Each row: words with {t} for the table, standard input."""
    rows = [
        (["-q", "a", "hash:{t}"], b""), (["-q", "A", "hash:{t}"], b""), (["-q", "x", "hash:{t}"], b""),
        (["-fq", "A", "hash:{t}"], b""), (["-q", "-", "hash:{t}"], b"a\nx\nb\n"), (["-i", "hash:{t}"], b"c 3\na 9\n"),
        (["-q", "c", "hash:{t}"], b""), (["-ir", "hash:{t}"], b"a 9\n"), (["-q", "a", "hash:{t}"], b""),
        (["-iw", "hash:{t}"], b"a 10\n"), (["-q", "a", "hash:{t}"], b""), (["-d", "a", "hash:{t}"], b""),
        (["-d", "a", "hash:{t}"], b""), (["-d", "-", "hash:{t}"], b"b\nzz\n"), (["-s", "hash:{t}"], b""),
        (["-q", "a", "hash:{t}nosuch"], b""), (["hash:{t}nosuch"], b""),
        (["-q", "a", "static:x"], b""), (["-q", "a", "inline:{{a=b}}"], b""),
        (["-s", "-q", "a", "hash:{t}"], b""),
    ]
    where = [os.path.join(directory, f"options{side}") for side in (0, 1)]
    for side in (0, 1):
        os.makedirs(where[side])
        with open(os.path.join(where[side], "t"), "wb") as file:
            file.write(b"a 1\nb 2\n")
        run(sides["postmap"][side], [f"hash:{where[side]}/t"], sides["environment"][side])
    for words, data in rows:
        seen = []
        for side in (0, 1):
            done = run(sides["postmap"][side], [word.format(t=os.path.join(where[side], "t")) for word in words],
                       sides["environment"][side], data)
            seen.append((done.returncode, sorted(done.stdout.splitlines()),
                         done.stderr.replace(where[side].encode(), b"DIR")))
        checks.ok(seen[0] == seen[1], "postmap " + " ".join(words), f"reference {seen[0]}\nours {seen[1]}")


def main(checks):
    directory = new_directory()
    config = os.path.join(directory, "etc")
    os.makedirs(config)
    with open(os.path.join(config, "main.cf"), "w") as file:
        file.write(f"compatibility_level = 3.6\nmyhostname = mx.test\nmail_owner = daemon\nsetgid_group = operator\n"
                   f"queue_directory = {directory}\ndata_directory = {directory}\n"
                   f"maillog_file = {directory}/maillog\nmaillog_file_prefixes = /tmp, /var\n")
    open(os.path.join(config, "master.cf"), "w").close()
    sides = {"environment": environments(config),
             "postmap": (tool("postmap"), command("postmap")), "postalias": (tool("postalias"), command("postalias"))}
    both_ways(checks, directory, sides)
    sources(checks, directory, sides, "postmap", CASES)
    sources(checks, directory, sides, "postalias", ALIASES)
    options(checks, directory, sides)


harness.run(main)
