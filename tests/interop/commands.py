"""Delivery to commands beside the reference's local(8): |command in aliases, lists and .forward files, mailbox_command and its
maps; what the log and bounces say, and what the command saw: its input, arguments, environment, directory, identity, umask,
descriptors, signals.

Each case has accounts and a directory of its own: in its texts "@" is the case's number, "!" its directory, "~" the home of
its user u@, and "%" a program that records what it sees under the name that is its first argument, says its third argument
and exits with its second."""
import os
import pwd
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import accounts
from checks import run, wait_until
from mailbox_runs import neutral, report, submit, warnings
from mtad import Mtad
from reference import Reference
from senders import Session
from server import STORE_USER, kill_quietly

HEAD = b"From: a@example.test\nTo: b@example.test\nSubject: x\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <m@x>\n"
HELLO = HEAD + b"\nhello\nFrom here\n.\n..\nend\n"
LARGE = HEAD + b"\n" + (b"0123456789" * 7 + b"\n") * 40000
SPY = r"""#!/bin/sh
out=OUTSIDE/saw-$1
test -e $out.times || : >$out.times
echo again >>$out.times
cat >$out.input
tr '\0' '\n' </proc/$$/cmdline >$out.arguments
tr '\0' '\n' </proc/$$/environ >$out.environment
(pwd -P; umask) >$out.place
grep -E '^(Uid|Gid|Groups|SigBlk|SigIgn|CapEff|CapAmb|NoNewPrivs):' /proc/self/status >$out.identity
ps -o pgid=,sid= -p $$ | awk -v p=$$ '{ print "leads its group", $1 == p, "leads its session", $2 == p }' >>$out.identity
ls -l /proc/self/fd >$out.descriptors
ulimit -a | grep -E 'core|file|cpu|time' >$out.limits
printf '%b' "$3"
exit ${2:-0}
"""
# What a test gives the reference and not us, and LANG.
OWN_ENVIRONMENT = b"(LD_LIBRARY_PATH|LANG|MAIL_LOGTAG|POSTLOG_[A-Z]*)="
SHORT = "command_time_limit=2s"
# Services: what a case asks for with through=, beside the settings of all.
SERVICES = {
    "short": SHORT,
    "include": "allow_mail_to_commands=alias,forward,include",
    "forbid": "allow_mail_to_commands=",
    "plain": "prepend_delivered_header=file,forward",
    "home": "command_execution_directory=$home",
    "nodir": "command_execution_directory=/nonexistent/$user",
    "filter": "command_expansion_filter=abc",
    "shell": "local_command_shell=%shell -c",
    "export": "export_environment=MAIL_CONFIG TZ COLOUR=green OTHER=1",
    "noexport": "export_environment=",
    "box": "mailbox_command=% box $user $home $shell $extension $recipient $local $domain $recipient_delimiter $original_recipient $sender",
    "boxshell": 'mailbox_command=% box 0 "<$USER>" "$EXTENSION" "$HOME"; exit 0',
    "boxfail": "mailbox_command=% box 67",
    "boxdefer": "mailbox_command=% box 75 no.space",
    "boxdir": "mailbox_command=% box -o command_execution_directory=$home",
    "boxmap": "mailbox_command_maps=inline:{{u@=% map $user}} -o mailbox_command=% box",
}


class Case:
    def __init__(self, name, aliases="", to="a@", forward=None, files=None, owners=None, through="", message=HELLO, sender="bounces@box.test",
                 smtp=False, owned="", seconds=0):
        self.name, self.aliases, self.to, self.through, self.message, self.sender = name, aliases, to, through, message, sender
        self.files, self.owners, self.smtp, self.owned, self.seconds = files or {}, owners or {}, smtp, owned, seconds
        if forward is not None:
            self.files["~/.forward"], self.to = forward, to if to != "a@" or aliases else "u@"


def alias(name, command, **more):
    return Case(f"|command: {name}", 'a@: "|' + command.replace("\\", "\\\\").replace('"', '\\"') + '"', **more)


