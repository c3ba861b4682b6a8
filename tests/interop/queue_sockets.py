"""The sockets of queue commands in both directions: our postqueue, postkick and postsuper beside a running reference, and the
reference's beside a running mtad; and the bytes that pass."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import checks as harness  # noqa: E402
from checks import Skip, command, project_root, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference, library_path, tool  # noqa: E402

GOLDEN = os.path.join(project_root(), "testdata", "queue")
LATER = 4000000000
PARAMETERS = {"queue_run_delay": "3600s", "minimal_backoff_time": "3600s", "maximal_backoff_time": "7200s",
              "default_transport": "smtp:[127.0.0.1]:1", "fast_flush_domains": "far.test, hold.test", "relay_domains": ""}
FILES = [("1F4B6A72449", "smtp_dsn"), ("E097CA72444", "sixty_recipients"), ("D3257A72436", "sendmail_dsn_extracted"),
         ("DB8F0A7243F", "verp"), ("AC8BFA723CA", "bounce")]
tally = [0, 0]


def fill(system):
    """Deferred mail that is not due for a long time."""
    for name, source in FILES:
        for queue, data, mode in (("deferred", source, 0o700), ("defer", source + ".defer", 0o600)):
            if not os.path.exists(os.path.join(GOLDEN, data)):
                continue
            folder = os.path.join(system.spool, queue, name[0])
            os.makedirs(folder, exist_ok=True)
            place = os.path.join(folder, name)
            shutil.copyfile(os.path.join(GOLDEN, data), place + ".new")
            os.chmod(place + ".new", mode)
            for path in (folder, place + ".new"):
                shutil.chown(path, "daemon")
            os.utime(place + ".new", (LATER, LATER))
            os.rename(place + ".new", place)


def run(system, theirs, name, *words):
    environment = {"MAIL_CONFIG": system.config, "PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C", "MTAD_NO_FATAL_DELAY": "1"}
    if theirs:
        environment["LD_LIBRARY_PATH"] = library_path()
    return subprocess.run([tool(name) if theirs else command(name), *words], capture_output=True, timeout=60, env=environment)


def talk(system, path, request, until):
    """What a server says to the request."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(os.path.join(system.spool, path))
        seen = b""
        if request:
            while not seen.endswith(b"\0\0"):
                seen += peer.recv(65536)
            peer.sendall(request)
        while not until(seen):
            more = peer.recv(65536)
            if not more:
                break
            seen += more
    return seen


def attributes(*words):
    return b"".join(word.encode() + b"\0" for word in words) + b"\0"


def same(checks, sentence, one, two):
    tally[1] += 1
    tally[0] += checks.equal(one, two, sentence)


def said(done):
    text = re.sub(r"^\S*/?(postqueue|postkick|postsuper): ", r"\1: ", done.stderr.decode(errors="replace"), flags=re.M)
    return done.returncode, done.stdout, text


def places(system):
    """Where each message lies, and whether it is due."""
    found = {}
    for queue, path in system.queue_files():
        name = os.path.basename(path)
        try:
            found[name] = (queue, os.stat(path).st_mtime > time.time())
        except FileNotFoundError:
            pass
    return found


def attempts(system):
    return system.log().count("status=deferred")


