"""Our local and virtual deliveries into mbox files and Maildirs beside the reference's: every byte of the stores, who owns
them and how, the log lines, the bounces.

Only what must differ is taken out before comparing (support/mailbox_runs.py). Intended differences are listed in DIFFERENT
with their reason and checked to be exactly that."""
import fcntl
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import accounts
import messages
from checks import run, wait_until
from mailbox_runs import MAILDIR_NAME, log_lines, neutral, report, settled, submit, tree, warnings
from mtad import Mtad
from reference import Reference

LIMIT = 400000
PLAIN = b"From: a@example.test\nTo: b@example.test\nSubject: plain\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <m@x>\n\nhello\n"
HEAD = PLAIN[:PLAIN.index(b"\n\n") + 1]

LOCKS = "-o deliver_lock_attempts=2 -o deliver_lock_delay=1s"
SERVICES = {  # transport → program and options; {here} is the server's directory
    "spool": "local -o mail_spool_directory={here}/mail",
    "group": "local -o mail_spool_directory={here}/group",
    "closed": "local -o mail_spool_directory={here}/closed",
    "linked": "local -o mail_spool_directory={here}/closed -o mailbox_delivery_lock=fcntl",
    "slash": "local -o mail_spool_directory={here}/mail/",
    "hmbox": "local -o home_mailbox=Mailbox",
    "hdeep": "local -o home_mailbox=mail/inbox",
    "hdir": "local -o home_mailbox=Maildir/",
    "hdeepdir": "local -o home_mailbox=deep/er/Maildir/",
    "noorig": "local -o mail_spool_directory={here}/mail -o enable_original_recipient=no",
    "nodt": "local -o mail_spool_directory={here}/mail -o prepend_delivered_header=",
    "nodtdir": "local -o home_mailbox=Maildir/ -o prepend_delivered_header=command",
    "locks": "local -o mail_spool_directory={here}/mail " + LOCKS,
    "flock": "local -o mail_spool_directory={here}/mail -o mailbox_delivery_lock=flock " + LOCKS,
    "dotonly": "local -o mail_spool_directory={here}/mail -o mailbox_delivery_lock=dotlock " + LOCKS,
    "stale": "local -o mail_spool_directory={here}/mail -o stale_lock_time=1s " + LOCKS,
    "anyowner": "local -o mail_spool_directory={here}/mail -o strict_mailbox_ownership=no",
    "virtual": "virtual",
    "vlocks": "virtual " + LOCKS,
    "vdot": "virtual -o virtual_mailbox_lock=dotlock " + LOCKS,
    "vany": "virtual -o strict_mailbox_ownership=no",
    "vnoorig": "virtual -o enable_original_recipient=no",
}


# (transport, case) → what ours does instead, and a word of its warning. No part of ours writes mail as root: in a directory
# that only root may write it appends to mailboxes that exist, and lets mail wait for those that do not.
DIFFERENT = {("closed", "an unwritable spool"): ("4.2.0, status=deferred", "only root may write in")}


class Case:
    def __init__(self, name, through, message=PLAIN, prepare=None, sender="sender@box.test", kind="", extension=""):
        self.name, self.through, self.message = name, through, message
        self.prepare, self.sender, self.kind, self.extension = prepare, sender, kind, extension
        self.virtual = SERVICES.get(through, "virtual").startswith("virtual")


