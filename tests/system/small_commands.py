"""postlog, postlock and postkick beside the reference's, with real locks, files and daemons."""
import fcntl
import os
import pty
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, command, need, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference  # noqa: E402

tally = {"equal": 0, "total": 0}


def same(checks, sentence, theirs, ours):
    tally["total"] += 1
    tally["equal"] += bool(checks.ok(theirs == ours, sentence, f"reference {theirs!r:.1500}\nours      {ours!r:.1500}"))


def plain(system, text):
    """Without what differs between two runs: places, dates, process numbers."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    text = text.replace(system.directory, "DIR")
    for name in ("postlog", "postlock", "postkick"):  # some of the reference's show argv[0] as it is
        text = text.replace(system.command(name), name)
    return re.sub(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ ([^\[\]]*)\[\d+\]:", r"DATE HOST \1[N]:", text, flags=re.M)


def new_lines(system, before, wait=0):
    wait_until(lambda: system.log().count("\n") >= before.count("\n") + wait, 20)
    return "".join(line for line in plain(system, system.log()[len(before):]).splitlines(True) if "/smtpd[" not in line)


# postlog --------------------------------------------------------------------------------------------------------------
POSTLOG = [
    (["one", "two  three"], None, 1),
    ([], b"first\nsecond\n\n last without end", 4),
    ([], b"", 0),
    (["-i", "with", "number"], None, 1),
    (["-t", "mine", "text"], None, 1),
    (["-t", "", "text"], None, 1),
    (["-p", "info", "text"], None, 1),
    (["-p", "warn", "text"], None, 1),
    (["-p", "warning", "text"], None, 0),
    (["-p", "WARN", "text"], None, 0),
    (["-p", "error", "text"], None, 1),
    (["-p", "fatal", "text"], None, 1),
    (["-p", "panic", "text"], None, 1),
    (["-p", "bogus", "text"], None, 0),
    (["-p", "fatal"], b"a\nb\n", 2),
    (["a\tb\x07c\x1b[1m"], None, 1),
    ([], b"return\r\n\xff\xfe bytes\n", 2),
    (["x" * 1500], None, 1),
    ([""], None, 1),
    (["%s%n%d"], None, 1),
    (["--", "-x"], None, 1),
    (["-x", "text"], None, 0),
    (["-c", "/nonexistent", "text"], None, 0),
    (["-p"], None, 0),
]


def on_terminal(system, *arguments):
    """What the program says on a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([system.command("postlog"), *arguments], stdin=subprocess.DEVNULL, stderr=slave,
                               env={**system.environment()})
    process.wait(30)
    os.close(slave)
    said = b""
    try:
        while chunk := os.read(master, 4096):
            said += chunk
    except OSError:
        pass
    os.close(master)
    return process.returncode, plain(system, said)


def test_postlog(checks, reference, ours):
    for arguments, text, lines in POSTLOG:
        results = []
        for system in (reference, ours):
            before = system.log()
            done = system.run("postlog", *arguments, input=text)
            results.append((done.returncode, done.stdout, plain(system, done.stderr), new_lines(system, before, lines)))
        # The reference's says nothing about its errors when nobody looks; its next release does, and so does ours.
        if results[0][0] and re.fullmatch(r"(postlog: [^\n]*\n){1,2}", results[1][2]):
            results = [(status, out, "", log) for status, out, _, log in results]
        words = " ".join(word[:40] for word in arguments)
        same(checks, f"postlog {words!r} < {text!r}", *results)
    same(checks, "postlog on a terminal shows the line", *(on_terminal(system, "hello") for system in (reference, ours)))


# postlock -------------------------------------------------------------------------------------------------------------
def file_state(path):
    try:
        status = os.stat(path)
        return oct(status.st_mode), status.st_size
    except FileNotFoundError:
        return None


def test_postlock(checks, reference, ours):
    for system in (reference, ours):
        with open(os.path.join(system.config, "main.cf"), "a") as file:
            file.write("deliver_lock_attempts = 2\ndeliver_lock_delay = 1s\nmailbox_delivery_lock = fcntl, dotlock\n")
        os.utime(os.path.join(system.config, "main.cf"), (1, 1))
    cases = [
        ["true"], ["false"], ["sh", "-c", "exit 3"], ["sh", "-c", "kill -9 $$"], ["sh", "-c", "kill -15 $$"],
        ["sh", "-c", "echo out; echo err >&2; cat"], ["/nonexistent/program"], ["/etc"], [], ["sh", "-c", "ls -a"],
    ]
    for words in cases:
        results = []
        for system in (reference, ours):
            path = os.path.join(system.directory, "box")
            if os.path.exists(path):
                os.remove(path)
            done = system.run("postlock", path, *words, input=b"input\n")
            results.append((done.returncode, done.stdout if words[-1:] != ["ls -a"] else b"", plain(system, done.stderr),
                            file_state(path), file_state(path + ".lock")))
        same(checks, f"postlock box {' '.join(words)}", *results)
    for options in (["-l", "flock"], ["-l", "fcntl"], ["-l", "dotlock"], ["-l", "flock,fcntl dotlock"], ["-l", "foo"],
                    ["-l", "flock, foo"], ["-l", ""], ["-x"], ["-c", "/nonexistent"], ["-v", "-l", "flock"][1:]):
        results = []
        for system in (reference, ours):
            path = os.path.join(system.directory, "box")
            done = system.run("postlock", *options, path, "sh", "-c", "test -e $0.lock && echo dotlock", path)
            results.append((done.returncode, done.stdout, plain(system, done.stderr), file_state(path + ".lock")))
        same(checks, f"postlock {' '.join(options)}", *results)
    for place in ("nosuch/box", "etc", "link"):
        results = []
        for system in (reference, ours):
            path = os.path.join(system.directory, place)
            if place == "link" and not os.path.lexists(path):
                os.symlink("/nonexistent/place", path)
            done = system.run("postlock", path, "true")
            results.append((done.returncode, plain(system, done.stderr)))
        same(checks, f"postlock {place}", *results)
    for closed in ("<&-", ">&-", "2>&-"):  # the command gets something there, and it is not the file
        results = []
        for system in (reference, ours):
            path = os.path.join(system.directory, "box")
            done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", system.command("postlock"), path, "sh", "-c",
                                   "echo out; cat; for n in 0 1 2; do ! test /proc/$$/fd/$n -ef $0; done", path],
                                  input=b"input\n", capture_output=True, env=system.environment(), timeout=60)
            results.append((done.returncode, done.stdout, plain(system, done.stderr)))
        same(checks, f"postlock {closed}", *results)
    test_held(checks, reference, ours)


