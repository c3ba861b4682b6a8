#!/usr/bin/env python3
"""postconf of this build beside the reference's on the same files: output to the byte, exit status, complaints, and the
files after an edit. Configurations are those in testdata/config and some made by chance from fixed seeds.

usage: postconf.py [--seed N] [--count N] [--only N]   the last shows one seed in full

Environment: MTAD_BUILD (build root), MTAD_REFERENCE (the unpacked reference). Exit 77 skips.
"""
import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import config_samples
from checks import Skip, project_root
from reference import library_path, tool

DATA = pathlib.Path(project_root()) / "testdata" / "config"

# Differences that are meant: a name, why, and how both sides are made alike before they are compared.
INTENDED = {
    "repeated warnings": "the reference tells some things twice, and in the order of its hash tables; ours once",
    "output before a fatal error": "is printed; the reference loses what is still in its buffer",
    "usage line": "our words, one line",
    "own parameters": "parameters of ours (mtad_*) and of later versions do not exist in the reference",
    "process number": "process_id differs from process to process",
    "broken values": "which of several broken values is told first is chance in the reference; ours tells every value once",
    "appended settings": "several new names are appended in the order given; the reference's order is that of a hash table",
    "unchanged entries": "an edit that changes nothing leaves the line as it is; the reference writes it anew",
    "comments behind an entry": "a changed line of master.cf stays before the comments that follow it, which belong to "
                                "the next line; the reference moves it behind them",
    "empty column": "-Fe NAME/TYPE/FIELD= is refused; the reference writes a line with a missing field",
    "no line end": "a file without a line end in its last line gets one; the reference writes new text behind that line",
    "joined command": "-Fh shows a command and its first argument with a blank between; the reference joins them",
    "first argument": "the first argument of a command keeps the braces it needs when it holds blanks; the reference "
                      "prints it without, so that it reads back as several",
    "named twice": "-X and -# with one name twice act; the reference then does nothing",
    "attached -o": "-oNAME=VALUE is one option; the reference's -M takes it apart at every o of the name (not generated)",
    "name and type on two lines": "are read and changed; the reference refuses to change such a file (not generated)",
    "end of mynetworks": "the computed mynetworks ends in a blank in the reference, which only -Mx shows (not generated)",
    "other bytes": "ours shows UTF-8 in messages as it is, the reference a ? for each byte",
    "texts of notices": "those built in are in our words, so -b and -t are compared with templates of a file",
    "SASL types": "-a and -A tell what this build has",
    "table types": "-m tells what this build has",
}
met = {}


def intended(name):
    assert name in INTENDED
    met[name] = met.get(name, 0) + 1


class Program:
    def __init__(self, path, environment):
        self.path = str(path)
        self.environment = {"PATH": os.environ["PATH"], "MTAD_NO_FATAL_DELAY": "1", **environment}

    def run(self, directory, words):
        done = subprocess.run([self.path, *words], env={**self.environment, "MAIL_CONFIG": str(directory)},
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd=directory)
        out = done.stdout.decode("utf-8", "surrogateescape")
        errors = done.stderr.decode("utf-8", "surrogateescape").replace(self.path, "postconf")
        return out, errors, done.returncode


def programs():
    build = os.environ.get("MTAD_BUILD", "")
    ours = pathlib.Path(build) / "bin/postconf/postconf"
    if not ours.exists():
        raise Skip("set MTAD_BUILD to a build with postconf")
    return Program(ours, {}), Program(tool("postconf"), {"LD_LIBRARY_PATH": library_path()})


def plain_output(text, words):
    """Without what cannot be equal: numbers of processes, our own parameters."""
    lines = text.split("\n")
    kept = [line for line in lines if not re.match(r"(process_id|mtad_\w+|full_name_encoding_charset)( =|$)", line)]
    if kept != lines:
        intended("own parameters")
    kept = [re.sub(r"(?<=sbin/postconf )\d+", "N", line) for line in kept]
    if words and "F" in words[0] and "h" in words[0]:
        intended("joined command")
        kept = [line.replace(" ", "") for line in kept]
    return kept


