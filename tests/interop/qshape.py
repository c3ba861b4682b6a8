"""qshape beside the reference's on queues with many domains and ages: the same table to the byte, save that rows which tie
in number and length stand in no particular order there."""
import json
import os
import pty
import random
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import checks as harness  # noqa: E402
from checks import Skip, command, need  # noqa: E402
from queue_records import record  # noqa: E402
from reference import library_path, reference_root, tool  # noqa: E402
from server import new_directory  # noqa: E402

OPTIONS = ["", "-s", "-p", "-p -m 2", "-p -m 1 -s", "-l", "-l -b 4 -t 30", "-b 3", "-b 1", "-b 20", "-t 1", "-t 2.5 -b 5", "-w 100",
           "-w 132 -b 14", "-w 40", "-b x", "-t -1", "-m x -p", "-n 3", "-N 10", "-slp -m 1", "-c {config}", "deferred",
           "hold", "deferred hold incoming active", "-s deferred/1", "{spool}/deferred", "-p -m 3 {spool}/deferred {spool}/hold",
           "nosuch deferred", "/nonexistent", "corrupt", "-- deferred"]
DOMAINS = ["far.test", "a.far.test", "b.far.test", "c.far.test", "d.b.far.test", "e.b.far.test", "x" * 60 + ".long.test", "test",
           "localhost", "UPPER.Test", "dotted..test", ".lead.test", "trail.test.", "one.two.three.four.five.test", "[192.0.2.1]",
           "a.very.long.domain.name.that.does.not.fit.into.the.room.that.there.is.test", "b\u00fccher.test", "...", "."]


def make(dice, age):
    """A cleaned file; ages stay clear of the borders of buckets."""
    def address():
        domain = dice.choice(DOMAINS)
        return dice.choice(["", "bare", f"User@{domain}", f"a@b@{domain}", f"x@{domain}"]).encode()
    recipients = [record(dice.choice("RRRRD"), address()) for _ in range(dice.choice([1, 1, 2, 5, 30]))]
    late = dice.random() < .3
    head = record("T", b"%d 5" % (time.time() - age)) + record("S", address())
    head += b"" if late else b"".join(recipients)
    text = record("N", b"Subject: x") + record("N") + record("N", b"body" * dice.randint(0, 600))
    if dice.random() < .1:
        text += record("p", b"%15d" % 0)
    start = 97 + len(head) + 2
    size = record("C", b"%15d %15d %15d %15d %15d %15d" % (len(text), start, len(recipients), 0, len(text), 0))
    return size + head + record("M") + text + record("X") + (b"".join(recipients) if late else b"") + record("E")


def fill(spool):
    dice = random.Random(20261121)
    for queue, count in (("incoming", 30), ("active", 60), ("deferred", 400), ("hold", 40), ("maildrop", 0), ("corrupt", 0)):
        for number in range(count):
            digit = f"{number % 16:X}" if queue == "deferred" else ""
            folder = os.path.join(spool, queue, digit)
            os.makedirs(folder, exist_ok=True)
            path = os.path.join(folder, f"{digit or 'A'}{number:04X}ABC")
            with open(path, "wb") as file:
                file.write(make(dice, dice.choice([0, 20, 200, 450, 800, 2000, 4000, 7000, 20000, 45000, 70000, 200000, 3000000])
                                + 31))
            os.chmod(path, dice.choice([0o700] * 6 + [0o600, 0o710, 0o740, 0o400]))
        os.makedirs(os.path.join(spool, queue), exist_ok=True)
    # What is no message.
    folder = os.path.join(spool, "incoming")
    # The reference's -s takes these two for ancient mail of the null sender, so they stand where only recipients are counted.
    for name, data in (("ABCDEF0", b"no queue file at all"), ("ABCDEF1", b"")):
        with open(os.path.join(spool, "corrupt", name), "wb") as file:
            file.write(data)
        os.chmod(os.path.join(spool, "corrupt", name), 0o700)
    for name, data in (("ABC.123", make(dice, 5)), ("AB12", make(dice, 5)),
                       ("ABCDEF2", make(dice, 5)[:-2]), ("ABCDEF3", make(dice, 5)[:150])):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
        os.chmod(os.path.join(folder, name), 0o700)
    os.symlink("/etc/passwd", os.path.join(folder, "ABCDEF4"))
    os.mkdir(os.path.join(folder, "ABCDEF5"))