def script(name, text, arguments="", **more):
    """A command that is a file of the case's own."""
    return alias(name, "!/run" + arguments, files={"!/run": "#!/bin/sh\n" + text + "\n"}, **more)


CASES = [
    alias("plain", "% @"),
    alias("arguments", "% @ 0  '' a   b"),
    alias("quoted words", "% @ 0 \"a b\" 'c d'"),
    alias("blanks in front", "   % @"),
    alias("a shell character", "% @; exit 0"),
    alias("a shell variable", "% @ 0 $RECIPIENT"),
    alias("a redirection", "cat > !/copy"),
    alias("a built-in", "exit 67"),
    alias("a built-in with a dot", ". !/none"),
    alias("found by PATH", "cat"),
    alias("not found by PATH", "no-such-program"),
    alias("missing", "!/none x"),
    alias("not executable", "!/file", files={"!/file": "x\n"}),
    alias("a directory", "!/"),
    alias("no interpreter", "!/run", files={"!/run": "#!/nonexistent\n"}),
    alias("no script line", "!/run", files={"!/run": "exit 0\n"}),
    alias("empty", ""),
    alias("blank", "  "),
    *(alias(f"exit {status}", f"% @ {status} said") for status in (1, 2, *range(64, 80), 99, 126, 127, 128, 143, 255)),
    *(alias(f"exit {status} in silence", f"% @ {status}") for status in (1, 67, 69, 75, 77)),
    *(alias(f"signal {number}", f"kill -{number} $$") for number in (9, 11, 13, 15)),
    alias("a signal and words", "echo words; kill -9 $$"),
    alias("says something and succeeds", "% @ 0 fine"),
    alias("says 5.1.2 and succeeds", "% @ 0 5.1.2.x"),
    script("says 5.1.2 and fails", "echo 5.1.2 no such thing; exit 1"),
    script("says 4.2.2 and has no user", "echo 4.2.2 full; exit 67"),
    script("says 5.2.2 and fails for now", "echo 5.2.2 full; exit 75"),
    script("says 2.1.5 and fails", "echo 2.1.5 good; exit 1"),
    script("says a code alone", "echo 5.7.1; exit 1"),
    script("says a code in the second line", "echo x; echo 5.7.1 y; exit 1"),
    script("says a code after blanks", "echo '  5.7.1 y'; exit 1"),
    script("says a long code", "echo 5.777.1111 y; exit 1"),
    script("says a code and dies", "echo 4.7.1 y; kill -9 $$"),
    script("says several lines", "echo one; echo two >&2; printf '\\nthree'; exit 69"),
    script("says odd characters", "printf 'a\\001b\\tc\\r\\nd\\303\\251 <x> \\\\'; exit 69"),
    script("says a NUL", "printf 'a\\000b'; exit 69"),
    script("says very much", "head -c 100000 /dev/zero | tr '\\0' x; exit 69"),
    script("says much in lines", "seq 1 20000; exit 69"),
    script("says much and succeeds", "seq 1 20000; exit 0"),
    alias("reads nothing", "true", message=LARGE),
    alias("reads nothing and fails", "false", message=LARGE),
    alias("reads one line", "head -1 >!/copy", message=LARGE),
    alias("reads all", "cat >!/copy", message=LARGE),
    script("closes its input", "exec <&-; sleep 0.3; exit 0", message=LARGE),
    script("closes its output", "exec >&- 2>&-; cat >!/copy; exit 0", message=LARGE),
    Case("a command and a user", 'a@: "|% @", u@'),
    Case("a command twice", 'a@: "|% @", "|% @"'),
    Case("a command by two ways", 'a@: b@, "|% @"\nb@: "|% @"'),
    Case("two commands", 'a@: "|% @", "|% @b"'),
    Case("two commands, one fails", 'a@: "|% @", "|% @b 69"'),
    Case("two commands, one is to be tried again", 'a@: "|% @", "|% @b 75"'),
    Case("a command and an unknown name", 'a@: "|% @", nosuch@'),
    Case("a command and a far address", 'a@: "|% @", x@@remote.test'),
    Case("a command to be tried again and a far address", 'a@: "|% @ 75", x@@remote.test'),
    Case("a command that fails and a far address", 'a@: "|% @ 69", x@@remote.test'),
    Case("an owner", 'a@: "|% @"\nowner-a@: v@'),
    Case("an owner's bounce", 'a@: "|% @ 69 no"\nowner-a@: v@'),
    Case("an alias of an alias", 'a@: b@\nb@: "|% @"'),
    Case("an extension", 'a@: "|% @"', to="a@+ext"),
    Case("an alias with a domain", 'a@: b@@example.test\nb@: "|% @"'),
    Case("without quotes", "a@: |%"),
    Case("an alias in a table of a user's", owned='a@: "|% @"'),
    Case("a file by an alias in a table of a user's", owned="a@: !/copy"),
    Case("two recipients", 'a@: "|% @"\nb@: "|% @b"', to="a@ b@"),
    Case("two recipients of one command", 'a@: "|true"\nb@: "|true"', to="a@ b@"),
    Case("forbidden", 'a@: "|% @", u@', through="forbid"),
    Case(":include: is not allowed to", "a@: :include:!/list", files={"!/list": "\"|% @\"\nu@\n"}),
    Case(":include: is allowed to", "a@: :include:!/list", files={"!/list": '"|% @"\nu@\n'}, through="include"),
    Case(":include: of a user", "a@: :include:!/list", files={"!/list": '"|% @"\n'}, owners={"!/list": "v@"}, through="include"),
    Case(".forward", forward='"|% @"\n'),
    Case(".forward: two and oneself", forward='"|% @", "|% @b x", \\u@\n'),
    Case(".forward: an extension", forward='"|% @"\n', to="u@+ext"),
    Case(".forward: without quotes", forward="|%\n"),
    Case(".forward: fails", forward='"|% @ 69 no"\n'),
    Case(".forward: is to be tried again", forward='"|% @ 75 later", v@\n'),
    Case(".forward: the user's own program", forward='"|~/run"\n', files={"~/run": "#!/bin/sh\nid -un >!/copy\npwd >>!/copy\n"}),
    Case(".forward: a relative program", forward='"|run"\n', files={"~/run": "#!/bin/sh\nid -un >!/copy\n"}),
    Case(".forward: a shell", forward='"|cd; umask >!/copy; pwd >>!/copy"\n'),
    Case(".forward: by an alias", "a@: u@", forward='"|% @"\n', to="a@"),
    Case(".forward: of another, by an owner's list", "a@: u@\nowner-a@: v@", forward='"|% @"\n', to="a@"),
    Case(".forward: forbidden", forward='"|% @"\n', through="forbid"),
    Case(".forward: home as directory", forward='"|% @"\n', through="home"),
    alias("home as directory of an alias", "% @", through="home"),
    alias("a directory that is missing", "% @", through="nodir"),
    alias("no Delivered-To", "% @", through="plain"),
    alias("a filter", "% @", through="filter"),
    alias("a shell of one's own", "% @ 0 x", through="shell"),
    alias("export_environment", "% @", through="export"),
    alias("export_environment of nothing", "% @", through="noexport"),
    Case("mailbox_command", to="u@", through="box"),
    Case("mailbox_command and an extension", to="u@+ext", through="box"),
    Case("mailbox_command and an odd extension", to="u@+`a$b'c", through="box"),
    Case("mailbox_command by an alias", "a@: u@", through="box"),
    Case("mailbox_command with the shell", to="u@+ext", through="boxshell"),
    Case("mailbox_command without extension and with the shell", to="u@", through="boxshell"),
    Case("mailbox_command fails", to="u@", through="boxfail"),
    Case("mailbox_command is to be tried again", to="u@", through="boxdefer"),
    Case("mailbox_command: home as directory", to="u@", through="boxdir"),
    Case("mailbox_command_maps", to="u@", through="boxmap"),
    Case("mailbox_command_maps and an extension", to="u@+ext", through="boxmap"),
    Case("mailbox_command_maps of another", to="v@", through="boxmap"),
    Case("mailbox_command of root", to="root", through="box"),
    Case("mailbox_command and .forward to oneself", forward="\\u@\n", through="box"),
    alias("a null sender", "% @", sender=""),
    alias("an odd sender", "% @", sender="\"a b;$(x)\"@box.test"),
    alias("by SMTP", "% @", smtp=True),
    Case(".forward: by SMTP", forward='"|% @"\n', smtp=True),
    alias("an odd header", "% @", message=b"From nobody Thu Jan  1 00:00:00 1970\n>From x\nDelivered-To: v@\n" + HELLO),
    alias("no end of line", "% @", message=HEAD + b"\nhello"),
    alias("a body of 8 bits", "% @", message=HEAD + b"\n\xe9\xff\x00\n" + b"x" * 5000 + b"\n"),
    Case("a Delivered-To loop", 'a@: "|% @"', message=b"Delivered-To: @a\n" + HELLO),
    # Hostile ones.
    script("sleeps past the limit", "sleep 60", through="short", seconds=2),
    script("says something and sleeps past the limit", "echo words; sleep 60", through="short", seconds=2),
    script("says a code and sleeps past the limit", "echo 5.7.1 words; sleep 60", through="short", seconds=2),
    script("does not want to end", "trap '' TERM INT HUP; while :; do sleep 1; done", through="short", seconds=2),
    script("never reads and sleeps", "sleep 60", through="short", message=LARGE, seconds=2),
    script("writes endlessly", "exec yes", through="short", seconds=2),
    script("writes endlessly in the background", "yes & exit 0", through="short", seconds=2),
    script("leaves a child behind with its output", "sleep 61 & exit 0", through="short", seconds=2),
    script("leaves a daemon behind with its output", "setsid sleep 62 & exit 0", through="short", seconds=2),
    script("leaves a daemon behind without", "setsid sleep 63 </dev/null >/dev/null 2>&1 & exit 0", through="short"),
    script("kills its group", "kill -9 0", through="short"),
    script("kills all it may", "trap '' TERM; kill -TERM 0; exit 0", through="short"),
    script("kills its parent", "kill -9 $PPID; sleep 0.2; exit 0", forward=None, through="short"),
    script("stops itself", "kill -STOP $$", through="short", seconds=2),
]