def commands(checks, system, label):
    """Both sides' commands on one running system: the same output, the same effect."""
    for option in ("-p", "-j"):
        same(checks, f"{label}: postqueue {option}", said(run(system, False, "postqueue", option)),
             said(run(system, True, "postqueue", option)))
    for words in (["-i", "NOSUCH123"], ["-i", "a/b"], ["-s", "1.2.3.4"], ["-s", "elsewhere.test"], ["-s", "[1.2.3.4]"], ["-s", ""],
                  ["-s", "far.test"]):
        same(checks, f"{label}: postqueue {' '.join(words)}", said(run(system, False, "postqueue", *words)),
             said(run(system, True, "postqueue", *words)))
    effects = []
    for theirs in (False, True):
        fill(system)
        before = attempts(system)
        done = run(system, theirs, "postqueue", "-i", "D3257A72436")
        tried = wait_until(lambda: attempts(system) > before and "D3257A72436" in system.log(), 15)
        wait_until(lambda: places(system).get("D3257A72436") == ("deferred", True), 10)
        others = {name: place for name, place in places(system).items() if name != "D3257A72436"}
        effects.append((said(done), bool(tried), others))
    same(checks, f"{label}: postqueue -i tries that message and no other", *effects)
    effects = []
    for theirs in (False, True):
        fill(system)
        before = system.log()
        done = run(system, theirs, "postqueue", "-f")
        names = [name for name, source in FILES]
        tried = wait_until(lambda: all(f"{name}: to=" in system.log()[len(before):] for name in names), 20)
        wait_until(lambda: all(places(system).get(name, ("", 0))[0] == "deferred" for name in names), 10)
        effects.append((said(done), bool(tried)))
    same(checks, f"{label}: postqueue -f tries every message", *effects)
    checks.equal(effects[0][1], True, f"{label}: and they were tried")
    for words in (["public", "qmgr", "W"], ["public", "pickup", "W"], ["public", "nosuch", "W"]):
        ours, theirs = (run(system, whose, "postkick", *words).returncode for whose in (False, True))
        # The reference's dies when a service hangs up before it has written all: what it wrote was read.
        same(checks, f"{label}: postkick {' '.join(words)}", ours, 0 if theirs == -signal.SIGPIPE else theirs)
    # Files that go away and change place under the running system.
    fill(system)
    for option, queue in (("-h", "hold"), ("-H", "deferred")):
        for theirs in (False, True):
            name = FILES[2 + theirs][0]
            done = run(system, theirs, "postsuper", option, name)
            checks.ok(places(system).get(name, ("",))[0] == queue, f"{label}: {'their' if theirs else 'our'} postsuper {option}",
                      done.stderr)
    run(system, True, "postsuper", "-d", FILES[2][0])
    run(system, False, "postsuper", "-d", FILES[3][0])
    checks.ok(not {FILES[2][0], FILES[3][0]} & set(places(system)), f"{label}: postsuper -d of both removes for good")


def protocols(checks, systems):
    """The same bytes to both servers."""
    requests = [("showq", "public/showq", b"", lambda seen: False),  # to its end
                ("flush, an unknown site", "public/flush", attributes("request", "send_site", "site", "nosuch.test"), None),
                ("flush, a bad name", "public/flush", attributes("request", "send_file", "queue_id", "a/b"), None),
                ("flush, an unknown ID", "public/flush", attributes("request", "send_file", "queue_id", "ABCDEF12345"), None),
                ("flush, no eligible site", "public/flush", attributes("request", "add", "site", "nosuch.test", "queue_id", "ABCD123"), None),
                ("flush, an eligible site", "public/flush", attributes("request", "add", "site", "far.test", "queue_id", "ABCD123"), None),
                ("flush, refresh", "public/flush", attributes("request", "rfrsh"), None),
                ("flush, purge", "public/flush", attributes("request", "purge"), None)]
    for name, path, request, until in requests:
        until = until or (lambda seen: seen.count(b"status\0") and seen.endswith(b"\0\0"))
        seen = [talk(system, path, request, until) for system in systems]
        if name == "showq":  # messages in the order of a directory, which is each its own
            seen = [sorted(one.split(b"queue_name\0")) for one in seen]
        same(checks, f"the socket of {name}", *seen)
    # The reference hangs up on a request that it does not know.
    seen = talk(systems[0], "public/flush", attributes("request", "bogus"), lambda seen: seen.count(b"status\0"))
    checks.ok(seen.endswith(b"status\x003\0\0"), "the socket of flush: an unknown request is a bad one", seen)


def main(checks):
    if os.geteuid() != 0:
        raise Skip("needs root")
    command("mtad")
    with Reference(PARAMETERS) as theirs, Mtad(PARAMETERS) as ours:
        for system in (theirs, ours):
            fill(system)
        protocols(checks, (ours, theirs))
        commands(checks, theirs, "beside the reference")
        commands(checks, ours, "beside mtad")
    checks.note(f"{tally[0]} of {tally[1]} equal")


harness.run(main)
