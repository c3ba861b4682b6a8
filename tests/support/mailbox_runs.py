"""Runs delivery cases on a mail system, ours or the reference, and reports what became of them in a form that can be
compared: dates, queue IDs, ports, process numbers and Maildir file names are replaced by their kind."""
import os
import re
import stat

from checks import wait_until

MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
# The forms of names in new/ and tmp/: seconds, device, inode, microseconds, host; nothing else is a Maildir name.
MAILDIR_NAME = re.compile(r"\d{10}\.V[0-9a-f]+I[0-9a-f]+M\d{1,6}\.[\w.-]+")

_TEXT = [
    (rf"(?:{DAYS}), {{1,2}}\d{{1,2}} (?:{MONTHS}) \d{{4}} \d\d:\d\d:\d\d [+-]\d{{4}} \([A-Z]+\)", "<date>"),
    (rf"(?:{DAYS}) (?:{MONTHS}) [ \d]\d \d\d:\d\d:\d\d \d{{4}}", "<ctime>"),
    (r"(id|as|ID) [0-9A-F]{6,}\b", r"\1 <id>"),
    (r"queue id: [0-9A-F]{6,}", "queue id: <id>"),
    (r"X-Postfix-Queue-ID: [0-9A-F]{6,}", "X-Postfix-Queue-ID: <id>"),
    (r"<\d{14}\.[0-9A-F]{6,}@", "<<message>@"),
    (r"[0-9A-F]{6,}\.\d{9,}/", "<boundary>/"),
    (r"userid \d+\)", "userid <uid>)"),
    (r"\d{10}\.P\d+(?:Q\d+)?\.[\w.-]+", "<tmp name>"),
    (MAILDIR_NAME.pattern, "<maildir name>"),
    (r"temporary failure\. Command output: (.*)", r"temporary failure. Command output: \1"),
]


def neutral(text, server):
    """text (bytes or str) without what differs from run to run and from place to place."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    found = raw.decode("latin-1").replace(server.directory, "<here>")
    for pattern, kind in _TEXT:
        found = re.sub(pattern, kind, found)
    return found


def details(path, server):
    """type, mode, owner, group, links and what is in it."""
    found = os.lstat(path)
    kind = stat.filemode(found.st_mode)
    out = [kind, found.st_uid, found.st_gid]
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            content = file.read()
        out += [found.st_nlink, neutral(content, server)]
    elif stat.S_ISLNK(found.st_mode):
        out.append(neutral(os.readlink(path), server))
    return tuple(out)


def tree(paths, server):
    """neutral name → details of everything at and below paths. Maildir names keep their order only."""
    seen = {}
    for top in paths:
        if not os.path.lexists(top):
            continue
        todo = [top]
        while todo:
            path = todo.pop(0)
            name = neutral(path, server)
            while name in seen:
                name += "+"
            seen[name] = details(path, server)
            if os.path.isdir(path) and not os.path.islink(path):
                todo += sorted((os.path.join(path, one) for one in os.listdir(path)),
                               key=lambda one: (neutral(one, server), one))
    return seen


_LOG = re.compile(r"^.*? postfix/([\w/-]+)\[\d+\]: (.*)$")
_DELAYS = re.compile(r" delay=[\d.]+, delays=[\d./]+,")


def log_lines(server, queue_id):
    """The delivery lines of a message: 'service: text' without times."""
    out = []
    for line in server.log().splitlines():
        found = _LOG.match(line)
        if found and found.group(2).startswith(queue_id + ": to="):
            out.append(found.group(1) + ": " + neutral(_DELAYS.sub("", found.group(2))[len(queue_id) + 2:], server))
    return sorted(out)


def warnings(server, services=("local", "virtual")):
    out = []
    for line in server.log().splitlines():
        found = _LOG.match(line)
        if found and found.group(1) in services and re.match("(warning|error|fatal|panic): ", found.group(2)):
            text = re.sub(r"^((?:warning|error): )(?:[0-9A-F]{6,}: )?", r"\1", found.group(2))
            out.append(found.group(1) + ": " + neutral(text, server))
    return out


def report(bounce):
    """What a bounce says of its recipient, to people and to programs. The sentences around it are each system's own."""
    text = " ".join(bounce.split())
    told = re.search(r"(<[^<>]*@[^<>]*>(?: \(.*?\))?: .*?) --<boundary>", text)
    fields = re.search(r"(Original-Recipient: .*?) --<boundary>", text)
    return (told.group(1) if told else text, fields.group(1) if fields else text)


def submit(server, message, *recipients, sender="sender@example.test", options=()):
    """Hands the message to sendmail; returns its queue ID once it is known. Raises when it was not taken."""
    before = set(queued(server))
    done = server.run("sendmail", "-f", sender, "-i", *options, *recipients, input=message)
    if done.returncode:
        raise RuntimeError("sendmail: " + done.stderr.decode(errors="replace"))
    found = wait_until(lambda: [one for one in queued(server) if one not in before], 20)
    if not found:
        raise RuntimeError("not picked up: " + server.log()[-1000:])
    return found[0]


def queued(server):
    """The IDs of all messages that the queue has seen active, in order."""
    out = []
    for line in server.log().splitlines():
        found = re.search(r"postfix/pickup\[\d+\]: ([0-9A-F]+): uid=", line)
        if found:
            out.append(found.group(1))
    return out


def settled(server, queue_id, count=1):
    """The message has that many delivery lines, and is gone or waits."""
    lines = server.log().splitlines()
    mine = [line for line in lines if f": {queue_id}: " in line]
    if sum(": to=" in line for line in mine) < count:
        return False
    return mine[-1].endswith(": removed") or any("status=deferred" in line for line in mine)
