"""Aliases, :include: files, .forward files and the mailboxes at their ends, beside the reference's local(8): what lies where,
who owns it, which lines the log has, what bounces say.

Each case has its own accounts: "@" in its texts is the case's number, so that all cases run on one system at a time."""
import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import accounts
from checks import run, wait_until
from mailbox_runs import neutral, report, submit, tree, warnings
from mtad import Mtad
from reference import Reference

HEAD = b"From: a@example.test\nTo: b@example.test\nSubject: x\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <m@x>\n"
ORDINARY, EXPAND, RESET, RELAY, FILES = "local", "expand", "reset", "relayed", "files"
SERVICES = """\
expand unix - n n - - local -o expand_owner_alias=yes
reset unix - n n - - local -o reset_owner_alias=yes
relayed unix - n n - - local -o luser_relay=v000+$local
files unix - n n - - local -o allow_mail_to_files=alias,forward,include
"""


class Case:
    def __init__(self, name, aliases="", to="a@", files=None, modes=None, owners=None, header=b"", through=ORDINARY, after=None,
                 differs=""):
        self.name, self.aliases, self.to, self.files = name, aliases, to, files or {}
        self.modes, self.owners, self.header, self.through, self.after = modes or {}, owners or {}, header, through, after
        self.differs = differs  # intended: "why: what our log says"


def forward(name, text, to="u@", mode=0o644, modes=(), **others):
    return Case(f".forward: {name}", to=to, files={"~/.forward": text}, modes={"~/.forward": mode, **dict(modes)}, **others)


def include(name, text, mode=0o644, **others):
    return Case(f":include: {name}", "a@: :include:!/i", files={"!/i": text}, modes={"!/i": mode}, **others)