def plain_errors(text):
    """Complaints as a set, without the usage text."""
    text = re.sub(r"usage: .*", "usage", text)
    text = re.sub(r"[^\x00-\x7f]", lambda m: "?" * len(m.group().encode("utf-8", "surrogateescape")), text)
    lines = text.splitlines()
    if len(set(lines)) < len(lines):
        intended("repeated warnings")
    return sorted(set(lines))


SYNTAX = ("macro", "attribute", "expected", "unbalanced", "operator suffix", "number too large", "unexpected input")


def same_errors(ours, theirs):
    a, b = plain_errors(ours), plain_errors(theirs)
    if a == b:
        return True
    if all(any(re.fullmatch("postconf: fatal: (dictionary mail_dict: )?macro processing error", line) for line in side)
           for side in (a, b)):
        # Ours tells every broken value, theirs the ones up to where it stopped.
        intended("broken values")
        broken = lambda lines: {line for line in lines if any(word in line for word in SYNTAX)}
        return "dictionary mail_dict" in theirs or not broken(b) or bool(broken(b) & broken(a))
    if all(any(word in line for word in SYNTAX + ("'}'", "bad field count", "on the same line")) for line in set(a) ^ set(b)):
        intended("broken values")
        return True
    return False


class Comparison:
    def __init__(self):
        self.ours, self.theirs = programs()
        self.equal = self.total = 0
        self.shown = 0

    def tell(self, label, good, detail):
        self.total += 1
        self.equal += good
        if not good:
            print(f"not ok - {label}", flush=True)
            if self.shown < int(os.environ.get("MTAD_SHOW", "40")):
                self.shown += 1
                for line in detail():
                    print("#   " + line[:400])

    def listing(self, label, directory, words):
        both = [program.run(directory, words) for program in (self.ours, self.theirs)]
        outs = [plain_output(one[0], words) for one in both]
        if outs[0] != outs[1] and re.search("^-.?[MF]", words[0] if words else ""):
            bare = [[re.sub("[{}]", "", line) for line in out] for out in outs]
            if bare[0] == bare[1]:
                intended("first argument")
                outs = bare
        if both[0][2] == both[1][2] == 1 and outs[0] != outs[1] and "\n".join(outs[0]).startswith("\n".join(outs[1])):
            intended("output before a fatal error")
            outs = [outs[0], outs[0]]
        good = outs[0] == outs[1] and both[0][2] == both[1][2] and same_errors(both[0][1], both[1][1])
        return label + ": postconf " + " ".join(words), good, lambda: difference(outs, both)

    def notices(self, label, directory, words):
        """-b and -t: the reference lets its bounce service answer, so that complaints bear another name."""
        both = [program.run(directory, words) for program in (self.ours, self.theirs)]
        texts = [re.sub(r"^\S+: ", "", one[1], flags=re.M) for one in both]
        if words[1] in BAD_NOTICES and words[1] != "good":  # the built-in text takes its place, and the words differ
            intended("texts of notices")
            both = [(re.sub(r"(?s)success_template = .*?\nEOF", "", one[0]), *one[1:]) for one in both]
        good = both[0][0] == both[1][0] and both[0][2] == both[1][2] and sorted(set(texts[0].splitlines())) == sorted(
            set(texts[1].splitlines()))
        return label + ": postconf " + " ".join(words), good, lambda: difference(
            [one[0].split("\n") for one in both], [(one[0], text, one[2]) for one, text in zip(both, texts)])

    def edit(self, label, directory, words):
        results = []
        for program in (self.ours, self.theirs):
            with tempfile.TemporaryDirectory(dir=directory.parent) as copy:
                for name in ("main.cf", "master.cf"):
                    text = (directory / name).read_bytes()
                    if not text.endswith(b"\n"):
                        intended("no line end")
                        text += b"\n"
                    (pathlib.Path(copy) / name).write_bytes(text)
                out, errors, status = program.run(copy, words)
                texts = [(pathlib.Path(copy) / name).read_bytes().decode("utf-8", "surrogateescape")
                         for name in ("main.cf", "master.cf")]
                results.append((out, errors.replace(copy, "DIR"), status, texts))
        before = [(directory / name).read_bytes().decode("utf-8", "surrogateescape") for name in ("main.cf", "master.cf")]
        ours, theirs = results
        good = (ours[0] == theirs[0] and ours[2] == theirs[2] and same_errors(ours[1], theirs[1])
                and FileComparison(self.theirs).same(before, ours[3], theirs[3]))
        return label + ": postconf " + " ".join(words), good, lambda: difference(
            [ours[3][0].split("\n") + ours[3][1].split("\n"), theirs[3][0].split("\n") + theirs[3][1].split("\n")], results)