class Names:
    """Replaces @, ~, ! and % in a case's texts."""

    def __init__(self, number, homes, outside):
        self.number, self.homes, self.outside = number, homes, outside

    def __call__(self, text):
        text = re.sub(r"%(?=[ \n\"]|$)", f"{self.outside}/spy", text)
        text = text.replace("~", f"{self.homes}/u@").replace("!", f"{self.outside}/@").replace("#" + f"{self.outside}/@", "#!")
        return re.sub("@(?!example|remote|box)", f"{self.number:03d}", text)


def prepare(case, at, ids):
    for name in ("u@", "v@"):
        shutil.rmtree(os.path.join(at.homes, at(name)), ignore_errors=True)
        accounts.make_home(at.homes, at(name), ids[at(name)])
    os.makedirs(at("!"))
    os.chmod(at("!"), 0o777)
    for name, text in case.files.items():
        with open(at(name), "w") as file:
            file.write(at(text))
        os.chmod(at(name), 0o755 if text.startswith("#!") or name.endswith("run") else 0o644)
        owner = case.owners.get(name, "u@" if name.startswith("~") else "")
        if owner:
            os.chown(at(name), ids[at(owner)], ids[at(owner)])


def settings(number, case, homes, outside):
    """One service a case that asks for one: maps bear the case's users."""
    value = SERVICES[case.through].replace("%shell", outside + "/shell").replace("% ", outside + "/spy ")
    value = value.replace(" box", f" {number:03d}").replace(" map ", f" {number:03d}map ").replace("u@", f"u{number:03d}")
    parts = [part.split("=", 1) for part in value.split(" -o ")]
    return f"t{number:03d} unix - n n - - local\n" + "".join(f"  -o {{ {name} = {text} }}\n" for name, text in parts)


