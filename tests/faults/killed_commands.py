"""Queue commands that are killed, or told to end, at each of their system calls in turn.

postsuper: no message is lost or doubled, no log loses its message, and the same command run again completes the work.
Submission: one whole message or none; what is half written is never taken for mail, and goes with postsuper -p.
postqueue: the queue is as it was, and the daemon serves the next one."""
import os
import pwd
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import spools  # noqa: E402
from checks import Skip, command, need, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from queue_records import record  # noqa: E402
from server import OWNER, new_directory  # noqa: E402

UID = pwd.getpwnam(OWNER).pw_uid
# The calls that change a spool; between two of them a kill makes no difference.
CHANGES = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod",
           "fchmodat", "utimensat")
WRITES = (*CHANGES, "openat", "write", "writev", "fsync", "fdatasync", "ftruncate")
OLD = time.time() - 8 * 86400
OTHERS_INODE = "ABCDE"


def names_of(calls):
    return ",".join("?" + name for name in calls)  # not every machine has each of them


class Stage:
    """A command that is run again and again, each time ended at another of its calls."""

    def __init__(self, words, environment, calls, children=False):
        self.words, self.environment, self.calls, self.children = words, environment, calls, children

    def start(self, options, text):
        words = ["strace", "-qq", *(["-f"] if self.children else []), *options, *self.words]
        return subprocess.run(words, input=text, capture_output=True, timeout=60, env=self.environment, cwd="/")

    def count(self, text, trace):
        """How often each call happens in an undisturbed run."""
        done = self.start(["-o", trace, "-e", "trace=" + names_of(self.calls)], text)
        with open(trace, errors="replace") as file:
            made = re.findall(r"^(?:\d+ +)?(\w+)\(", file.read(), flags=re.M)
        return done, {name: made.count(name) for name in self.calls if name in made}

    def ended(self, number, name, when, text):
        return self.start(["-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:signal={number}:when={when}"], text)


def moments(counts, most):
    """(call, which one of them): all when there are few, else as many as that, evenly spread."""
    every = [(name, when) for name, count in counts.items() for when in range(1, count + 1)]
    step = max(1, len(every) / most)
    return [every[int(at * step)] for at in range(int(len(every) / step))]


