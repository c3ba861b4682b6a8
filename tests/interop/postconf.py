#!/usr/bin/env python3
"""postconf of this build beside the reference's, on the same files: output, status and warnings.

Environment: MTAD_BUILD (build root), MTAD_REFERENCE (the unpacked reference). Exit 77 skips.
Differences that are meant:
- our own parameters (mtad_*) do not exist in the reference, and process numbers differ;
- a warning is printed once, where the reference repeats it;
- the reference's -hF joins a command and its first argument ("pipeflags="), and its -M takes -oNAME=VALUE in one
  word apart wrongly; ours does neither;
- several new names are appended in the order given, where the reference's order is that of its hash table.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent.parent / "testdata" / "config"
BUILD = os.environ.get("MTAD_BUILD", "")
REFERENCE = os.environ.get("MTAD_REFERENCE", "")
OURS = pathlib.Path(BUILD) / "bin/postconf/postconf"
THEIRS = pathlib.Path(REFERENCE) / "usr/sbin/postconf"

LISTINGS = [[], ["-n"], ["-d"], ["-dx"], ["-x"], ["-f"], ["-nf"], ["-nx"], ["-h"], ["-H"], ["-dH"], ["-C", "builtin"],
            ["-C", "service"], ["-C", "user"], ["-M"], ["-Mf"], ["-F"], ["-P"], ["-xP"], ["-HP"], ["-hP"],
            ["-M", "smtp", "nosuch"], ["-M", "smtp/unix"], ["-F", "*/unix/command"], ["-F", "smtp/inet"],
            ["-P", "slow/unix"], ["-n", "relayhost", "myorigin", "nonesuch"], ["-o", "relayhost=x", "relayhost"],
            ["-h", "relayhost", "myhostname", "mail_version"], ["-x", "smtpd_banner", "mydestination"],
            ["-d", "-n"], ["-C", "bogus"], ["-l"]]
EDITS = [["-e", "mydestination=new value", "brand_new=1"], ["relayhost = [x.example]"], ["-X", "myorigin", "absent"],
         ["-#", "mydestination"], ["-e", "mydestination ="], ["-e", "bogus"], ["-X", "a=b"]]
BAD_MAIN = ["bogus line\n", "a = 1\n\n= x\n", "two words = x\n", "myorigin = ${x\n", "  indented = 1\n"]
BAD_MASTER = ["smtp inet n - n - -\n", "smtp foo n - n - - smtpd\n", "smtp inet q - n - - smtpd\n",
              "smtp inet n x n - - smtpd\n", "smtp inet n - x - - smtpd\n", "smtp inet n - n ?6 - smtpd\n",
              "smtp inet n - n - x smtpd\n"]
failures = 0


def run(program, directory, words):
    env = {"PATH": os.environ["PATH"], "MAIL_CONFIG": str(directory), "MTAD_NO_FATAL_DELAY": "1",
           "LD_LIBRARY_PATH": f"{REFERENCE}/usr/lib/postfix" if program == THEIRS else ""}
    done = subprocess.run([str(program), *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    out = [line for line in done.stdout.decode("utf-8", "replace").splitlines()
           if not re.match(r"process_id|mtad_", line)]
    errors = done.stderr.decode("utf-8", "replace").replace(str(program), "postconf").splitlines()
    return out, sorted(set(errors)), done.returncode


def settle(lines):
    """Numbers of processes, which differ."""
    return [re.sub(r"(sbin/postconf )\d+", r"\1N", line) for line in lines]


def report(name, ours, theirs):
    global failures
    good = ours == theirs
    failures += not good
    print("ok" if good else "FAILED", name)
    if not good:
        print("  ours:  ", str(ours)[:2000])
        print("  theirs:", str(theirs)[:2000])


def difference(ours, theirs):
    """Only what differs, so that a failure can be read."""
    return [line for line in ours if line not in theirs], [line for line in theirs if line not in ours]


def compare(name, directory, words):
    ours, theirs = run(OURS, directory, words), run(THEIRS, directory, words)
    label = f"{name}: postconf {' '.join(words)}"
    a, b = settle(ours[0]), settle(theirs[0])
    if "-h" in words and len(words) == 1:
        # Values alone: take the process number and our own (empty) parameter out.
        a, b = [[line for line in x if line and not line.isdigit()] for x in (a, b)]
    if a == b:
        report(label, (ours[1], ours[2]), (theirs[1], theirs[2]))
    else:
        report(label, *difference(a, b)) if set(a) != set(b) else report(label, a, b)


def sample(directory, main, master):
    directory.mkdir()
    shutil.copyfile(main, directory / "main.cf")
    shutil.copyfile(master, directory / "master.cf")
    return directory


def fatal_text(errors):
    """The words of a fatal error; the file and line that ours adds in front are its own."""
    return [re.sub(r"^postconf: (warning|fatal): (file )?(/\S+?(,|:) line \d+: )?", "", line) for line in errors]


def main():
    if not OURS.exists() or not THEIRS.exists():
        print("skipped: needs MTAD_BUILD with postconf and MTAD_REFERENCE")
        return 77
    share = pathlib.Path(REFERENCE) / "usr/share/postfix"
    master = share / "master.cf.dist"
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        cases = [sample(top / "debian", share / "main.cf.dist", master)]
        for file in ("continuation", "expansion", "trouble"):
            cases.append(sample(top / file, DATA / f"{file}.cf", DATA / "services.cf"))
        for case in cases:
            for words in LISTINGS:
                compare(case.name, case, words)
        for case in cases:
            for words in EDITS:
                results = []
                for program in (OURS, THEIRS):
                    copy = top / "copy"
                    shutil.copytree(case, copy)
                    _, errors, status = run(program, copy, words)
                    results.append(((copy / "main.cf").read_text().splitlines(), errors, status))
                    shutil.rmtree(copy)
                report(f"{case.name}: edit {' '.join(words)}", *results)
        for kind, texts in (("main.cf", BAD_MAIN), ("master.cf", BAD_MASTER)):
            for text in texts:
                bad = top / "bad"
                shutil.copytree(cases[0], bad)
                (bad / kind).write_text(text)
                words = ["-nx"] if kind == "main.cf" else ["-M"]
                ours, theirs = run(OURS, bad, words), run(THEIRS, bad, words)
                report(f"bad {kind}: {text!r}", (ours[2], fatal_text(ours[1])), (theirs[2], fatal_text(theirs[1])))
                shutil.rmtree(bad)
    print(f"{failures} differences")
    return 1 if failures else 0


sys.exit(main())
