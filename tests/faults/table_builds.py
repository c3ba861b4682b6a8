"""Databases that are built while something goes wrong: the builder is killed at each of its system calls, two build at once,
others hold the lock. Readers of both sides find the old content or the new one, never a part, and what a killed builder
left behind is gone after the next build."""
import hashlib
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from checks import Skip, command, need, run, wait_until
from tables import Tables

SUFFIX = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
OLD = {b"old%d" % number: b"value %d" % number for number in range(400)}
NEW = {b"new%d" % number: b"other value %d" % number for number in range(3000)}


class Place:
    """A directory with a source, and perhaps a database of older content."""

    def __init__(self, tables, builder, kind):
        self.tables, self.builder, self.kind = tables, builder, kind
        tables.files += 1
        self.directory = os.path.join(tables.directory, f"{tables.files}-{builder}-{kind}")
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "t")
        self.database = self.path + SUFFIX[kind]
        self.table = f"{kind}:{self.path}"
        self.read_before = {}

    def source(self, entries):
        separator = b": " if self.builder == "postalias" else b" "
        with open(self.path, "wb") as file:
            file.write(b"".join(key + separator + value + b"\n" for key, value in entries.items()))

    def build(self, entries=None):
        if entries is not None:
            self.source(entries)
        return self.tables.run(1, self.builder, [self.table])

    def reset(self, old):
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))
        if old is not None:
            with open(self.database, "wb") as file:
                file.write(old)
        self.source(NEW)

    def bytes(self):
        try:
            with open(self.database, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def content(self, side):
        """What a reader of that side finds: "absent", "old", "new", or an odd answer as it is. Each file is read once."""
        data = self.bytes()
        if data is None:
            return "absent"
        known = side, hashlib.sha256(data).digest()
        if known not in self.read_before:
            keys = b"".join(key + b"\n" for key in [*OLD, *NEW])
            done = self.tables.run(side, self.builder, ["-q", "-", self.table], keys)
            separator = b":\t" if self.builder == "postalias" else b"\t"
            found = dict(line.split(separator, 1) for line in done.stdout.splitlines())
            self.read_before[known] = ("old" if found == OLD else "new" if found == NEW else
                                       f"{len(found)} entries, {done.returncode} {done.stderr!r:.300}")
        return self.read_before[known]

    def command_line(self):
        return [command(self.builder), "-c", self.tables.config, self.table]


def traced_calls(place):
    """The builder's system calls from the first one that names the database: (name, which one of that name)."""
    trace = os.path.join(place.tables.directory, "trace")
    subprocess.run(["strace", "-qq", "-o", trace, *place.command_line()], capture_output=True, timeout=60, check=True)
    counts, calls, begun = {}, [], False
    with open(trace, errors="replace") as file:
        for line in file:
            found = re.match(r"(\w+)\(", line)
            if not found:
                continue
            name = found.group(1)
            counts[name] = counts.get(name, 0) + 1
            begun = begun or SUFFIX[place.kind] in line
            if begun and name != "exit_group":
                calls.append((name, counts[name]))
    return calls


def killed_everywhere(checks, tables, builder, kind, fresh, every):
    place = Place(tables, builder, kind)
    place.build(OLD)
    old = None if fresh else place.bytes()
    place.reset(old)
    calls = traced_calls(place)
    place.reset(old)
    seen, killed, wrong = {}, 0, []
    for name, which in calls[::every]:
        place.reset(old)
        done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={name}",
                               "-e", f"inject={name}:signal=KILL:when={which}", *place.command_line()],
                              capture_output=True, timeout=60)
        killed += done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        both = [place.content(side) for side in (0, 1)]
        for state in both:
            seen[state] = seen.get(state, 0) + 1
        left = set(os.listdir(place.directory)) - {"t", os.path.basename(place.database)}
        if set(both) - {"absent" if fresh else "old", "new"} or len(left) > 1:
            wrong.append(f"killed in {name} {which}: {both} {left}")
        again = place.build()
        if again.returncode or set(os.listdir(place.directory)) != {"t", os.path.basename(place.database)}:
            wrong.append(f"built after a kill in {name} {which}: {again.stderr!r} {os.listdir(place.directory)}")
    if place.content(1) != "new":
        wrong.append(f"built after the last kill: {place.content(1)}")
    both_seen = {"absent" if fresh else "old", "new"} <= set(seen)
    checks.ok(killed >= 5 and both_seen and not wrong,
              f"{builder} {kind}, {'a first' if fresh else 'another'} build killed at {killed} system calls: readers of both sides find "
              f"{' or '.join(sorted(seen))}, and the next build cleans up", "\n".join([f"{killed} killed, {seen}", *wrong]))