# postsuper ------------------------------------------------------------------------------------------------------------
def put(spool, place, content, mode=0o700, when=None):
    path = os.path.join(spool, place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(content)
    os.chmod(path, mode)
    folder = path
    while folder != spool:
        os.chown(folder, UID, -1)
        folder = os.path.dirname(folder)
    if when:
        os.utime(path, (when, when))


def fill(spool):
    """Messages in every queue, each with three logs, and what a writer has left behind."""
    for n, queue in enumerate(("deferred/1", "deferred/1", "deferred/1", "hold", "hold", "incoming", "active")):
        name = f"1{n:04X}{OTHERS_INODE}"
        put(spool, f"{queue}/{name}", f"message {n}")
        for log in ("defer/1", "bounce", "trace"):
            put(spool, f"{log}/{name}", f"{log.split('/')[0]} of message {n}", 0o600)
    for n in range(3):
        put(spool, f"incoming/1234{n}.5678", "half", 0o600, OLD)


def restored(spool):
    """As it comes back from a backup: the names bear other files' inodes."""


def fitting(spool):
    spools.fit_names(spool)


def misplaced(spool):
    """Names that fit, in directories that do not."""
    spools.fit_names(spool)
    for queue in ("deferred", "defer"):
        for name in os.listdir(os.path.join(spool, queue, "1")):
            os.rename(os.path.join(spool, queue, "1", name), os.path.join(spool, queue, name))


def contents(spool, queues):
    """content → [(queue, name, mode)]"""
    found = {}
    for queue in queues:
        for folder, _, files in os.walk(os.path.join(spool, queue)):
            for name in files:
                path = os.path.join(folder, name)
                with open(path) as file:
                    found.setdefault(file.read(), []).append((queue, name, os.stat(path).st_mode & 0o7777))
    return found


def left(spool):
    """What is there, without the times: [(folder, name, whether that is its inode's, mode, content)]. The two copies of a file
    have two names, so a name is shown as the content of the message that bears it."""
    files = [(os.path.relpath(folder, spool), name) for queue in (*spools.MESSAGES, *spools.LOGS)
             for folder, _, names in os.walk(os.path.join(spool, queue)) for name in names]
    bearer, found = {}, []
    for folder, name in files:
        with open(os.path.join(spool, folder, name), "rb") as file:
            content = file.read()
        status = os.stat(os.path.join(spool, folder, name))
        message = folder.split("/")[0] in spools.MESSAGES
        if message:
            bearer.setdefault(name, content)
        found.append((folder, name, message and name.endswith(f"{status.st_ino:X}"), oct(status.st_mode), content))
    return sorted((folder, bearer.get(name, name.encode()), *rest) for folder, name, *rest in found)


def wrong_with(spool, before, deletes, expires):
    """Anything that is lost, doubled or torn apart by an interrupted command."""
    messages, logs = contents(spool, spools.MESSAGES), contents(spool, spools.LOGS)
    for content, places in before.items():
        now = messages.get(content, [])
        if content != "half" and len(now) != 1 and not (deletes and not now):
            return f"{content} is there {len(now)} times"
        if now and now[0][2] != places[0][2] and not (expires and now[0][2] == places[0][2] | 0o010):
            return f"{content} has another mode: {now}"
        if not content.startswith("message"):
            continue
        mine = {log: logs.get(f"{log} of {content}", []) for log in spools.LOGS}
        if not now and any(mine.values()):
            return f"{content} is gone, its logs are not: {mine}"
        if not deletes and not all(mine.values()):
            return f"{content} has lost a log: {mine}"
    extra = set(messages) - set(before)
    return f"something new: {extra}" if extra else None


POSTSUPER = [("-h ALL", fitting), ("-H ALL", fitting), ("-r ALL", fitting), ("-e ALL", fitting), ("-d ALL", fitting),
             ("-d IDS -r IDS", fitting), ("-s", restored), ("-s", misplaced), ("-p", fitting)]


def postsuper(checks, directory):
    template, spool, config = (os.path.join(directory, name) for name in ("template", "spool", "etc"))
    spools.make_directories(template, UID, 0)
    fill(template)
    os.makedirs(config)
    with open(os.path.join(config, "main.cf"), "w") as file:
        file.write(f"mail_owner = {OWNER}\nqueue_directory = {spool}\ndata_directory = {directory}\nmyhostname = a.test\n"
                   f"maillog_file = {directory}/log\nmaillog_file_prefixes = /\n")
    environment = {"MAIL_CONFIG": config, "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1"}

    def fresh(prepare):
        spools.copy(template, spool)
        prepare(spool)

    def input_for(words):
        names = sorted(name for queue in ("deferred", "hold") for _, _, files in os.walk(os.path.join(spool, queue)) for name in files)
        return "".join(name + "\n" for name in names).encode() if "IDS" in words else b""

    for words, prepare in POSTSUPER:
        label = f"postsuper {words} of a {prepare.__name__} spool"
        arguments = words.replace("IDS", "-", 1).replace(" -r IDS", "").split()
        stage = Stage([command("postsuper"), *arguments], environment, CHANGES, children=True)
        fresh(prepare)
        before = contents(spool, spools.MESSAGES)
        done, counts = stage.count(input_for(words), os.path.join(directory, "trace"))
        wanted = left(spool)
        checks.ok(done.returncode == 0 and sum(counts.values()) >= 2, f"{label}: undisturbed", f"{counts}\n{done.stderr.decode()}")
        trouble, deletes, kills = [], "-d" in words, 0
        for name, when in moments(counts, 36):
            fresh(prepare)
            text = input_for(words)
            killed = stage.ended("KILL", name, when, text)
            wrong = wrong_with(spool, before, deletes, "-e" in words)
            again = subprocess.run(stage.words, input=text, capture_output=True, timeout=60, env=environment)
            if not wrong and again.returncode:
                wrong = "again: " + again.stderr.decode()
            if not wrong and left(spool) != wanted:
                now = left(spool)
                wrong = f"again: {set(now) ^ set(wanted)}"
            kills += killed.returncode == -9  # several threads work: one may make fewer calls this time
            if wrong:
                trouble.append(f"{name} {when}: {wrong}")
        if kills < len(moments(counts, 36)) / 2:
            trouble.append(f"was killed {kills} times only")
        checks.ok(not trouble, f"{label}: killed at any of {len(moments(counts, 36))} calls, nothing is lost, and again completes it",
                  "\n".join(trouble))


# Submission -----------------------------------------------------------------------------------------------------------
def submission(number, length=6000):
    lines = [b"Subject: %d" % number, b"", *(b"line %d of the text" % n for n in range(length // 20)), b"last"]
    return (record(b"A", b"rewrite_context=local") + record(b"S", b"s@example.test") + record(b"R", b"box@box.test") + record(b"M") +
            b"".join(record(b"N", line) for line in lines) + record(b"X") + record(b"E"))


def mail(number, length=6000):
    return b"Subject: %d\n\n" % number + b"".join(b"line %d of the text\n" % n for n in range(length // 20)) + b"last\n"


class Maildrop:
    """What each run has added to maildrop/."""

    def __init__(self, server):
        self.folder = os.path.join(server.spool, "maildrop")
        self.known = set()

    def added(self):
        """(complete, incomplete) names that are new."""
        new = sorted(set(os.listdir(self.folder)) - self.known)
        self.known.update(new)
        complete = [name for name in new if os.stat(os.path.join(self.folder, name)).st_mode & 0o100]
        return complete, [name for name in new if name not in complete]


def submissions(checks, directory):
    server = Mtad({"virtual_mailbox_limit": "0"})
    server.write_configuration()
    environment = {**server.environment(), "MTAD_NO_FATAL_DELAY": "1"}
    maildrop = Maildrop(server)
    sent = set()
    number = 0
    for program, words, make, signals in (
            ("postdrop", ["-r"], submission, ("KILL", "TERM", "HUP")),
            ("sendmail", ["-i", "-f", "s@example.test", "box@box.test"], mail, ("KILL", "TERM"))):
        stage = Stage([server.command(program), *words], environment, WRITES if program == "postdrop" else ("write", "read", "openat",
                                                                                                           "vfork", "clone3", "wait4"))
        number += 1
        done, counts = stage.count(make(number), os.path.join(directory, "trace"))
        checks.equal((done.returncode, len(maildrop.added()[0])), (0, 1), f"{program} undisturbed submits")
        sent.add(number)
        for one in signals:
            trouble, halves, wholes = [], 0, 0
            for name, when in moments(counts, 40):
                number += 1
                done = stage.ended(one, name, when, make(number))
                complete, half = maildrop.added()
                halves, wholes = halves + len(half), wholes + len(complete)
                if complete:
                    sent.add(number)
                if len(complete) > 1 or (half and (complete or program == "sendmail" or one != "KILL")):
                    trouble.append(f"{name} {when}: complete {complete}, half {half}")
                if done.returncode == 0 and not complete:
                    trouble.append(f"{name} {when}: success without a message")
                if program == "postdrop" and one != "KILL" and complete and done.returncode:
                    trouble.append(f"{name} {when}: a message in spite of {done.returncode}")
            checks.ok(not trouble, f"{program} ended by {one} at any of {len(moments(counts, 40))} calls: a whole message or none",
                      "\n".join(trouble))
            if one == "KILL":
                checks.ok(wholes and (halves or program == "sendmail"), f"{program}: some were killed early, some late",
                          f"{halves} {wholes}")
    picked_up(checks, server, maildrop, sent)


def picked_up(checks, server, maildrop, sent):
    """The daemon delivers what is whole, once, and leaves the rest to postsuper -p."""
    halves = [name for name in os.listdir(maildrop.folder) if not os.stat(os.path.join(maildrop.folder, name)).st_mode & 0o100]
    server.owns_directory = False
    with server:
        arrived = wait_until(lambda: len(server.maildir("box")) >= len(sent) and server.is_empty(), 40)
        numbers = sorted(int(re.search(rb"^Subject: (\d+)$", text, flags=re.M).group(1)) for text in server.maildir("box"))
        checks.ok(arrived and numbers == sorted(sent), f"the daemon delivers each of {len(sent)} whole messages once",
                  f"delivered {numbers}\nsubmitted {sorted(sent)}\n{server.log()[-1500:]}")
        checks.ok(all(text.endswith(b"\nlast\n") for text in server.maildir("box")), "and each to its end")
        listing(checks, server)
    checks.equal(sorted(os.listdir(maildrop.folder)), sorted(halves), "what is half written is left alone")
    server.run("postsuper", "-p")
    checks.equal(len(os.listdir(maildrop.folder)), len(halves), "by postsuper -p too while it is young")
    for name in halves:
        os.utime(os.path.join(maildrop.folder, name), (OLD, OLD))
    server.run("postsuper", "-p")
    checks.equal(os.listdir(maildrop.folder), [], "but not when it is old")
    shutil.rmtree(server.directory)


# postqueue ------------------------------------------------------------------------------------------------------------
def listing(checks, server):
    """postqueue killed while the daemon answers it."""
    for n in range(40):
        put(server.spool, f"hold/1{n:04X}ABCDE", "")
        with open(os.path.join(server.spool, f"hold/1{n:04X}ABCDE"), "wb") as file:
            file.write(record(b"C", b"%15d %15d %15d %15d %15d %15d" % (9, 130, 1, 0, 9, 0)) + record(b"T", b"1795226788 0") +
                       submission(n)[:-2].replace(b"E\0", b"") + record(b"E"))
    whole = server.run("postqueue", "-j").stdout
    before = left(server.spool)
    checks.ok(whole.count(b"queue_id") == 40, "postqueue -j shows the queue", whole[:500])
    stage = Stage([server.command("postqueue"), "-j"], server.environment(), ("connect", "read", "recvfrom", "recvmsg", "sendto", "write"))
    done, counts = stage.count(b"", os.path.join(server.directory, "trace"))
    for name, when in moments(counts, 12):
        stage.ended("KILL", name, when, b"")
    for option in ("-f", "-i"):
        stage = Stage([server.command("postqueue"), *{"-f": ["-f"], "-i": ["-i", "10000ABCDE"]}[option]], server.environment(),
                      ("connect", "sendto", "write", "recvfrom", "read"))
        done, counts = stage.count(b"", os.path.join(server.directory, "trace"))
        for name, when in moments(counts, 8):
            stage.ended("KILL", name, when, b"")
    checks.equal(server.run("postqueue", "-j").stdout, whole, "postqueue killed at its calls: the daemon lists the same to the next")
    checks.equal(left(server.spool), before, "and the queue is as it was")
    shutil.rmtree(os.path.join(server.spool, "hold"))


def main(checks):
    need("strace")
    for name in ("postsuper", "postdrop", "sendmail", "postqueue", "mtad"):
        command(name)
    if os.geteuid() != 0:
        raise Skip("needs root")
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "inject=?renameat:signal=KILL:when=1", "true"],
                      capture_output=True).returncode:
        raise Skip("strace may not trace here, or cannot inject")
    directory = new_directory()
    try:
        postsuper(checks, directory)
        submissions(checks, directory)
    finally:
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


run(main)