def by_smtp(server, case, at):
    with Session(server.port) as session:
        for line in ("EHLO client.example.test", f"MAIL FROM:<{case.sender}>",
                     *(f"RCPT TO:<{to}@example.test>" for to in at(case.to).split()), "DATA"):
            session.raw(line.encode() + b"\r\n")
            code, text = session.reply()
            if code >= 400:
                raise RuntimeError(f"{line}: {code} {text}")
        session.raw(case.message.replace(b"\n", b"\r\n") + b".\r\n")
        code, text = session.reply()


def outcome(server, tidy):
    found = {}
    for line in server.log().splitlines():
        said = re.match(r"^.*? postfix/([\w-]+)\[\d+\]: [0-9A-F]+: (to=.*)$", line)
        if not said or "bounces@box.test" in line or "owner-" in line:
            continue
        text = tidy(re.sub(r" delay=[\d.]+, delays=[\d./]+,", "", said.group(2)))
        number = re.search(r"orig_to=<[a-z]+(\d{3})", text) or re.search(r"to=<[a-z]+(\d{3})", text)
        found.setdefault(number.group(1) if number else "", []).append(re.sub(r"relay=t\d{3}", "relay=local", text))
    return {number: sorted(lines) for number, lines in found.items()}


def seen_by_commands(outside, tidy):
    """number → file name → content, of what commands wrote."""
    found = {}
    for base, _, names in os.walk(outside):
        for name in names:
            path = os.path.join(base, name)
            short = path[len(outside) + 1:]
            number = re.search(r"\d{3}", short)
            if not number or name == "run" or name == "list":
                continue
            with open(path, "rb") as file:
                content = file.read()
            if name.endswith(".environment"):
                content = b"\n".join(sorted(line for line in content.split(b"\n") if not re.match(OWN_ENVIRONMENT, line)))
            if name.endswith(".descriptors"):
                content = b"\n".join(re.findall(rb"\d+ -> (?!/proc/).*", content))
            text = tidy(content) if len(content) < 100000 else f"{len(content)} bytes"
            found.setdefault(number[0], {})[short] = text
    return found