def contents():
    """name → message: what the queue takes from sendmail and may trouble a mailbox writer."""
    made = {name: messages.unix(text) for name, text in messages.made_here().items() if len(text) < LIMIT // 2}
    made.update({
        "From_ everywhere": HEAD + b"\nFrom x\n>From y\nFrom\nFrom:z\n From a\nFROM b\n\nFrom c\n",
        "From_ in the header": HEAD + b"From me\n\nbody\n",
        "From_ after a full record": HEAD + b"\n" + b"x" * 2048 + b"From here\n" + b"y" * 2043 + b"From there\nFrom z\n",
        "unterminated": HEAD + b"\nlast line",
        "unterminated From_": HEAD + b"\nFrom last",
        "no body": HEAD,
        "empty body": HEAD + b"\n",
        "blank lines at the end": HEAD + b"\nx\n\n\n",
        "8 bit and controls": HEAD.replace(b"plain", b"\xe9\xff\x80") + b"\n\xe9\xff\x01\x7f\x1b\x0c\t\r\nx\r\n",
        "a dot": HEAD + b"\n.\n..\n.x\n",
        "own Return-Path": b"Return-Path: <other@x>\nX-Original-To: other@x\n" + HEAD + b"\nx\n",
        "not a header": b"not a header\n" + HEAD + b"\nx\n",
        "NUL": HEAD + b"\na\0b\n\0\n",
    })
    return made


def mode(path, number):
    os.chmod(path, number)


class Place:
    """Where a case's mail goes on one system, for its prepare function."""

    def __init__(self, server, case, name, number, home):
        self.uid, self.home, self.held = number, home, []
        store = server.store if case.virtual else os.path.join(server.directory, "mail")
        self.box = os.path.join(store, name)
        self.linked = os.path.join(server.directory, "closed", name)
        self.outside = os.path.join(server.directory, "outside", name)

    def write(self, path, content=b"old text\n\n", uid=None, bits=0o600):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chown(path, self.uid if uid is None else uid, self.uid)
        os.chmod(path, bits)

    def directory(self, path, bits=0o700, uid=None):
        os.makedirs(path)
        os.chown(path, self.uid if uid is None else uid, self.uid)
        os.chmod(path, bits)

    def hold(self, path, how):
        self.write(path)
        file = open(path, "r+b")
        how(file, fcntl.LOCK_EX)
        self.held.append(file)

    def link(self, path):
        self.write(self.outside)
        os.symlink(self.outside, path)


def common(through, dotlocking, kind):
    """The cases that concern any mbox file, whoever writes it."""
    return [
        Case("an old file", through, prepare=lambda p: p.write(p.box), kind=kind),
        Case("an old file without a last newline", through, prepare=lambda p: p.write(p.box, b"old text"), kind=kind),
        Case("an old file of mode 0644", through, prepare=lambda p: p.write(p.box, bits=0o644), kind=kind),
        Case("an empty file of mode 0660", through, prepare=lambda p: p.write(p.box, b"", bits=0o660), kind=kind),
        Case("a foreign file", through, prepare=lambda p: p.write(p.box, uid=65534), kind=kind),
        Case("a foreign file of mode 0666", through, prepare=lambda p: p.write(p.box, uid=65534, bits=0o666), kind=kind),
        Case("a file of mode 0", through, prepare=lambda p: p.write(p.box, bits=0), kind=kind),
        Case("a symbolic link", through, prepare=lambda p: p.link(p.box), kind=kind),
        Case("a dangling link", through, prepare=lambda p: os.symlink(p.outside, p.box), kind=kind),
        Case("two hard links", through, prepare=lambda p: (p.write(p.outside), os.link(p.outside, p.box)), kind=kind),
        Case("a directory in its place", through, prepare=lambda p: p.directory(p.box), kind=kind),
        Case("a FIFO in its place", through, prepare=lambda p: (os.mkfifo(p.box), os.chown(p.box, p.uid, p.uid)), kind=kind),
        Case("a full file", through, prepare=lambda p: p.write(p.box, b"x" * (LIMIT - 200) + b"\n"), kind=kind),
        Case("a file with just room", through, prepare=lambda p: p.write(p.box, b"x" * (LIMIT - 1400) + b"\n"), kind=kind),
        Case("a file over its limit", through, prepare=lambda p: p.write(p.box, b"x" * LIMIT + b"\n"), kind=kind),
        Case("a dotlock", dotlocking, prepare=lambda p: p.write(p.box + ".lock", b""), kind=kind),
        Case("a fcntl lock", "vlocks" if kind else "locks", prepare=lambda p: p.hold(p.box, fcntl.lockf), kind=kind),
    ]


def senders(through, kind):
    return [Case(f"sender {sender!r}", through, sender=sender, kind=kind)
            for sender in ("", "a b@box.test", "bare", "MiXed@BOX.test", 'x"y@box.test', "a+b@box.test", "-x@box.test")]


def cases():
    out = []
    for name, message in contents().items():
        out.append(Case(f"content {name}", "spool", message))
        out.append(Case(f"content {name}", "hdir", message))
    for name in ("From_ everywhere", "unterminated", "no body", "NUL", "From_ after a full record"):
        out.append(Case(f"content {name}", "virtual", contents()[name], kind="file"))
        out.append(Case(f"content {name}", "virtual", contents()[name], kind="dir"))
    out += common("spool", "locks", "")
    out += common("virtual", "vdot", "file")
    out += senders("spool", "") + senders("virtual", "dir")
    out += [
        Case("a new file", "group"),
        Case("an unwritable spool", "closed"),
        Case("an old file in an unwritable spool", "closed", prepare=lambda p: p.write(p.linked)),
        Case("root's link to a file of the recipient", "linked", prepare=lambda p: p.link(p.linked)),
        Case("a Maildir in the spool", "slash"),
        Case("a file at home", "hmbox"),
        Case("a file in a missing directory", "hdeep"),
        Case("missing directories", "hdeepdir"),
        Case("no X-Original-To", "noorig"),
        Case("no Delivered-To", "nodt"),
        Case("no Delivered-To in a Maildir", "nodtdir"),
        Case("flock", "flock", prepare=lambda p: p.hold(p.box, fcntl.flock)),
        Case("fcntl does not hold flock", "flock", prepare=lambda p: p.hold(p.box, fcntl.lockf)),
        Case("fcntl does not hold a dotlock", "dotonly", prepare=lambda p: p.hold(p.box, fcntl.lockf)),
        Case("a stale dotlock", "stale", prepare=lambda p: p.write(p.box + ".lock", b"")),
        Case("a foreign file that is allowed", "anyowner", prepare=lambda p: p.write(p.box, uid=65534, bits=0o666)),
        Case("home is closed", "hdir", prepare=lambda p: mode(p.home, 0o000)),
        Case("home is read-only", "hdir", prepare=lambda p: mode(p.home, 0o555)),
        Case("Maildir is a link", "hdir", prepare=lambda p: (p.directory(p.outside), os.symlink(p.outside, p.home + "/Maildir"))),
        Case("Maildir is a file", "hdir", prepare=lambda p: p.write(p.home + "/Maildir")),
        Case("new is missing", "hdir", prepare=lambda p: (p.directory(p.home + "/Maildir"), p.directory(p.home + "/Maildir/tmp"))),
        Case("new is read-only", "hdir", prepare=lambda p: [p.directory(p.home + "/Maildir" + one, 0o500 if "new" in one else 0o700)
                                                            for one in ("", "/tmp", "/new", "/cur")]),
        Case("tmp is foreign", "hdir", prepare=lambda p: (p.directory(p.home + "/Maildir"),
                                                          p.directory(p.home + "/Maildir/tmp", uid=65534))),
        Case("an extension", "spool", extension="+Ext"),
        Case("an extension", "virtual", kind="dir", extension="+Ext"),
        Case("a new file", "virtual", kind="file"),
        Case("a deep file", "virtual", kind="deep/file"),
        Case("a deep Maildir", "virtual", kind="deep/dir"),
        Case("no X-Original-To", "vnoorig", kind="dir"),
        Case("a foreign file that is allowed", "vany", kind="file", prepare=lambda p: p.write(p.box, uid=65534, bits=0o666)),
        Case("a Maildir part is a file", "virtual", kind="dir", prepare=lambda p: (p.directory(p.box), p.write(p.box + "/tmp"))),
        Case("nobody's box", "virtual", kind="none"),
        Case("no uid", "virtual", kind="dir nouid"),
        Case("no gid", "virtual", kind="dir nogid"),
        Case("a low uid", "virtual", kind="dir lowuid"),
        Case("a bad uid", "virtual", kind="dir baduid"),
        Case("nobody here", "spool", kind="none"),
    ]
    return out


def write_tables(server, listed, ids):
    tables = {name: [] for name in ("transport", "boxes", "uids", "gids")}
    tables["boxes"].append("sender@box.test back/")
    for (name, case) in listed:
        address = f"{name}@{'box.test' if case.virtual else 'example.test'}"
        tables["transport"].append(f"{address} {case.through}:")
        words = case.kind.split()
        if case.virtual and words[0] != "none":
            folder, _, form = words[0].rpartition("/")
            tables["boxes"].append(f"{address} {folder + '/' if folder else ''}{name}{'/' if form == 'dir' else ''}")
        if case.virtual:
            uid = {"lowuid": "99", "baduid": "12x"}.get(words[-1], str(ids[name]))
            tables["uids"].append("" if words[-1] == "nouid" else f"{address} {uid}")
            tables["gids"].append("" if words[-1] == "nogid" else f"{address} {ids[name]}")
    nobody = "65534"
    tables["uids"].append(f"sender@box.test {nobody}")
    tables["gids"].append(f"sender@box.test {nobody}")
    for name, lines in tables.items():
        with open(os.path.join(server.config, name), "w") as file:
            file.write("\n".join(line for line in lines if line) + "\n")


def parameters():
    return {
        "transport_maps": "texthash:$config_directory/transport",
        "virtual_uid_maps": "texthash:$config_directory/uids",
        "virtual_gid_maps": "texthash:$config_directory/gids",
        "message_size_limit": str(LIMIT), "mailbox_size_limit": str(LIMIT), "virtual_mailbox_limit": str(LIMIT),
        "recipient_delimiter": "+", "smtputf8_enable": "no", "header_size_limit": "200000",
        "default_destination_recipient_limit": "1", "mailbox_command": "", "line_length_limit": "2048",
    }


def deliver_all(kind, listed, ids, homes):
    """Runs the cases on one system; name → what became of it, and the bounces."""
    server = kind(parameters=parameters())
    server.extra_services = "".join(
        f"{name} unix - n n - - {text.format(here=server.directory)}\n" for name, text in SERVICES.items() if name != "virtual")
    seen, holds = {}, []
    server.write_configuration()
    write_tables(server, listed, ids)
    for name, bits, group in (("mail", 0o1777, 0), ("group", 0o2775, 8), ("closed", 0o755, 0), ("outside", 0o777, 0)):
        os.makedirs(os.path.join(server.directory, name))
        os.chown(os.path.join(server.directory, name), 0, group)
        os.chmod(os.path.join(server.directory, name), bits)
    mode(server.store, 0o1777)
    for name, case in listed:
        place = Place(server, case, name, ids[name], os.path.join(homes, name))
        shutil.rmtree(place.home, ignore_errors=True)
        accounts.make_home(homes, name, ids[name])
        if case.prepare:
            case.prepare(place)
        holds += place.held
    time.sleep(2.1)  # the stale lock is older than its limit
    with server:
        sent = {}
        for name, case in listed:
            to = name + case.extension + ("@box.test" if case.virtual else "@example.test")
            sent[name] = submit(server, case.message, to, sender=case.sender)
        missing = [name for name, one in sent.items() if not wait_until(lambda: settled(server, one), 30)]
        if missing:
            raise RuntimeError(f"{kind.__name__}: no result for {missing}\n" + server.log()[-3000:])
        wait_until(lambda: "back" in os.listdir(server.store), 5)
        time.sleep(0.5)
        for name, case in listed:
            parts = [os.path.join(server.directory, folder, name) for folder in ("mail", "group", "closed", "outside", "store", "store/deep")]
            found = tree(parts + [path + ".lock" for path in parts[:1] + parts[4:5]] + [os.path.join(homes, name)], server)
            seen[name] = {"files": {key.replace(homes, "<homes>"): value for key, value in found.items()},
                          "log": [line.replace(homes, "<homes>") for line in log_lines(server, sent[name])]}
        bounces = sorted(report(neutral(text, server).replace(homes, "<homes>")) for text in server.maildir("back"))
        said = sorted(line.replace(homes, "<homes>") for line in warnings(server))
        names = [one for base, _, files in os.walk(server.directory) for one in files if base.endswith("/new")]
    for file in holds:
        file.close()
    return seen, bounces, said, names


def main(checks):
    accounts.enter_namespace()
    homes = tempfile.mkdtemp(prefix="mtad-homes-")
    try:
        mode(homes, 0o755)
        listed = []
        for number, case in enumerate(cases()):
            listed.append((f"{'x' if case.kind == 'none' else 'u'}{number:03d}", case))
        ids = accounts.add([name for name, case in listed if case.kind != "none" or case.virtual], homes)
        ids.update({name: 3999 for name, _ in listed if name not in ids})
        theirs, their_bounces, their_warnings, their_names = deliver_all(Reference, listed, ids, homes)
        ours, our_bounces, our_warnings, our_names = deliver_all(Mtad, listed, ids, homes)
    finally:
        shutil.rmtree(homes, ignore_errors=True)
    equal = 0
    for name, case in listed:
        if (case.through, case.name) in DIFFERENT:
            log, warning = DIFFERENT[case.through, case.name]
            checks.equal((ours[name]["log"][0].split("dsn=")[1].split(" (")[0], [line for line in our_warnings if warning in line] != []),
                         (log, True), f"{case.through}: {case.name}: differs as intended")
            our_warnings = [line for line in our_warnings if warning not in line]
            continue
        for what in ("files", "log"):
            title = f"{case.through}: {case.name}: {what}"
            equal += checks.ok(ours[name][what] == theirs[name][what], title, difference(theirs[name][what], ours[name][what]))
    equal += checks.ok(our_bounces == their_bounces, "the bounces", difference(their_bounces, our_bounces))
    equal += checks.ok(our_warnings == their_warnings, "the warnings", difference(their_warnings, our_warnings))
    for whose, found in (("the reference's", their_names), ("our", our_names)):
        checks.ok(found and all(MAILDIR_NAME.fullmatch(one) for one in found), f"{whose} Maildir names have the known form", found[:3])
    checks.note(f"{equal} of {2 * (len(listed) - len(DIFFERENT)) + 2} comparisons equal")


def difference(theirs, ours):
    if isinstance(theirs, dict):
        return "\n".join(f"{key}:\n  reference {str(theirs.get(key)):.700}\n  ours      {str(ours.get(key)):.700}"
                         for key in sorted({*theirs, *ours}) if theirs.get(key) != ours.get(key))
    only = [f"reference {line!s:.1500}" for line in theirs if line not in ours]
    return "\n".join(only + [f"ours      {line!s:.1500}" for line in ours if line not in theirs] or ["the same lines, another number of times"])


run(main)
