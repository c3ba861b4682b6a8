"""What has happened to the disk by the time a message is acknowledged, or a recipient is given up, seen by strace.

- The queue file has its END record, then its commit mark (mode 0700), then its flush, and only then goes the 250.
- sendmail ends with success only after postdrop has flushed the maildrop file.
- A Maildir delivery flushes the file and the directory new/ before the queue file goes (R1, R3).
With the flush taken away each check must fail, or it proves nothing."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, need, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402

CALLS = ("openat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,write,writev,pwrite64,pwritev,sendto,sendmsg,"
         "fchmod,fchmodat,chmod,fsync,fdatasync,exit_group")


class Event:
    """One system call: when it began and ended (line numbers of the trace), its name, text and result."""

    def __init__(self, began, pid, name, text):
        self.began, self.ended, self.pid, self.name, self.text, self.result = began, None, pid, name, text, ""


def read_trace(path):
    events, unfinished = [], {}
    with open(path, errors="replace") as file:
        for number, line in enumerate(file):
            found = re.match(r"(\d+)\s+(?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))$", line)
            if not found:
                continue
            pid, resumed, rest, name, text = found.groups()
            if resumed:
                event = unfinished.pop(pid, None)
                if event:
                    event.text += rest
                    event.ended = number
            else:
                event = Event(number, pid, name, text)
                events.append(event)
                if "<unfinished ...>" in text:
                    event.text = text.replace("<unfinished ...>", "")
                    unfinished[pid] = event
                    continue
                event.ended = number
            if event:
                event.result = event.text.rsplit(" = ", 1)[-1].strip() if " = " in event.text else ""
    return events


def descriptor_path(event):
    """The file that the first descriptor of the call names (strace -y)."""
    found = re.match(r"-?\d+<([^>]*)>", event.text)
    return found.group(1) if found else ""


def committed_before_reply(events):
    """None when the order is right, else what is wrong."""
    replies = [event for event in events if "2.0.0 Ok: queued as" in event.text and event.name in
               ("write", "writev", "sendto", "sendmsg")]
    replies = [event for event in replies if "socket:" in event.text.split(",", 1)[0] or "TCP" in event.text.split(",", 1)[0]]
    if not replies:
        return "no 250 reply was seen"
    reply = replies[-1]
    mine = [event for event in events if "/incoming/" in descriptor_path(event) and event.began < reply.began]
    writes = [event for event in mine if event.name in ("write", "writev", "pwrite64", "pwritev")]
    marks = [event for event in mine if event.name == "fchmod" and re.search(r", 0?1?7[0-7]{2}\b", event.text)]
    flushes = [event for event in mine if event.name in ("fsync", "fdatasync") and event.result == "0"
               and event.ended is not None and event.ended < reply.began]
    if not writes:
        return "nothing was written to incoming/ before the reply"
    ends = [event for event in writes if re.search(r'E\\0"', event.text)]
    if not ends:
        return "no END record was written before the reply"
    if not marks:
        return "no commit mark before the reply"
    if not flushes:
        return "no flush of the queue file ended before the reply began"
    if not ends[-1].ended < marks[-1].began:
        return "the commit mark came before the END record"
    if not marks[-1].ended < flushes[-1].began:
        return "the flush began before the commit mark was made"
    if any(event.name != "fsync" and event.began > flushes[-1].began for event in writes):
        return "something was written after the flush"
    if not ends[-1].ended < flushes[-1].began:
        return "the flush began before the END record"
    return None


def flushed_before_exit(events):
    drops = [event for event in events if "/maildrop/" in descriptor_path(event)]
    flushes = [event for event in drops if event.name in ("fsync", "fdatasync") and event.result == "0"]
    writes = [event for event in drops if event.name in ("write", "writev")]
    exits = [event for event in events if event.name == "exit_group" and event.text.startswith("0)")]
    if not writes or not flushes:
        return "the maildrop file was not flushed"
    if not exits:
        return "no success exit was seen"
    if not writes[-1].ended < flushes[-1].began:
        return "something was written after the flush"
    last = exits[-1].began
    return None if flushes[-1].ended < last else "success came before the flush"


def stored_before_removal(events, store):
    """The Maildir file and its directory are flushed before the queue file is removed."""
    removals = [event for event in events if event.name in ("unlink", "unlinkat") and
                re.search(r'(active|incoming|deferred)/(?:[0-9A-Fa-f]/)*[0-9A-Za-z]{8,}"', event.text)]
    if not removals:
        return "the queue file was not removed"
    removal = removals[-1]
    flushes = [event for event in events if event.name in ("fsync", "fdatasync") and event.result == "0" and
               event.ended is not None and event.ended < removal.began]
    files = [event for event in flushes if re.search(r"/(tmp|new)/[^/]+$", descriptor_path(event))
             and descriptor_path(event).startswith(store)]
    directories = [event for event in flushes if descriptor_path(event).endswith("/new")
                   and descriptor_path(event).startswith(store)]
    if not files:
        return "the Maildir file was not flushed"
    if not directories:
        return "the directory new/ was not flushed"
    return None if files[-1].began < directories[-1].began else "new/ was flushed before the file"


def trace(parameters=None, preload=None):
    """Sends one message by SMTP and one by sendmail under strace; returns the three verdicts."""
    environment = {"LD_PRELOAD": preload} if preload else {}
    server = Mtad(parameters)
    if preload:
        server.parameters["import_environment"] = f"MAIL_CONFIG TZ LANG=C LD_PRELOAD={preload}"
    path = os.path.join(server.directory, "trace")
    strace = ["strace", "-f", "-y", "-qq", "-s", "20000", "-e", f"trace={CALLS}", "-o"]
    server.write_configuration()
    with_environment = strace + [path] + (["-E", f"LD_PRELOAD={preload}"] if preload else [])
    server.start(wrapper=with_environment, configure=False, seconds=60)
    try:
        with Session(server.port) as session:
            session.send("a@example.test", "box@box.test", b"Subject: order\n\n" + b"a line of text\n" * 50)
            session.quit()
        arrived = wait_until(lambda: server.maildir("box") and server.is_empty(), 30)
        submit = os.path.join(server.directory, "submit")
        done = subprocess.run([*strace, submit, server.command("sendmail"), "-f", "a@example.test", "box@box.test"],
                              input=b"Subject: order\n\ntext\n", capture_output=True,
                              env={**server.environment(), **environment}, timeout=60)
        wait_until(lambda: len(server.maildir("box")) == 2 and server.is_empty(), 30)
        store = server.store
        log = server.log()
    finally:
        # strace is the parent: the daemon is what it started.
        children = server.pids()
        if len(children) > 1:
            os.kill(children[1], 15)
        server.process.wait(20)
        server.stop()
    events = read_trace(path)
    verdicts = (committed_before_reply(events), flushed_before_exit(read_trace(submit)), stored_before_removal(events, store))
    details = (arrived, done.returncode, log, events, store)
    if not os.environ.get("MTAD_TEST_KEEP"):
        server.remove()
    return verdicts, details


def main(checks):
    need("strace", "gcc")
    probe = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    if probe.returncode:
        raise Skip("strace may not trace here")
    (smtp, submitted, stored), (arrived, status, log, events, store) = trace()
    checks.ok(arrived and status == 0, "both messages are accepted and delivered under strace", f"{status}\n{log[-1500:]}")
    checks.ok(smtp is None, "END record, commit mark, flush, then 250", smtp)
    checks.ok(submitted is None, "the maildrop file is flushed before sendmail's success", submitted)
    checks.ok(stored is None, "Maildir file, then new/, flushed before the queue file goes", stored)

    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        source, library = os.path.join(directory, "no_flush.c"), os.path.join(directory, "no_flush.so")
        with open(source, "w") as file:
            file.write("int fsync(int fd) { (void)fd; return 0; }\nint fdatasync(int fd) { (void)fd; return 0; }\n")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        (smtp, submitted, _), _ = trace(preload=library)
        checks.ok(smtp is not None, "without the flush the check of the 250 fails", smtp)
        checks.ok(submitted is not None, "without the flush the check of sendmail fails", submitted)
    # The process that writes to a mailbox takes nothing from the environment, so here the trace is what is changed.
    for what, kept in (("the file", r"/new$"), ("the directory", r"/[^/]+$(?<!/new)")):
        altered = [event for event in events if event.name not in ("fsync", "fdatasync") or not
                   descriptor_path(event).startswith(store) or re.search(kept, descriptor_path(event))]
        checks.ok(stored_before_removal(altered, store) is not None, f"without the flush of {what} the check of the Maildir fails")


run(main)