def play(kind, cases, ids, homes, outside):
    server = kind(parameters={
        "alias_maps": "hash:$config_directory/aliases hash:$config_directory/owned", "recipient_delimiter": "+", "transport_maps": "texthash:$config_directory/transport",
        "home_mailbox": "Mailbox", "default_transport": "error:no way", "mail_spool_directory": "$queue_directory/../mail",
    }, boxes=("bounces",))
    shutil.rmtree(outside, ignore_errors=True)
    os.makedirs(outside)
    os.chmod(outside, 0o1777)
    for name, text in (("spy", SPY.replace("OUTSIDE", outside)), ("shell", f'#!/bin/sh\necho "$@" >>{outside}/000-shell\nexec /bin/sh "$@"\n')):
        with open(os.path.join(outside, name), "w") as file:
            file.write(text)
        os.chmod(os.path.join(outside, name), 0o755)
    places = [Names(number, homes, outside) for number in range(len(cases))]
    aliases, transports = [], ["remote.test discard:"]
    server.extra_services = ""
    for case, at in zip(cases, places):
        prepare(case, at, ids)
        aliases += at(case.aliases).split("\n")
        if case.through:
            server.extra_services += settings(at.number, case, homes, outside)
            names = {at(name) for name in ("a@", "b@", "u@", "v@", *case.to.split())}
            transports += [f"{name}@example.test t{at.number:03d}:" for name in sorted(names)]
    server.write_configuration()
    owned = [at(case.owned) for case, at in zip(cases, places) if case.owned]
    for name, lines in (("aliases", aliases), ("owned", owned), ("transport", transports)):
        with open(os.path.join(server.config, name), "w") as file:
            file.write("\n".join(line for line in lines if line) + "\n")
    made = server.run("postalias", f"hash:{server.config}/aliases", f"hash:{server.config}/owned")
    os.chown(f"{server.config}/owned.db", ids["u000"], ids["u000"])
    if made.returncode or made.stderr:
        raise RuntimeError(made.stderr.decode())

    def tidy(text):
        text = neutral(text, server).replace(homes, "<homes>").replace(outside, "<outside>")
        return re.sub(r"\bt\d{3}\b", "local", re.sub(r"pipe:\[\d+\]", "pipe", text))
    with server:
        for case, at in zip(cases, places):
            message = at(case.message.decode("latin-1")).encode("latin-1") if b"@a" in case.message else case.message
            if case.smtp:
                by_smtp(server, case, at)
            else:
                done = server.sendmail(message, *at(case.to).split(), sender=case.sender)
                if done.returncode:
                    raise RuntimeError(done.stderr.decode())

        def quiet():
            return not server.queue_files("incoming", "active", "maildrop")
        wait_until(quiet, 60)
        time.sleep(1.0)
        wait_until(quiet, 60)
        seen = outcome(server, tidy)
        bounces = sorted(report(tidy(text)) for text in server.maildir("bounces"))
        said = sorted(tidy(line) for line in warnings(server, ("local", *(f"t{n:03d}" for n in range(len(cases))))))
        left = sorted(name for _, name in leftovers(ids))
    for pid, _ in leftovers(ids):
        kill_quietly(pid)
    return seen, seen_by_commands(outside, tidy), bounces, said, left


