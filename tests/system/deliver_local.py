"""Local delivery by a running daemon: helpers are their users and nobody else, a killed spawner or helper and a full disk lose
and repeat nothing, homes may be missing, and a daemon of an ordinary user serves that user."""
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import accounts
from checks import run, wait_until
from mailbox_runs import settled, submit
from mtad import Mtad

USERS = ("ann", "bob", "cyd", "dan", "eve", "full", "homeless", "plain")
# A killed helper leaves its dotlock.
LOCKS = {"deliver_lock_attempts": "20", "deliver_lock_delay": "1s", "stale_lock_time": "3s"}


def message(text, size=0):
    return b"Subject: " + text.encode() + b"\n\n" + text.encode() + b"\n" + b"x" * 63 * (size > 0) + (b"\n" + b"y" * 63) * (size // 64) + b"\n"


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def subjects(path):
    return sorted(re.findall(rb"(?m)^Subject: (.*)$", read(path)))


def processes(server, word):
    """pids of the server's processes whose command line has that word."""
    found = []
    for pid in server.pids():
        try:
            if word.encode() in read(f"/proc/{pid}/cmdline"):
                found.append(pid)
        except OSError:
            pass
    return found


def status_of(pid):
    fields = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").decode().splitlines() if ":" in line)
    return fields["Uid"].split(), fields["Gid"].split(), fields["Groups"].split()


def identity(checks, server, homes, ids):
    """A helper that waits for a lock is looked at."""
    path = os.path.join(homes, "ann", "Mailbox")
    with open(path, "w") as held:
        os.chown(path, ids["ann"], ids["ann"])
        os.chmod(path, 0o600)
        fcntl.lockf(held, fcntl.LOCK_EX)
        queue_id = submit(server, message("locked"), "ann")
        helpers = wait_until(lambda: processes(server, "--delivery-helper"), 10)
        if checks.ok(len(helpers) == 1, "one helper waits for the lock", helpers):
            uid = str(ids["ann"])
            checks.equal(status_of(helpers[0]), ([uid] * 4, [uid] * 4, [uid]),
                         "its user and group ids are the account's, all four, and it is in no other group")
            names = [os.readlink(f"/proc/{helpers[0]}/fd/{one}") for one in os.listdir(f"/proc/{helpers[0]}/fd")]
            checks.equal({os.path.basename(one) for one in names if one.startswith("/")}, {"Mailbox", queue_id, "null"},
                         "it has the mailbox and the message open, and no other file")
        checks.ok(not settled(server, queue_id), "the mail waits while the lock is held")
    checks.ok(wait_until(lambda: settled(server, queue_id), 10) and subjects(path) == [b"locked"],
              "the mail is delivered when the lock is gone")


def levels(checks, server, homes):
    queue_id = submit(server, message("levels"), "top")
    wait_until(lambda: settled(server, queue_id, 2), 10)
    checks.equal([subjects(os.path.join(homes, user, "Mailbox")) for user in ("bob", "cyd")], [[b"levels"]] * 2,
                 "two levels of aliases end in two mailboxes, once each")


def many_wait(checks, server, homes):
    """Forty files that somebody holds locked."""
    directory = os.path.join(homes, "held")
    os.mkdir(directory)
    os.chmod(directory, 0o777)
    held = []
    for number in range(40):
        path = os.path.join(directory, f"f{number}")
        held.append(open(path, "w"))
        os.chmod(path, 0o666)
        fcntl.lockf(held[-1], fcntl.LOCK_EX)
    waiting = submit(server, message("held"), *[f"held{number}" for number in range(40)])
    checks.ok(wait_until(lambda: len(processes(server, "--delivery-helper")) >= 40, 15), "forty deliveries wait for locks",
              len(processes(server, "--delivery-helper")))
    other = submit(server, message("passing"), "bob")
    checks.ok(wait_until(lambda: settled(server, other), 5), "another user's mail passes them by")
    for one in held:
        one.close()
    checks.ok(wait_until(lambda: settled(server, waiting, 40), 30), "and they are done when the locks are gone")
    checks.equal([subjects(os.path.join(directory, f"f{number}")) for number in range(40)], [[b"held"]] * 40, "once each")


def hostile_lists(checks, server, homes, ids):
    """One user's files cost him his own mail at most."""
    home = os.path.join(homes, "eve")

    def own(name, text):
        path = os.path.join(home, name)
        with open(path, "w") as file:
            file.write(text)
        os.chown(path, ids["eve"], ids["eve"])
    for number in range(264):
        own(f"bad{number}", "".join(f"a..{number}.{line}@b..c\n" for line in range(190)))
    own(".forward", "".join(f":include:{home}/bad{number}\n" for number in range(264)))
    queue_id = submit(server, message("many"), "eve")
    checks.ok(wait_until(lambda: f"{queue_id}: removed" in server.log() or f"{queue_id}: to=" in server.log(), 30), "50,000 bad addresses end",
              server.log()[-500:])
    for number in range(5000):
        own(f"deep{number}", f":include:{home}/deep{number + 1}\n")
    own(".forward", f":include:{home}/deep0\n")
    deep = submit(server, message("deep"), "eve")
    checks.ok(wait_until(lambda: re.search(f"{deep}: to=.*alias database loop", server.log()), 20), "5000 nested lists are a loop",
              server.log()[-500:])
    checks.ok(len(server.log()) < 3000000 and "killed by signal" not in server.log(), "the log is of a size, and no worker died",
              len(server.log()))
    os.unlink(os.path.join(home, ".forward"))
    other = submit(server, message("after"), "bob")
    checks.ok(wait_until(lambda: settled(server, other), 10), "and others' mail is delivered")


def command(checks, server, homes):
    queue_id = submit(server, message("piped"), "piped")
    wait_until(lambda: settled(server, queue_id, 2), 10)
    lines = [line for line in server.log().splitlines() if f"{queue_id}: to=" in line]
    checks.ok(any("delivered to command: /bin/cat" in line for line in lines) and b"piped" in subjects(os.path.join(homes, "bob", "Mailbox")),
              "a list of a mailbox and a command serves both", lines)


def killed(checks, server, homes):
    """The spawner and the helpers die again and again while mail flows."""
    count, kills = 40, 0
    for number in range(count):
        done = server.sendmail(message(f"k{number:02d}"), "dan", "eve")
        if done.returncode:
            raise RuntimeError(done.stderr)
        if number % 4 == 1:
            for pid in processes(server, "--spawner" if number % 8 == 1 else "--delivery-helper"):
                os.kill(pid, signal.SIGKILL)
                kills += 1
    checks.ok(kills >= 5, f"{kills} processes were killed")
    checks.ok(wait_until(lambda: len(processes(server, "--spawner")) == 1, 10), "a spawner runs again")

    def all_done():
        server.run("postqueue", "-f")
        return server.is_empty()
    checks.ok(wait_until(all_done, 40, 0.5), "the queue is empty in the end", server.log()[-1500:])
    expected = sorted(f"k{number:02d}".encode() for number in range(count))
    for user in ("dan", "eve"):
        seen = [one for one in subjects(os.path.join(homes, user, "Mailbox")) if one.startswith(b"k")]
        checks.equal(sorted(set(seen)), expected, f"{user} has each of {count} messages")
        checks.ok(len(seen) <= count + kills, f"{user}: at most the deliveries in flight were repeated ({len(seen) - count})")
    checks.ok("(spawner) killed by signal 9" in server.log(), "the log says that the spawner was killed")


def full_disk(checks, server, homes, ids):
    home = os.path.join(homes, "full")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=256k,uid={ids['full']},gid={ids['full']},mode=755", "none", home], check=True)
    path = os.path.join(home, "Mailbox")
    first = submit(server, message("small"), "full")
    wait_until(lambda: settled(server, first), 10)
    before = read(path)
    second = submit(server, message("large", 400000), "full")
    wait_until(lambda: settled(server, second), 10)
    line = next((one for one in server.log().splitlines() if f"{second}: to=" in one), "")
    checks.ok("status=deferred" in line and "No space left on device" in line, "a full disk defers", line)
    checks.ok(before and read(path) == before, "the mailbox is what it was", (len(before), len(read(path))))
    subprocess.run(["mount", "-o", "remount,size=4m", home], check=True)
    server.run("postqueue", "-f")
    checks.ok(wait_until(lambda: f"{second}: removed" in server.log(), 20), "with room again it is delivered")
    checks.equal(subjects(path), [b"large", b"small"], "both messages are there once")
    subprocess.run(["umount", home], check=True)


def no_home(checks, server, homes):
    queue_id = submit(server, message("nowhere"), "homeless")
    wait_until(lambda: settled(server, queue_id), 10)
    line = next((one for one in server.log().splitlines() if f"{queue_id}: to=" in one), "")
    checks.ok("dsn=5.2.0, status=bounced" in line and "No such file or directory" in line, "a mailbox in a missing home bounces", line)
    checks.ok(not os.path.exists(os.path.join(homes, "homeless")), "no home is made")


def plain_user(checks):
    """The part that a second process runs as an ordinary user."""
    home = os.path.expanduser("~plain")
    with Mtad(parameters={"home_mailbox": "Mailbox", "mydestination": "example.test, localhost"}) as server:
        mine, other = submit(server, message("mine"), "plain"), submit(server, message("other"), "ann")
        wait_until(lambda: settled(server, mine) and settled(server, other), 15)
        checks.equal(subjects(os.path.join(home, "Mailbox")), [b"mine"], "a daemon of an ordinary user delivers his mail")
        found = os.stat(os.path.join(home, "Mailbox"))
        checks.equal((found.st_uid, found.st_mode & 0o777), (os.geteuid(), 0o600), "the mailbox is his alone")
        line = next((one for one in server.log().splitlines() if f"{other}: to=" in one), "")
        checks.ok("status=deferred" in line and "cannot deliver as uid" in line, "another's mail waits, and the log says why", line)
        checks.ok(not processes(server, "--spawner"), "there is no spawner")


def run_as(number, directory):
    """This script's other part, as that user, with copies of what he needs: the clone may be in a place that is not his."""
    here = os.path.dirname(os.path.abspath(__file__))
    for name, source in (("support", os.path.join(here, "..", "support")), ("build/bin", os.path.join(os.environ["MTAD_BUILD"], "bin"))):
        shutil.copytree(source, os.path.join(directory, "copy", name), ignore=shutil.ignore_patterns("*.p", "__pycache__"))
    script = shutil.copy(os.path.abspath(__file__), os.path.join(directory, "copy"))
    environment = dict(os.environ, MTAD_BUILD=os.path.join(directory, "copy", "build"), PYTHONPATH=os.path.join(directory, "copy", "support"))
    return subprocess.run(["/usr/bin/python3", "-B", script, "--plain"], user=number, group=number, extra_groups=[], env=environment,
                          capture_output=True, text=True, timeout=90, cwd="/")


def main(checks):
    accounts.enter_namespace()
    homes = tempfile.mkdtemp(prefix="mtad-homes-")
    try:
        os.chmod(homes, 0o755)
        ids = accounts.add(USERS, homes, homeless=("homeless",), members={"club": ["ann"]})
        parameters = {"home_mailbox": "Mailbox", "minimal_backoff_time": "1s", "queue_run_delay": "2s", **LOCKS,
                      "alias_maps": "inline:{{top=middle,bob}, {middle=bob,cyd}, {piped=bob,|/bin/cat}, %s}"
                      % ", ".join(f"{{held{number}={homes}/held/f{number}}}" for number in range(40))}
        with Mtad(parameters=parameters) as server:
            identity(checks, server, homes, ids)
            levels(checks, server, homes)
            many_wait(checks, server, homes)
            hostile_lists(checks, server, homes, ids)
            command(checks, server, homes)
            no_home(checks, server, homes)
            full_disk(checks, server, homes, ids)
            killed(checks, server, homes)
        done = run_as(ids["plain"], homes)
        for line in done.stdout.splitlines():
            if line.startswith(("ok - ", "not ok - ")):
                checks.ok(line.startswith("ok"), line.split(" - ", 1)[1], done.stdout[-1500:] + done.stderr[-500:])
        checks.ok(done.returncode == 0, "the ordinary user's part ran to its end", done.stdout[-1500:] + done.stderr[-1500:])
    finally:
        subprocess.run(["umount", os.path.join(homes, "full")], capture_output=True)
        shutil.rmtree(homes, ignore_errors=True)


run(plain_user if sys.argv[1:] == ["--plain"] else main)
