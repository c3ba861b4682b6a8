"""Asks tables of both sides the same questions: what a test of table types shares."""
import concurrent.futures
import os
import signal
import subprocess
import threading
import time

from checks import build_root, command
from reference import library_path, reference_root, tool
from server import new_directory

MODULES = ("ldap", "mysql", "pgsql", "sqlite", "pcre", "lmdb", "cdb")


def grown_old(path):
    """The reference reads a file again and again while it is younger than a second."""
    then = time.time() - 100
    os.utime(path, (then, then))


class Session:
    """A table that stays open in a program of its own (tests/table/table_session.cpp)."""

    def __init__(self, config, table):
        path = os.path.join(build_root(), "tests", "table", "table_session")
        self.process = subprocess.Popen([path, config, table], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.opened = self.process.stdout.readline().decode(errors="replace").rstrip("\n")

    def ask(self, key):
        """("found", value), ("absent", b"") or ("temporary" | "permanent", text)."""
        if isinstance(key, str):
            key = key.encode()
        self.process.stdin.write(key.hex().encode() + b"\n")
        self.process.stdin.flush()
        word, _, rest = self.process.stdout.readline().rstrip(b"\n").partition(b" ")
        return word.decode(), bytes.fromhex(rest.decode()) if word == b"found" else rest

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        self.errors = self.process.stderr.read().decode(errors="replace")
        self.process.stderr.close()


def stays_right(checks, kind, session, server, known, unknown, forgets=None):
    """Asks one table without a pause while its server is killed, stopped and frozen, each time brought back; known is a pair
    of key and value. forgets() fills a server again that keeps nothing: until then a known key may be absent."""
    trouble = []

    def disturb():
        try:
            for leave, back in ((server.kill, server.start), (server.stop, server.start),
                                (lambda: server.process.send_signal(signal.SIGSTOP), lambda: server.process.send_signal(signal.SIGCONT))):
                time.sleep(0.3)
                leave()
                time.sleep(0.7)
                back()
                if forgets:
                    forgets()
        except Exception as reason:  # a thread's end is nobody's failure otherwise
            trouble.append(repr(reason))
    thread = threading.Thread(target=disturb)
    thread.start()
    counts = {"found": 0, "absent": 0, "temporary": 0}
    wrong = []
    asked_after = None
    while asked_after is None or asked_after > time.monotonic():
        for key, right in ((known[0], ("found", known[1])), (unknown, ("absent", b""))):
            seen = session.ask(key)
            counts[seen[0]] = counts.get(seen[0], 0) + 1
            if seen != right and seen[0] != "temporary" and not (forgets and seen == ("absent", b"")):
                wrong.append((key, seen))
            if asked_after and key == known[0] and seen == right:
                asked_after = 0
        if asked_after is None and not thread.is_alive():
            asked_after = time.monotonic() + 10
    thread.join()
    checks.ok(not wrong and not trouble and asked_after == 0 and counts["temporary"] > 0,
              f"{kind}: {sum(counts.values())} questions to a server that dies, stops and hangs: {counts['temporary']} are asked again "
              f"later, none is answered wrongly, and it is asked again when it is back", f"{counts} {wrong[:3]} {trouble}")


class Tables:
    """A private configuration for both sides, and postmap of each."""

    def __init__(self, parameters=""):
        self.directory = new_directory()
        self.config = os.path.join(self.directory, "etc")
        os.makedirs(self.config)
        root = reference_root()
        with open(os.path.join(self.config, "dynamicmaps.cf"), "w") as file:
            for kind in MODULES:
                if os.path.exists(f"{root}/usr/lib/postfix/postfix-{kind}.so"):
                    maker = f"\tmkmap_{kind}_open" if kind in ("cdb", "lmdb") else ""
                    file.write(f"{kind}\tpostfix-{kind}.so\tdict_{kind}_open{maker}\n")
        open(os.path.join(self.config, "postfix-files"), "w").close()
        open(os.path.join(self.config, "master.cf"), "w").close()
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            file.write(f"compatibility_level = 3.6\nmyhostname = mx.test\nmail_owner = daemon\nsetgid_group = operator\n"
                       f"queue_directory = {self.directory}\ndata_directory = {self.directory}\n"
                       f"shlib_directory = {root}/usr/lib/postfix\nmeta_directory = {self.config}\n"
                       f"maillog_file = {self.directory}/maillog\nmaillog_file_prefixes = /tmp, /var\n{parameters}")
        grown_old(os.path.join(self.config, "main.cf"))
        self.pool = concurrent.futures.ThreadPoolExecutor(8)  # the reference waits a second when it fails
        self.runs = []
        self.files = 0

    def add_parameters(self, text):
        with open(os.path.join(self.config, "main.cf"), "a") as file:
            file.write(text)
        grown_old(os.path.join(self.config, "main.cf"))

    def write(self, name, text):
        """A file of its own each time; name ends its name."""
        self.files += 1
        path = os.path.join(self.directory, f"{self.files}-{name}")
        with open(path, "w") as file:
            file.write(text)
        grown_old(path)
        return path

    def run(self, side, which, words, data=b"", directory=None, config=None):
        """A command of one side; side 0 is the reference's, 1 is ours."""
        program, environment = self.command_of(side, which)
        environment["MAIL_CONFIG"] = config or self.config
        # newaliases and mailq are names of sendmail.
        return subprocess.run([which, *words], executable=program, input=data, capture_output=True, env=environment, timeout=120,
                              cwd=directory)

    def start(self, side, which, words):
        """The same without waiting for its end."""
        program, environment = self.command_of(side, which)
        return subprocess.Popen([program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)

    def command_of(self, side, which):
        environment = {"MAIL_CONFIG": self.config, "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1"}
        if side == 0:
            environment["LD_LIBRARY_PATH"] = library_path()
        return tool(which) if side == 0 else command(which), environment

    def postmap(self, side, words, data=b""):
        return self.run(side, "postmap", words, data)

    def compare(self, label, table, keys, one_by_one=False):
        """The same keys to both sides, while the caller goes on; report() waits. A run is a comparison of all its keys."""
        keys = [key.encode() if isinstance(key, str) else key for key in keys]
        runs = [[["-q", key, table], b"", 1] for key in keys] if one_by_one else \
            [[["-q", "-", table], b"".join(key + b"\n" for key in keys), len(keys)]]
        for words, data, weight in runs:
            self.runs.append((label, words, weight, [self.pool.submit(self.postmap, side, words, data) for side in (0, 1)]))

    def report(self, checks, sentence):
        equal = total = 0
        different = []
        for label, words, weight, sides in self.runs:
            theirs, ours = (side.result() for side in sides)
            total += weight
            if (theirs.returncode, theirs.stdout) == (ours.returncode, ours.stdout):
                equal += weight
            else:
                different.append(f"{label}: {words}\nreference {theirs.returncode} {theirs.stdout!r:.600} "
                                 f"{theirs.stderr!r:.600}\nours {ours.returncode} {ours.stdout!r:.600} {ours.stderr!r:.600}")
        checks.ok(total and equal == total, f"{sentence}: {equal}/{total} equal", "\n".join(different))
        self.runs = []
