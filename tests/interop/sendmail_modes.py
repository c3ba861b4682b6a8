"""What sendmail, mailq and newaliases do besides taking mail, beside the reference's: -bp, -bi, -q, -qRSITE, -qIID, -bd, -bl, -bv,
-v, -bh, ignored options, by one name and another; with a running mail system and without one.

The commands that they become are in command_directory, here programs that show how they were called; then the real ones."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import checks as harness  # noqa: E402
from checks import Skip, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference  # noqa: E402

SPY = """#!/bin/sh
printf '%s' "$(basename "$0")"
for word; do printf ' [%s]' "$word"; done
echo
exit 7
"""
SPIED = ("postqueue", "postalias", "postfix", "postdrop")
# One after the other, between bars.
MODES = [words.split() for words in """
-bp | -bp -v | -v -bp | -bp -q | -q -bp | -bp -- | -bp x | -bpx | -bi | -bi -v | -bi -v -v | -I | -oAhash:/tmp/x -bi |
-oA hash:/tmp/x -bi | -bi -oAfoo | -bi x | -oA/etc/aliases -I | -q | -q -v | -q x | -qRsite.test | -qR site.test | -qR |
-qI | -qIABC123 | -qI ABC | -qR@site.test | -qRuser@site.test | -qR[1.2.3.4] | -qSx | -qGx | -q!Rx | -qf | -q30m | -q1h
-bd | -q1h -bp | -bp -q1h | -bi -q1h | -qRx -q1h | -bd -q1h | -q0 | -q30m x | -bd | -bd x | -bl | -bl x | -bD | -ba |
-bb | -bz | -b | -bh | -bH | -bh x | -bt | -bp -t | -bi -t | -q -t | -bd -t | -bs -t | -bm -bp | -bp -bm -qIx | -bv -bp
| -qRx y | -qIx y | -bs -q1h | -v | -bv | -bv -t | -bv -R full x | -bv -v x | -bv -N never x | -bv -v -v x | -n | -n x |
-X /tmp/x y | -d | -dx | -E | -J | -T | -M x | -s x | -W | -a | -H | -D | -Z | -ti -bp | -f | -F | -C | -B | -N | -R |
-V | -O | -o | -e | -h | -A | -L | -p | -C /nonexistent x | -C /nonexistent/main.cf x | -C/etc/passwd x
""".split("|")]
NAMES = [(words.split()[0], words.split()[1:]) for words in """
mailq | mailq -v | mailq x | mailq -bm | newaliases | newaliases -v | newaliases x | newaliases -oAhash:/tmp/y | mailq
-Z | newaliases -bp | smtpd | smtpd x | send-mail -bp | hoststat | purgestat
""".split("|")]
tally = [0, 0]


def same(checks, sentence, ours, theirs):
    tally[1] += 1
    tally[0] += checks.ok(ours == theirs, sentence, f"reference {theirs!r:.1200}\nours      {ours!r:.1200}")


def plain(system, text):
    text = text.decode(errors="replace").replace(system.directory, "DIR")
    text = re.sub(r"(?m)^.*overriding earlier entry.*\n", "", text)
    return re.sub(r"\b[0-9A-F]{9,12}\b", "ID", text)


def result(system, done):
    return done.returncode, plain(system, done.stdout), plain(system, done.stderr)


def spied(checks, systems):
    """How the other command is called."""
    links = {}
    for system in systems:
        folder = os.path.join(system.directory, "spies")
        os.makedirs(folder)
        for name in SPIED:
            with open(os.path.join(folder, name), "w") as file:
                file.write(SPY)
            os.chmod(os.path.join(folder, name), 0o755)
        links[system] = os.path.join(system.directory, "names")
        os.makedirs(links[system])
        for name in {name for name, _ in NAMES} | {"sendmail"}:
            os.symlink(system.command("sendmail"), os.path.join(links[system], name))
        path = os.path.join(system.config, "main.cf")
        with open(path, "a") as file:
            file.write(f"command_directory = {folder}\nalias_database = hash:/a/b, cdb:/c\n")
        os.utime(path, (1, 1))
    real = {system: system.command for system in systems}
    for system in systems:
        system.command = lambda name, system=system: os.path.join(links[system], name)
    for name, words in [("sendmail", words) for words in MODES] + NAMES:
        results = [result(system, system.run(name, *words, input=b"Subject: x\n\n")) for system in systems]
        if "postfix [start]" in results[0][1]:  # the reference starts it and looks away; our status is that of the start
            checks.equal(results[0][0], 7, f"{name} {' '.join(words)}: the status of what it became")
            results = [(0, *rest) for _, *rest in results]
        if "postdrop" in results[1][2]:  # what is said of a postdrop that does not answer is our own
            results = [status for status, *_ in results]
        same(checks, f"{name} {' '.join(words)}", *results)
    for lines in ("alias_database =", "alias_database = hash:/only"):
        for system in systems:
            with open(os.path.join(system.config, "main.cf"), "a") as file:
                file.write(lines + "\n")
            os.utime(os.path.join(system.config, "main.cf"), (1, 1))
        same(checks, f"-bi with {lines}", *(result(system, system.run("sendmail", "-bi")) for system in systems))
    for system in systems:
        system.command = real[system]


def reports(checks, systems):
    """-bv and -v: what is said at once, and the report that is mailed."""
    for system in systems:
        checks.ok(wait_until(lambda: len(system.maildir("ann")) == 1 and system.is_empty(), 20), "what was taken before is delivered")
    for who, words in (("joe", ["-bv", "ann@box.test", "nosuch@box.test"]), ("kim", ["-v", "ann@box.test"]),
                       ("box", ["-bv", "ann@box.test"])):
        words[1:1] = ["-f", f"{who}@box.test"]
        results = []
        for system in systems:
            before = len(system.maildir("ann"))
            done = system.run("sendmail", *words, input=b"Subject: x\n\nbody\n")
            wait_until(lambda: system.maildir(who) and system.is_empty(), 20)
            new = system.maildir(who)
            fields = sorted(set(re.findall(rb"(?m)^(?:Action|Status|Final-Recipient|Original-Recipient|Subject|Auto-Submitted): .*$",
                                           b"".join(new))))
            results.append((result(system, done), len(new), len(system.maildir("ann")) - before, fields))
        same(checks, f"sendmail {' '.join(words)}: what is said, delivered and reported", *results)


def down(checks, systems):
    """The real commands, nothing running."""
    for system in systems:
        aliases = os.path.join(system.config, "aliases")
        with open(aliases, "w") as file:
            file.write("root: joe\nbad line\n")
        with open(os.path.join(system.config, "main.cf"), "a") as file:
            file.write(f"alias_database = hash:{aliases}\n")
        os.utime(os.path.join(system.config, "main.cf"), (1, 1))
    for words in (["-bp"], ["-q"], ["-qRx.test"], ["-qIABC"], ["-qI../x"], ["-bi"]):
        results = [system.run("sendmail", *words) for system in systems]
        shown = [(done.returncode, plain(system, done.stdout), re.sub(r"(?m)^\S*/(\w+: )", r"\1", plain(system, done.stderr)))
                 for system, done in zip(systems, results)]
        same(checks, f"sendmail {' '.join(words)} with nothing running", *shown)
    for system in systems:
        checks.ok(os.path.exists(os.path.join(system.config, "aliases.db")), "-bi builds the table")
        sent = system.run("sendmail", "-f", "joe@box.test", "ann@box.test", input=b"Subject: late\n\n")
        checks.equal((sent.returncode, len(system.queue_files("maildrop"))), (0, 1), "mail is taken while nothing runs")


def main(checks):
    harness.command("sendmail"), harness.command("mtad")
    if os.geteuid() != 0:
        raise Skip("needs root")
    settings = {"fast_flush_domains": "x.test"}
    theirs, ours = Reference(settings), Mtad(settings)
    systems = (ours, theirs)
    try:
        for system in systems:
            system.environment_before = system.environment
            system.environment = lambda system=system: {**type(system).environment(system), "MTAD_NO_FATAL_DELAY": "1"}
            system.write_configuration()
        theirs.run("postfix", "check")
        spied(checks, systems)
        for system in systems:
            system.write_configuration()
        down(checks, systems)
        for system in systems:
            system.start()
        reports(checks, systems)
        checks.note(f"sendmail's modes: {tally[0]} of {tally[1]} equal")
    finally:
        for system in systems:
            system.stop()
            system.remove()


harness.run(main)