def difference(outs, both):
    ours, theirs = outs
    yield from (f"ours:   {line}" for line in ours if line not in theirs)
    yield from (f"theirs: {line}" for line in theirs if line not in ours)
    if ours != theirs and sorted(ours) == sorted(theirs):
        yield "the order of lines differs"
    a, b = plain_errors(both[0][1]), plain_errors(both[1][1])
    yield from (f"ours says:   {line}" for line in a if line not in b)
    yield from (f"theirs says: {line}" for line in b if line not in a)
    if both[0][2] != both[1][2]:
        yield f"status {both[0][2]}, theirs {both[1][2]}"


def settings_of(text):
    """The logical lines of main.cf, with one blank for many and none around the first =."""
    out = []
    for line in text.split("\n"):
        if line[:1] in (" ", "\t") and out and line.strip() and not line.lstrip().startswith("#"):
            out[-1] += " " + line.strip()
        elif line.strip() and not line.lstrip().startswith("#"):
            out.append(line)
    return [re.sub(r"\s*=\s*", "=", re.sub(r"\s+", " ", line), count=1).strip() for line in out]


def comments_of(text):
    return [line for line in text.split("\n") if line.lstrip().startswith("#")]


class FileComparison:
    """Whether two edits of one pair of files came out alike, but for what is meant to differ."""

    def __init__(self, reader):
        self.reader = reader  # the reference: what its -M prints of both must be equal

    def services_of(self, directory, text):
        (directory / "main.cf").write_text("")
        (directory / "master.cf").write_bytes(text.encode("utf-8", "surrogateescape"))
        out, _, status = self.reader.run(directory, ["-M"])
        if status == 0:
            return re.sub(r"[ \t{}]+", " ", out)
        # Values that cannot be read: only the layout of options is forgiven.
        return re.sub(r"[-o{}\s]+", "", "".join(line for line in text.split("\n") if not line.lstrip().startswith("#")))

    def same(self, before, ours, theirs):
        if ours == theirs:
            return True
        reasons = []
        if ours[0] != theirs[0]:
            a, b = settings_of(ours[0]), settings_of(theirs[0])
            if sorted(a) != sorted(b) or comments_of(ours[0]) != comments_of(theirs[0]):
                return False
            reasons.append("unchanged entries" if a == b else "appended settings")
        if ours[1] != theirs[1]:
            if sorted(comments_of(ours[1])) != sorted(comments_of(theirs[1])):
                return False
            with tempfile.TemporaryDirectory() as name:
                directory = pathlib.Path(name)
                if self.services_of(directory, ours[1]) != self.services_of(directory, theirs[1]):
                    return False
            moved = [not line.strip() or line.lstrip().startswith("#") for line in ours[1].split("\n")] != [
                not line.strip() or line.lstrip().startswith("#") for line in theirs[1].split("\n")]
            reasons.append("comments behind an entry" if moved else "unchanged entries")
        for reason in reasons:
            intended(reason)
        return True