CASES = [
    Case("three levels", "a@: b@, u@\nb@: c@\nc@: v@"),
    Case("an address twice", "a@: u@, v@, U@, u@@example.test, b@\nb@: u@"),
    Case("case does not matter", "a@: U@", to="A@"),
    Case("a quoted name", 'a@: "u@", "v@"@example.test'),
    Case("a list with comments", "a@: u@ (one), v@ (two, three)"),
    Case("an extension finds the alias", "a@: u@", to="a@+x"),
    Case("an extension has its own alias", "a@: u@\na@+x: v@", to="a@+X"),
    Case("an account with an extension", to="u@+x"),
    Case("an extension in the alias", "a@: u@+y"),
    Case("another host", "a@: x@@remote.test, u@"),
    Case("only another host", "a@: x@@remote.test, y@@remote.test"),
    Case("an unknown name", "a@: nosuch@, u@"),
    Case("unknown", to="nosuch@"),
    Case("unknown with an extension", to="nosuch@+x"),
    Case("a name with a slash", to="u@/x"),
    Case("an alias of itself", "a@: a@"),
    Case("an alias of itself and others", "a@: a@, u@"),
    Case("an account's alias of itself", "u@: u@, v@", to="u@"),
    Case("an account's alias of itself with a backslash", "u@: \\\\u@, v@", to="u@"),
    Case("a circle", "a@: b@\nb@: a@"),
    Case("a circle with a way out", "a@: b@\nb@: a@, u@"),
    Case("a circle of three", "a@: b@\nb@: c@\nc@: a@"),
    Case("an owner", "a@: u@, v@\nowner-a@: v@"),
    Case("an owner and another host", "a@: u@, x@@remote.test\nowner-a@: v@"),
    Case("an owner of an inner list", "a@: b@, u@\nb@: v@, x@@remote.test\nowner-b@: u@"),
    Case("owners of both lists", "a@: b@, u@\nb@: v@\nowner-a@: o1@\nowner-b@: o2@\no1@: u@\no2@: v@"),
    Case("an owner's bounce", "a@: nosuch@, u@\nowner-a@: v@"),
    Case("mail to an owner", "a@: u@\nowner-a@: v@", to="owner-a@"),
    Case("mail to a request address", "a@: u@\na@-request: v@", to="a@-request"),
    Case("an owner that is expanded", "a@: u@\nowner-a@: v@", through=EXPAND),
    Case("an owner of two is not expanded", "a@: u@\nowner-a@: v@, u@", through=EXPAND,
         differs="the reference makes one address of two: (forwarded as <id>)"),
    Case("an inner list without owner", "a@: b@\nb@: u@\nowner-a@: v@", through=RESET),
    Case("Delivered-To is there", to="u@", header=b"Delivered-To: u@@example.test\n"),
    Case("Delivered-To in another case", to="u@", header=b"delivered-to: U@@EXAMPLE.test\n"),
    Case("Delivered-To of the alias", "a@: u@", header=b"Delivered-To: a@@example.test\n"),
    Case("Delivered-To of the target", "a@: u@", header=b"Delivered-To: u@@example.test\n"),
    Case("Delivered-To of somebody else", to="u@", header=b"Delivered-To: v@@example.test\n"),
    Case("a file", "a@: !/f"),
    Case("a file and a name", "a@: !/f, u@"),
    Case("a quoted file", 'a@: "!/f f"'),
    Case("a Maildir", "a@: !/d/"),
    Case("/dev/null", "a@: /dev/null"),
    Case("a file of another", "a@: !/f", files={"!/f": "old\n"}, modes={"!/f": 0o600}),
    Case("a file that all may write", "a@: !/f", files={"!/f": "old\n"}, modes={"!/f": 0o666}),
    Case("a file in a missing directory", "a@: !/missing/f"),
    Case("a file in a closed directory", "a@: !/closed/f", modes={"!/closed/": 0o700}),
    Case("a directory as a file", "a@: !/closed", modes={"!/closed/": 0o777}),
    Case("a file by an owner", "a@: !/f\nowner-a@: v@"),
    include("names", "u@, v@\n"),
    include("lines and comments", "# comment\nu@\n  v@  (x)\n\n\tx@@remote.test\n"),
    Case(":include: a quoted path", 'a@: ":include:!/i"', files={"!/i": "u@\n"}),
    include("empty", "", differs="nobody is left, and ours says so: delivered to nobody"),
    include("comments only", "# nobody\n", differs="nobody is left, and ours says so: delivered to nobody"),
    include("of a user", "v@\n", owners={"!/i": "u@"}),
    include("that cannot be read", "u@\n", mode=0o600, differs="nothing is read as root: cannot read :include: file"),
    include("of a user that he alone reads", "v@\n", mode=0o600, owners={"!/i": "u@"}),
    include("that all may write", "u@\n", mode=0o666),
    include("that its group may write", "u@\n", mode=0o664),
    include("a file target", "!/f\n"),
    include("a file target that is allowed", "!/f, !/d/\n", through=FILES),
    include("a file target as a user", "~/f\n", owners={"!/i": "u@"}, through=FILES),
    include("an unknown name", "nosuch@, u@\n"),
    include("a circle", "a@, u@\n"),
    Case(":include: missing", "a@: :include:!/missing, u@"),
    Case(":include: relative", "a@: :include:i, u@"),
    Case(":include: a directory", "a@: :include:!/closed", modes={"!/closed/": 0o755}),
    Case(":include: with an owner", "a@: :include:!/i\nowner-a@: v@", files={"!/i": "u@, x@@remote.test\n"}),
    Case(":include: within another", "a@: :include:!/i", files={"!/i": "u@\n:include:!/j\n", "!/j": "v@\n"}),
    Case(":include: of itself", "a@: :include:!/i", files={"!/i": "u@\n:include:!/i\n"}),
    forward("another", "v@\n"),
    forward("another host", "x@@remote.test\n"),
    forward("oneself and another", "u@, v@\n"),
    forward("oneself with a backslash", "\\u@, v@\n"),
    forward("oneself in full", "u@@example.test\nv@\n"),
    forward("lines and comments", "# comment\nv@ (a)\n\nx@@remote.test, \n"),
    forward("empty", ""),
    forward("comments only", "# none\n"),
    forward("an unknown name", "nosuch@\n"),
    forward("that its group may write", "v@\n", mode=0o664),
    forward("that all may write", "v@\n", mode=0o646),
    forward("that he alone reads", "v@\n", mode=0o600),
    forward("that he may not read", "v@\n", mode=0o000),
    forward("of root", "v@\n", owners={"~/.forward": "root"}),
    forward("of somebody else", "v@\n", owners={"~/.forward": "v@"}),
    forward("a file", "~/f\n"),
    forward("a file and oneself", "~/f, \\u@\n"),
    forward("a quoted file", '"~/f f"\n'),
    forward("a Maildir", "~/d/\n"),
    forward("another's file", "~v/f\n", modes={"~v/f": 0o600}),
    forward("/dev/null", "/dev/null\n"),
    forward("an :include:", ":include:~/i\n"),
    forward("from an alias", "v@\n", to="a@", aliases="a@: u@"),
    forward("an alias with the backslash passes it by", "v@\n", to="a@", aliases="a@: \\\\u@"),
    Case(".forward: to somebody who is on the list too", "a@: u@, v@", files={"~/.forward": "v@\n", "~v/.forward": "x@@remote.test\n"}),
    forward("with an extension", "v@\n", to="u@+x"),
    Case(".forward: of the extension", to="u@+x", files={"~/.forward+x": "v@\n", "~/.forward": "x@@remote.test\n"}),
    Case(".forward: not of the extension", to="u@", files={"~/.forward+x": "v@\n"}),
    Case(".forward: of each other", to="u@", files={"~/.forward": "v@\n", "~v/.forward": "u@\n"}),
    Case(".forward: a chain", to="u@", files={"~/.forward": "v@\n", "~v/.forward": "x@@remote.test, \\v@\n"}),
    Case(".forward: a directory", to="u@", modes={"~/.forward/": 0o755}),
    Case(".forward: a link", to="u@", files={"~/real": "v@\n"}, after=lambda at: os.symlink(at("~/real"), at("~/.forward"))),
    Case(".forward: a dangling link", to="u@", after=lambda at: os.symlink(at("~/real"), at("~/.forward"))),
    Case(".forward: a FIFO", to="u@", after=lambda at: os.mkfifo(at("~/.forward"))),
    Case("a closed home", to="u@", files={"~/.forward": "v@\n"}, modes={"~/": 0o000}),
    Case("no home", to="u@", after=lambda at: shutil.rmtree(at("~"))),
    Case("an unknown name for luser_relay", to="nosuch@", through=RELAY),
    Case("two recipients' one target", "a@: v@\nb@: v@", to="a@ b@"),
]