def leftovers(ids):
    """(process, command line) of what the cases' users, and nobody, still run of the cases' commands."""
    out = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode("latin-1")
            owner = os.stat(f"/proc/{name}").st_uid
        except OSError:
            continue
        if owner in {*ids.values(), pwd.getpwnam(STORE_USER).pw_uid} and re.search(r"^(yes|sleep 6\d)\b|/run\b", line):
            out.append((int(name), line.strip()))
    return out


def cut(lines):
    """Log lines end somewhere; where is each system's own affair, and so are the blanks in front of a command."""
    return [re.sub("(to command:) +", r"\1 ", line[:900]) for line in lines]


def same_bounces(found):
    """Without the bounce of a list with an owner, which only the reference sends to him; output is cut at another byte."""
    return [tuple(part[:900].replace("--<boundary>", "") for part in one) for one in found
            if "a086@" not in one[0] and "a058@" not in one[0]]


def main(checks):
    accounts.enter_namespace()
    homes, outside = tempfile.mkdtemp(prefix="mtad-homes-"), tempfile.mkdtemp(prefix="mtad-outside-")
    try:
        os.chmod(homes, 0o755)
        ids = accounts.add([f"{kind}{number:03d}" for number in range(len(CASES)) for kind in "uv"], homes)
        theirs, ours = (play(kind, CASES, ids, homes, outside) for kind in (Reference, Mtad))
    finally:
        shutil.rmtree(homes, ignore_errors=True)
        shutil.rmtree(outside, ignore_errors=True)
    equal = total = 0

    def compare(left, right, what):
        nonlocal equal, total
        total += 1
        equal += checks.ok(left == right, what, f"\nreference {only(left, right)}\nours      {only(right, left)}")
    for number, case in enumerate(CASES):
        key = f"{number:03d}"
        compare(cut(theirs[0].get(key, [])), cut(ours[0].get(key, [])), f"{key} {case.name}: log")
        compare(theirs[1].get(key, {}), ours[1].get(key, {}), f"{key} {case.name}: what the command saw")
    compare(theirs[0].get("", []), ours[0].get("", []), "log lines of no case")
    compare(same_bounces(theirs[2]), same_bounces(ours[2]), "the bounces")
    # What was told to go away by the limit is gone with all that it started; only who detached himself stays.
    checks.equal(ours[4], ["sleep 63"], "nothing is left behind but what detached itself")
    checks.note(f"{equal} of {total} comparisons equal")


def only(one, other):
    if isinstance(one, dict):
        return {key: value if key not in other else only(str(value).split("\n"), str(other[key]).split("\n"))
                for key, value in one.items() if other.get(key) != value}
    return [f"{line!s:.700}" for line in one if line not in other]


run(main)