def waits_for_a_lock(pid):
    """A lock that is a descriptor's names no process there: its waiter is one that sleeps in fcntl(2)."""
    with open("/proc/locks") as file:
        waiting = [line.split() for line in file if "->" in line]
    if any(fields[5] == str(pid) for fields in waiting):
        return True
    try:
        with open(f"/proc/{pid}/wchan") as file:
            return any(fields[2] == "OFDLCK" for fields in waiting) and "setlk" in file.read()
    except OSError:
        return False


def child_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        found = file.read().split()
    return int(found[0]) if found else None


def has_stopped(trace):
    with open(trace) as file:
        return "--- stopped by SIGSTOP ---" in file.read()


def two_at_once(checks, tables, builder, kind, fresh):
    """The first one is stopped when all is written, before its content counts; the second one comes, and waits for it."""
    place = Place(tables, builder, kind)
    if not fresh:
        place.build(OLD)
    last = "fdatasync" if kind == "lmdb" and not fresh else "fsync"
    place.source({b"first": b"one"})
    trace = os.path.join(tables.directory, "stop")
    open(trace, "w").close()
    first = subprocess.Popen(["strace", "-qq", "-o", trace, "-e", f"trace={last}", "-e", f"inject={last}:signal=STOP:when=1",
                              *place.command_line()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    second = None
    try:
        stopped = wait_until(lambda: has_stopped(trace)) and child_of(first.pid)
        place.source(NEW)
        second = subprocess.Popen(place.command_line(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        waited = wait_until(lambda: second.poll() is None and waits_for_a_lock(second.pid))
        # Readers need not wait for a content that is built beside theirs.
        during = place.content(1) if last == "fsync" else "old"
        os.kill(stopped, signal.SIGCONT)
        errors = [one.communicate(timeout=60)[1] for one in (first, second)]
        checks.ok(stopped and waited and (first.returncode, second.returncode) == (0, 0) and place.content(0) == "new"
                  and place.content(1) == "new" and during == ("absent" if fresh else "old")
                  and set(os.listdir(place.directory)) == {"t", os.path.basename(place.database)},
                  f"{builder} {kind}, two {'first builds' if fresh else 'builds'} at once: the second one waits, both succeed, its content stays, "
                  "and a reader meanwhile is not held up",
                  f"{stopped} {waited} {first.returncode} {second.returncode} {errors} {place.content(1)} {during} {os.listdir(place.directory)}")
    finally:
        for one in (first, second):
            if one and one.poll() is None:
                child = child_of(one.pid)
                if child:
                    os.kill(child, signal.SIGKILL)
                one.kill()
                one.communicate()


HOLDER = """
import fcntl, struct, sys
file = open(sys.argv[2], "rb+")
if sys.argv[1] == "lmdb":
    fcntl.fcntl(file, fcntl.F_SETLKW, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
else:
    fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def under_a_lock(checks, tables, kind):
    """The commands beside somebody who holds the exclusive lock: each waits, and does its work when it is free."""
    rows = [(["-i"], b"added 1\n"), (["-ir"], b"old1 changed\n"), (["-d", "old2"], b""), (["-q", "old3"], b""), ([], b"")]
    different = []
    for words, data in rows:
        seen = []
        for side in (0, 1):
            place = Place(tables, "postmap", kind)
            place.build(OLD)
            place.source(NEW)
            holder = subprocess.Popen([sys.executable, "-c", HOLDER, kind, place.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            holder.stdout.readline()
            process = tables.start(side, "postmap", [*words, place.table])
            process.stdin.write(data)
            process.stdin.close()
            waited = wait_until(lambda: process.poll() is not None or waits_for_a_lock(process.pid)) and process.poll() is None
            holder.communicate()
            process.stdin = None
            out, err = process.communicate(timeout=60)
            listed = tables.run(1, "postmap", ["-s", place.table]).stdout
            seen.append((waited, process.returncode, out, err, sorted(listed.splitlines())))
        # The reference does not always wait for an LMDB file.
        if seen[0][1:] != seen[1][1:] or not seen[1][0]:
            different.append(f"{words}: {seen[0]!r:.400}\n  ours {seen[1]!r:.400}")
    checks.ok(not different, f"{kind}: postmap -i, -ir, -d, -q and a build wait for whoever holds the lock, and end as the reference's",
              "\n".join(different))


def main(checks):
    need("strace")
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True).returncode:
        raise Skip("strace may not trace here")
    tables = Tables()
    for kind in SUFFIX:
        for fresh in (False, True):
            killed_everywhere(checks, tables, "postmap", kind, fresh, 2 if fresh else 1)
            killed_everywhere(checks, tables, "postalias", kind, fresh, 4)
            two_at_once(checks, tables, "postmap", kind, fresh)
    for kind in ("hash", "btree", "lmdb"):
        under_a_lock(checks, tables, kind)


run(main)