def sorted_ties(table):
    """Rows of the same total and the same length of name in alphabetical order."""
    lines = table.decode("utf-8", "surrogateescape").split("\n")
    head, rows = lines[:1], lines[1:]

    def place(row):
        words = row.split()
        return (-int(words[1]), words[0] != "TOTAL") if len(words) > 1 else (1, True)
    groups = {}
    for row in rows:
        groups.setdefault(place(row), []).append(row)
    return head + [row for one in groups.values() for row in sorted(one)], [place(row) for row in rows]


def run(program, words, config, extra):
    return subprocess.run([program, *words], capture_output=True, timeout=60, cwd="/",
                          env={"MAIL_CONFIG": config, "PATH": os.path.join(reference_root(), "usr/sbin") + ":/usr/bin:/bin",
                               "LC_ALL": "C", "MTAD_NO_FATAL_DELAY": "1", **extra})


def on_terminal(program, words, config, extra):
    master, slave = pty.openpty()
    process = subprocess.Popen([program, *words], stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, cwd="/",
                               env={"MAIL_CONFIG": config, "PATH": os.path.join(reference_root(), "usr/sbin") + ":/usr/bin:/bin",
                                    "LC_ALL": "C", "TERM": "xterm", **extra})
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:
        pass
    os.close(master)
    process.wait(30)
    return re.split(rb"(?:\x1b\[[0-9;]*[A-Za-z])+", seen.replace(b"\r\n", b"\n"))


def main(checks):
    need("perl")
    directory = new_directory()
    config, spool = os.path.join(directory, "etc"), os.path.join(directory, "spool")
    os.makedirs(config)
    with open(os.path.join(config, "main.cf"), "w") as file:
        file.write(f"mail_owner = daemon\nsetgid_group = operator\nmyhostname = mx.example.test\nqueue_directory = {spool}\n")
    open(os.path.join(config, "master.cf"), "w").close()
    fill(spool)
    sides = ((tool("qshape"), {"LD_LIBRARY_PATH": library_path()}), (command("qshape"), {}))
    equal = total = 0
    try:
        for options in OPTIONS:
            words = options.format(config=config, spool=spool).split()
            theirs, ours = (run(program, words, config, extra) for program, extra in sides)
            total += 1
            equal += checks.equal((ours.returncode, sorted_ties(ours.stdout)), (theirs.returncode, sorted_ties(theirs.stdout)),
                                  f"qshape {options}")
        for words in (["-Z"], ["-h"], ["--foo"]):
            theirs, ours = (run(program, words, config, extra) for program, extra in sides)
            total += 1
            equal += checks.equal((ours.returncode, ours.stdout), (theirs.returncode, theirs.stdout), f"qshape {words[0]} is refused")
        for words in (["deferred"], ["-N", "100", "-n", "4", "deferred"]):
            theirs, ours = (on_terminal(program, words, config, extra) for program, extra in sides)
            checks.equal(len(ours), len(theirs), f"qshape {' '.join(words)} on a terminal: as many tables")
            # Rows of the same count stand in any order there.
            checks.equal(*(sorted(line.split()[1:3] for line in last.split(b"\n")) for last in (ours[-1], theirs[-1])),
                         f"qshape {' '.join(words)} on a terminal: the same numbers in the last")
        table = run(*(sides[1][0], ["-p", "-m", "1", "deferred"]), config, {}).stdout.decode().splitlines()
        shape = json.loads(run(sides[1][0], ["--json", "-p", "-m", "1", "deferred"], config, {}).stdout)
        checks.equal([[row["total"], *row["counts"]] for row in shape["rows"]],
                     [[int(word) for word in line.split()[-11:]] for line in table[1:]], "--json has the numbers of the table")
        checks.equal(shape["buckets"], [5, 10, 20, 40, 80, 160, 320, 640, 1280, None], "--json says where buckets end")
        checks.note(f"{equal} of {total} equal to the reference")
    finally:
        shutil.rmtree(directory)


harness.run(main)