class Names:
    """Replaces @, ~ and ! in a case's texts."""

    def __init__(self, number, homes, outside):
        self.number, self.homes, self.outside = number, homes, outside

    def __call__(self, text):
        text = text.replace("~v", f"{self.homes}/v@").replace("~", f"{self.homes}/u@").replace("!", f"{self.outside}/@")
        return re.sub("@(?!example|remote)", f"{self.number:03d}", text)


def prepare(case, at, ids):
    user = at("u@")
    for name in ("u@", "v@"):
        shutil.rmtree(os.path.join(at.homes, at(name)), ignore_errors=True)
        accounts.make_home(at.homes, at(name), ids[at(name)])
    os.makedirs(at("!"))
    os.chmod(at("!"), 0o777)

    def own(path, name):
        number = 0 if name == "root" else ids[at(name)]
        os.chown(path, number, number)
    for name, text in case.files.items():
        path = at(name)
        with open(path, "w") as file:
            file.write(at(text))
        if name.startswith("~"):
            os.chown(path, *(2 * [ids[at("v@") if name.startswith("~v") else user]]))
    for name, mode in case.modes.items():
        path = at(name)
        if name.endswith("/"):
            os.makedirs(path, exist_ok=True)
        elif name not in case.files:
            open(path, "w").close()
            os.chown(path, ids[at("v@")], ids[at("v@")])
        os.chmod(path, mode)
    for name, owner in case.owners.items():
        own(at(name), owner)
    if case.after:
        case.after(at)


def plain_report(found):
    """Of bounces only what they say; of several messages in one file any order."""
    if len(found) < 5:
        return found
    text = found[4]
    if "multipart/report" in text:
        return (*found[:4], report(text))
    return (*found[:4], sorted(re.split(r"(?m)^(?=From \S+  <ctime>)", text)))


def outcome(server, homes, outside):
    """number → what the log says of a case, whichever message said it."""
    found = {}
    for line in server.log().splitlines():
        said = re.match(r"^.*? postfix/(\w+)\[\d+\]: [0-9A-F]+: (to=.*)$", line)
        if not said or "bounces@box.test" in line:
            continue
        text = re.sub(r" delay=[\d.]+, delays=[\d./]+,", "", said.group(2))
        text = neutral(text, server).replace(homes, "<homes>").replace(outside, "<outside>")
        number = re.search(r"orig_to=<[a-z]+-?[a-z]*(\d{3})", text) or re.search(r"(?:to=<[a-z]*-?[a-z]*?\d?)(\d{3})", text)
        found.setdefault(number.group(1) if number else "", []).append(said.group(1) + ": " + text)
    return {number: sorted(lines) for number, lines in found.items()}