LISTINGS = [[], ["-n"], ["-d"], ["-dx"], ["-x"], ["-f"], ["-nf"], ["-nx"], ["-nh"], ["-H"], ["-dH"], ["-nH"],
            ["-C", "builtin"], ["-C", "service"], ["-C", "user"], ["-C", "user,builtin", "-n"], ["-M"], ["-Mf"], ["-Mx"],
            ["-Mfx"], ["-F"], ["-Fx"], ["-Fh"], ["-FH"], ["-P"], ["-xP"], ["-HP"], ["-hP"], ["-fP"], ["-M", "smtp", "nosuch"],
            ["-M", "smtp/unix"], ["-M", "*/unix", "smtp"], ["-M", "a/b/c"], ["-F", "*/unix/command"], ["-F", "smtp/inet"],
            ["-F", "*/*/type", "slow"], ["-F", "smtp/inet/foo"], ["-F", "a/b/c/d"], ["-P", "slow/unix"],
            ["-P", "*/*/syslog_name"], ["-P", "smtp/inet/nosuch"], ["-n", "relayhost", "myorigin", "nonesuch"],
            ["-o", "relayhost=x", "relayhost"], ["-o", "u1=$relayhost", "-n"], ["-o", "brandnew=1", "-n"],
            ["-xo", "syslog_name=a$mail_name", "syslog_name"], ["-h", "relayhost", "myhostname", "mail_version"],
            ["-x", "smtpd_banner", "mydestination"], ["-d", "u1", "relayhost"], ["-p", "relayhost"], ["relayhost", "relayhost"],
            ["u1", "class_a", "lx_bind"], ["-xf", "smtpd_recipient_restrictions"], ["-hf"][:0] + ["-nhf"], ["-nHf"]]
REFUSED = [["-d", "-n"], ["-C", "bogus"], ["-M", "-P"], ["-F", "-P"], ["-l", "-m"], ["-hM"], ["-dF"], ["-e", "-X", "a"],
           ["-e"], ["-X"], ["-#"], ["-X", "a=b"], ["-X", ""], ["-e", ""], ["-e", "a"], ["-e", "=x"], ["a=b", "c"], ["-Z"],
           ["-o", "x", "-n"], ["-o", "=x", "-n"], ["-e", "#a=b"], ["-e", "a=1\n2"], ["-X", "#a"], ["-T"], ["-c"], ["-xe", "a=b"],
           ["-PX"], ["-Me"], ["-M#"], ["-MX", "smtp"], ["-MX", "a/b/c"], ["-M", "smtp=x"], ["-M", "smtp/inet=x"],
           ["-M", "smtp/inet=smtp foo - - - - - smtpd"], ["-F", "smtp/inet=1"], ["-F", "smtp/inet/type=bad"],
           ["-F", "smtp/inet/*=n"], ["-F", "smtp/inet/chroot=y n"], ["-FX", "smtp/inet/chroot"], ["-P", "smtp/inet=9"],
           ["-P", "smtp/inet/*=9"], ["-P", "smtp/inet/new=9 8"], ["-P#", "smtp/inet/a"], ["-PX", "smtp/inet/a=1"],
           ["-MX", "#smtp/inet"], ["-M", "smtp/inet=a\nb"], ["-t", "a", "b"], ["-b", "-t"], ["-E"], ["-T", "bogus"], ["-an"],
           ["-M", "/"], ["-M", ""], ["-c", "/nonexistent"], ["-c", "/nonexistent", "-e", "a=b"], ["-c", "/nonexistent", "-M"]]
EDITS = [["-e", "mydestination=new value", "brand_new=1"], ["relayhost = [x.example]"], ["-X", "myorigin", "absent"],
         ["-#", "mydestination"], ["-e", "mydestination ="], ["-e", "bogus"], ["-e", "u1=x", "u1=y"], ["-#", "u1", "relayhost"],
         ["-X", "relayhost", "smtpd_banner", "u2"], ["-e", "smtpd_banner=a  b", "mail_name = z"], ["-e", "a=#x"],
         ["-M", "slow/unix=slow unix - - n - - smtp -o a=b -o {c = d e} flags=x"], ["-M", "new/inet=new inet n - - - - smtpd"],
         ["-M#", "slow/unix"], ["-M#", "*/unix"], ["-MX", "smtp/*", "slow/unix"], ["-MX", "nosuch/unix"],
         ["-F", "smtp/inet/chroot=y"], ["-F", "*/unix/chroot=n"], ["-F", "slow/unix/command=smtp -o x=y -v"],
         ["-F", "slow/unix/wakeup=5?", "slow/unix/process_limit=7"], ["-F", "nosuch/inet/chroot=n"],
         ["-F", "smtp/inet/service=zz"], ["-P", "smtp/inet/syslog_name=zz"], ["-P", "*/*/new_one=$x"],
         ["-P", "slow/unix/a=", "slow/unix/b=2"], ["-PX", "*/*/syslog_name"], ["-PX", "slow/unix/u1", "slow/unix/u2"],
         ["-PX", "smtp/inet/none"]]