def test_held(checks, reference, ours):
    def take(path, style):
        if style == "dotlock":
            open(path + ".lock", "w").close()
            return None
        file = open(path, "a")
        (fcntl.flock if style == "flock" else fcntl.lockf)(file, fcntl.LOCK_EX)
        return file
    for style in ("flock", "fcntl", "dotlock"):
        results = []
        for system in (reference, ours):
            path = os.path.join(system.directory, "held")
            held = take(path, style)
            began = time.monotonic()
            done = system.run("postlock", "-l", style, path, "echo", "has it")
            waited = time.monotonic() - began
            if held:
                held.close()
            else:
                os.remove(path + ".lock")
            results.append((done.returncode, done.stdout, plain(system, done.stderr), waited >= 0.4))
        same(checks, f"a {style} lock that stays held", *results)
        results = []
        for system in (reference, ours):
            held = take(path := os.path.join(system.directory, "held"), style)
            process = subprocess.Popen([system.command("postlock"), "-l", style, path, "echo", "has it"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=system.environment())
            time.sleep(0.3)
            waiting = process.poll() is None
            if held:
                held.close()
            else:
                os.remove(path + ".lock")
            out, err = process.communicate(timeout=30)
            results.append((waiting, process.returncode, out, err, file_state(path + ".lock")))
        same(checks, f"a {style} lock that is released meanwhile", *results)
    results = []
    for system in (reference, ours):
        path = os.path.join(system.directory, "held")
        take(path, "dotlock")
        with open(os.path.join(system.config, "main.cf"), "a") as file:
            file.write("stale_lock_time = 1s\n")
        os.utime(os.path.join(system.config, "main.cf"), (1, 1))
        time.sleep(2.1)
        done = system.run("postlock", "-l", "dotlock", path, "echo", "has it")
        results.append((done.returncode, done.stdout, plain(system, done.stderr), file_state(path + ".lock")))
    same(checks, "a stale lock file is taken over", *results)


# postkick -------------------------------------------------------------------------------------------------------------
def test_postkick(checks, reference, ours):
    for words in (["public", "pickup", "W"], ["public", "qmgr", "ID"], ["private", "nosuch", "W"], ["public", "nosuch", "W"],
                  ["nosuch", "pickup", "W"], ["public", "pickup"], [], ["-x", "public", "pickup", "W"],
                  ["public", "pickup", "W", "more"]):
        results = []
        for system in (reference, ours):
            done = system.run("postkick", *words)
            # Where the service is quicker than it, the reference dies of SIGPIPE.
            status = 0 if done.returncode == -13 and system is reference else done.returncode
            results.append((status, done.stdout, plain(system, done.stderr)))
        same(checks, f"postkick {' '.join(words)}", *results)
    for system, name in ((reference, "the reference's"), (ours, "our")):
        # A message that nobody has announced: pickup looks by itself once a minute only.
        record = b"".join(kind + bytes([len(data)]) + data for kind, data in (
            (b"T", b"1795226788 0"), (b"A", b"rewrite_context=local"), (b"S", b"s@example.test"), (b"R", b"box@box.test"),
            (b"M", b""), (b"N", b"Subject: kicked"), (b"N", b""), (b"X", b""), (b"E", b"")))
        path = os.path.join(system.spool, "maildrop", "KICKED")
        with open(path, "wb") as file:
            file.write(record)
        os.chmod(path, 0o744)
        done = system.run("postkick", "public", "pickup", "W")
        checks.ok(done.returncode == 0 and wait_until(lambda: not os.path.exists(path), 5),
                  f"postkick wakes {name} pickup", done.stderr)


def main(checks):
    need("unshare")
    for name in ("postlog", "postlock", "postkick", "mtad"):
        command(name)
    if os.geteuid() != 0:
        raise Skip("needs root")
    with Reference() as reference, Mtad() as ours:
        test_postlog(checks, reference, ours)
        test_postkick(checks, reference, ours)
        test_postlock(checks, reference, ours)
    checks.note(f"small commands: {tally['equal']} of {tally['total']} equal")


run(main)