def play(kind, cases, ids, homes, outside):
    server = kind(parameters={
        "alias_maps": "hash:$config_directory/aliases", "recipient_delimiter": "+", "transport_maps": "texthash:$config_directory/transport",
        "home_mailbox": "Mailbox", "default_transport": "error:no way", "mail_spool_directory": "$queue_directory/../mail",
        "default_destination_recipient_limit": "1",
    }, services=SERVICES, boxes=("bounces",))
    shutil.rmtree(outside, ignore_errors=True)
    os.makedirs(outside)
    server.write_configuration()
    places = [Names(number, homes, outside) for number in range(len(cases))]
    aliases, transports = [], ["remote.test discard:"]
    for case, at in zip(cases, places):
        prepare(case, at, ids)
        aliases += at(case.aliases).split("\n")
        if case.through != ORDINARY:
            transports += [f"{at(name)}@example.test {case.through}:" for name in ("a@", "u@", "b@", "nosuch@", case.to)]
    for name, lines in (("aliases", aliases), ("transport", sorted({*transports}))):
        with open(os.path.join(server.config, name), "w") as file:
            file.write("\n".join(line for line in lines if line) + "\n")
    made = server.run("postalias", f"hash:{server.config}/aliases")
    if made.returncode or made.stderr:
        raise RuntimeError(made.stderr.decode())
    with server:
        for case, at in zip(cases, places):
            header = case.header.decode().replace("@@", f"{at.number:03d}@").encode()
            submit(server, header + HEAD + b"\nhello\n", *at(case.to).split(), sender="bounces@box.test")

        def quiet():
            left = server.queue_files("incoming", "active", "maildrop")
            return not left
        wait_until(quiet, 40)
        time.sleep(1.0)
        wait_until(quiet, 40)
        seen = outcome(server, homes, outside)
        stores = []
        for at in places:
            found = tree([os.path.join(homes, at("u@")), os.path.join(homes, at("v@")), at("!")], server)
            found = {key: plain_report(value) for key, value in found.items()}
            stores.append({key.replace(homes, "<homes>").replace(outside, "<outside>"): value for key, value in found.items()})
        bounces = sorted(report(neutral(text, server).replace(homes, "<homes>").replace(outside, "<outside>"))
                         for text in server.maildir("bounces"))
        said = sorted(line.replace(homes, "<homes>").replace(outside, "<outside>") for line in warnings(server))
    return seen, stores, bounces, said


def main(checks):
    accounts.enter_namespace()
    homes, outside = tempfile.mkdtemp(prefix="mtad-homes-"), tempfile.mkdtemp(prefix="mtad-outside-")
    try:
        os.chmod(homes, 0o755)
        ids = accounts.add([f"{kind}{number:03d}" for number in range(len(CASES)) for kind in "uv"], homes)
        theirs = play(Reference, CASES, ids, homes, outside)
        ours = play(Mtad, CASES, ids, homes, outside)
    finally:
        shutil.rmtree(homes, ignore_errors=True)
        shutil.rmtree(outside, ignore_errors=True)
    # A /file that cannot be locked by a dotlock is written all the same; only the reference says so.
    theirs[3][:] = [line for line in theirs[3] if "unable to create lock file" not in line]
    equal = 0
    ours[3][:] = [line for line in ours[3] if "cannot read :include: file" not in line]
    for number, case in enumerate(CASES):
        key = f"{number:03d}"
        if case.differs:
            said = case.differs.split(": ", 1)[1]
            checks.ok(any(said in line for line in ours[0].get(key, [])), f"{key} {case.name}: differs as intended: {case.differs}",
                      ours[0].get(key))
            continue
        for what, left, right in (("log", theirs[0].get(key, []), ours[0].get(key, [])), ("files", theirs[1][number], ours[1][number])):
            equal += checks.ok(left == right, f"{key} {case.name}: {what}", difference(left, right))
    for what, left, right in (("log lines of no case", theirs[0].get("", []), ours[0].get("", [])), ("the bounces", theirs[2], ours[2]),
                              ("the warnings", theirs[3], ours[3])):
        equal += checks.ok(left == right, what, difference(left, right))
    checks.note(f"{equal} of {2 * sum(not case.differs for case in CASES) + 3} comparisons equal")


def tail(one, other):
    """one from shortly before the place where it differs."""
    same = len(os.path.commonprefix([str(one), str(other)]))
    return "…" * (same > 60) + f"{str(one)[max(0, same - 60):]:.300}"


def difference(theirs, ours):
    if isinstance(theirs, dict):
        return "\n".join(f"{key}:\n  reference {tail(theirs.get(key), ours.get(key))}\n  ours      {tail(ours.get(key), theirs.get(key))}"
                         for key in sorted({*theirs, *ours}) if theirs.get(key) != ours.get(key))
    only = [f"reference {line!s:.600}" for line in theirs if line not in ours]
    only += [f"ours      {line!s:.600}" for line in ours if line not in theirs]
    return "\n".join(only or ["the same lines, another number of times", *map(str, theirs), "ours", *map(str, ours)])


run(main)