def fixed_jobs(compare, top):
    share = pathlib.Path(tool("postconf")).parent.parent / "share/postfix"
    cases = [("debian", share / "main.cf.dist", share / "master.cf.dist")]
    cases += [(name, DATA / f"{name}.cf", DATA / "services.cf") for name in ("continuation", "expansion", "trouble")]
    for name, main, master in cases:
        directory = top / name
        directory.mkdir()
        shutil.copyfile(main, directory / "main.cf")
        shutil.copyfile(master, directory / "master.cf")
        for words in LISTINGS + (REFUSED if name in ("debian", "continuation") else []):
            yield compare.listing, name, directory, words
        for words in EDITS:
            yield compare.edit, name, directory, words


BAD_NOTICES = {
    "unknown-header": "Foo: x\nSubject: s\n\ntext\n", "no-text": "Subject: s\n", "8-bit": "Subject: s\n\n\u00fc\n",
    "8-bit-subject": "Charset: utf-8\nSubject: \u00fc\n\nx\n", "empty-header": "Charset:\n\ntext\n", "good": "text\n",
}


def notice_jobs(compare, top):
    directory = top / "notices"
    directory.mkdir()
    (directory / "master.cf").write_text("")
    (directory / "main.cf").write_text(
        "compatibility_level = 3.6\nmyhostname = mail.example.test\nmail_owner = daemon\nsetgid_group = mail\n"
        f"default_privs = nobody\ndelay_warning_time = 4h\ndaemon_directory = {pathlib.Path(tool('bounce')).parent}\n")
    good = (DATA / "notices.txt").read_text()
    (directory / "good").write_text(good)
    for mode in ("-b", "-t"):
        yield compare.notices, "notices", directory, [mode, "good"]
        yield compare.notices, "notices", directory, [mode, "missing"]
    for name, text in BAD_NOTICES.items():
        (directory / name).write_text(good + f"success_template = <<X\n{text}X\n")
        yield compare.notices, name, directory, ["-t", name]
    for name, text in {"broken-name": "hello ${foo", "no-name": "hello $nosuch"}.items():
        (directory / name).write_text(f"failure_template = <<X\n{text}\nX\n")
        yield compare.notices, name, directory, ["-b", name]


def chance_jobs(compare, top, seeds):
    for seed in seeds:
        rng = random.Random(seed)
        directory = top / f"seed{seed}"
        directory.mkdir()
        broken = 0.02 if seed % 10 == 0 else 0.0
        (directory / "main.cf").write_text(config_samples.main_cf(rng, broken), newline="")
        (directory / "master.cf").write_text(config_samples.master_cf(rng, 0.1 if seed % 17 == 0 else 0.0), newline="")
        for words in [["-n"], ["-nx"], ["-M"], ["-P"]] + rng.sample(LISTINGS[4:], 3):
            yield compare.listing, f"seed {seed}", directory, words
        for words in rng.sample(EDITS, 2):
            yield compare.edit, f"seed {seed}", directory, words


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    compare = Comparison()
    seeds = [options.only] if options.only else range(options.seed, options.seed + options.count)
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(24) as pool:
        top = pathlib.Path(name)
        jobs = list(chance_jobs(compare, top, seeds))
        if not options.only:
            jobs = list(fixed_jobs(compare, top)) + list(notice_jobs(compare, top)) + jobs
        for label, good, detail in pool.map(lambda job: job[0](*job[1:]), jobs):
            compare.tell(label, good, detail)
        if options.only:
            for file in ("main.cf", "master.cf"):
                print(f"--- {file}\n" + (top / f"seed{options.only}" / file).read_text())
    for name, count in sorted(met.items()):
        print(f"# intended difference, met {count} times: {name}: {INTENDED[name]}")
    print(f"{compare.equal}/{compare.total} equal")
    return 0 if compare.equal == compare.total else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Skip as reason:
        print(f"# skipped: {reason}")
        sys.exit(77)
