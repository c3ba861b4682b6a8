"""postcat: the reference's and ours, on files of both, with every option: equal to the byte on stdout."""
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import Skip, command, project_root, wait_until
from mtad import Mtad
from queue_records import record
from reference import library_path, tool
from reference_spool import ReferenceSpool
from server import new_directory

OPTIONS = ["", "-e", "-h", "-b", "-be", "-eh", "-bh", "-d", "-o", "-do", "-v", "-ov", "-r", "-ro", "-rov", "-dorv",
           "-s 97", "-s 97 -b", "-c {config}", "-q", "-qbh", "-qv", "-qe -do", "-q -c {config}", "-vv", "-bv", "-hov", "-ebh -v",
           "-s 0", "-ev", "-erov", "-s 150 -rov", "-s 999999999", "-s -1", "-s x", "-s", "-n", "-Z"]
# These end with an error on some file or on each, and then the reference sleeps a second: one file is enough.
FATAL = ("-s 150 -rov", "-s 999999999", "-s -1", "-s x", "-s", "-n", "-Z")


HEAD = record("T", b"12 34")
# Files that no mail system writes; what is printed about them is the reference's all the same.
ODD = {
    "labels": HEAD + record("A", b"foo") + record("c", b"100") + record("W", b"1000") + record("f", b"12")
    + record("S", b"s") + record("K", b"trace_flags=1") + record("R", b"r") + record("Z", b"bad") + record("M")
    + record("N", b"Subject: x") + record("L", b"X-Y: ") + record("N", b" not header") + record("N", b"not a header")
    + record("N", b"Sub: y") + record("N") + record("L", b"ab") + record("L", b"cd") + record("N", b"ef")
    + record("Q", b"odd") + record("M") + record("L", b"unt") + record("X") + record("N", b"text after")
    + record("L", b"filter:x") + record("E") + record("N", b"after"),
    "out of order": HEAD + record("S", b"s") + record("X") + record("R", b"zz") + record("M") + record("N", b"a: b")
    + record("E") + record("N", b"q"),
    "no extracted marker": HEAD + record("M") + record("N", b"a: b") + record("L", b"zzz") + record("E"),
    "bytes": HEAD + record("S", b"nul\0in\nit \x1b") + record("M") + record("N", b"a: b\0c\rd") + record("L", b"zzz"),
    "open lines": HEAD + record("M") + record("N") + record("L", b"zzz") + record("Q", b"q") + record("L", b"zzz")
    + record("A", b"x=y") + record("L", b"zzz") + record("X") + record("L", b"zzz") + record("L", b"zzz") + record("E"),
    "not a queue file": b"root:x:0:0:\n",
    "empty": b"",
    "cut": HEAD + record("S", b"s")[:-1],
}


tally = [0, 0]


def run_both(words, config, standard_input=None):
    """(exit status, standard output) of the reference's and of ours."""
    for program, extra in ((tool("postcat"), {"LD_LIBRARY_PATH": library_path()}), (command("postcat"), {})):
        environment = {"MAIL_CONFIG": config, "TZ": "Europe/Paris", "PATH": "/usr/bin:/bin", "LC_ALL": "C",
                       "MTAD_NO_FATAL_DELAY": "1", **extra}
        done = subprocess.run([program, *words], stdin=standard_input or subprocess.DEVNULL, capture_output=True,
                              env=environment, timeout=60)
        if standard_input:
            standard_input.seek(0)
        yield done.returncode, done.stdout


def differs(words, config, standard_input=None):
    theirs, ours = run_both(words, config, standard_input)
    tally[0] += theirs == ours
    tally[1] += 1
    return theirs != ours and (f"postcat {' '.join(words)}\n  reference {theirs[0]} {theirs[1][-300:]!r}\n"
                               f"  ours      {ours[0]} {ours[1][-300:]!r}")


def compare(checks, files, config, by_id=()):
    """Every option on every file; those of by_id also as queue IDs and on standard input."""
    fatal_done = False
    for label, path in sorted(files.items()):
        wrong = []
        # A fatal error makes the reference sleep a second: broken files get one look.
        for options in OPTIONS[:1] if label == "cut" else OPTIONS:
            words = options.format(config=config).split()
            queue_id = any(word.startswith("-q") for word in words)
            if (options in FATAL and fatal_done) or (queue_id and label not in by_id):
                continue
            wrong.append(differs([*words, os.path.basename(path) if queue_id else path], config))
        if label in by_id:
            with open(path, "rb") as file:
                for options in ("", "-bh", "-do"):
                    wrong.append(differs(options.split(), config, file))
            wrong.append(differs(["-e", path, os.path.join(os.path.dirname(path), ".", os.path.basename(path))], config))
        fatal_done = True
        checks.ok(not any(wrong), f"postcat prints the same of {label}", "\n".join(filter(None, wrong)))


def of_the_reference(checks):
    """A spool that the reference filled, with everything that an envelope can have; long names too."""
    for long_ids in ("no", "yes"):
        with ReferenceSpool({"enable_long_queue_ids": long_ids}) as reference:
            reference.fill()
            reference.stop()
            reference.add_maildrop()
            os.utime(os.path.join(reference.config, "main.cf"), (1, 1))
            paths = sorted(reference.queue_files()) if long_ids == "no" else sorted(reference.queue_files())[:6]
            files = {f"{queue} file {number} of the reference (long IDs {long_ids})": path
                     for number, (queue, path) in enumerate(paths)}
            compare(checks, files, reference.config, by_id=files)
            wrong = [differs(["-q", name], reference.config) for name in ("NOSUCH", "a/b", "", "4jWbK42XXhz1vJ55")]
            checks.ok(not any(wrong), f"postcat -q of IDs that are none (long IDs {long_ids})", "\n".join(filter(None, wrong)))


def of_ours(checks):
    """Files that our own daemon wrote."""
    with Mtad({"default_transport": "smtp:[127.0.0.1]:1", "transport_maps": ""}) as mail:
        for number, text in enumerate([b"Subject: plain\n\nhello\n", b"To: x@far.test\n\n" + b"x" * 5000 + b"\n.\nlast",
                                       b"Subject: 8bit\n\n\xc3\xa9\0\r\n"]):
            sent = mail.sendmail(text, f"bob{number}@far.test", "alice@far.test")
            if sent.returncode:
                raise RuntimeError(sent.stderr.decode(errors="replace"))
        wait_until(lambda: len(mail.queue_files("deferred")) == 3, 20)
        files = {f"our {queue} file {number}": path
                 for number, (queue, path) in enumerate(sorted(mail.queue_files()))}
        checks.ok(len(files) >= 3, "our daemon wrote queue files")
        compare(checks, files, mail.config)


def main(checks):
    directory = new_directory()
    config = os.path.join(directory, "etc")
    os.makedirs(config)
    with open(os.path.join(config, "main.cf"), "w") as file:
        file.write("mail_owner = daemon\nsetgid_group = operator\nmyhostname = mail.example.test\n"
                   f"queue_directory = {directory}\ninet_interfaces = 127.0.0.1\n")
    golden = os.path.join(project_root(), "testdata", "queue")
    files = {f"the reference's {os.path.basename(path)}": path for path in glob.glob(golden + "/*")
             if "." not in os.path.basename(path)}
    for label, data in ODD.items():
        path = os.path.join(directory, label.replace(" ", "_"))
        with open(path, "wb") as file:
            file.write(data)
        files[label] = path
    compare(checks, files, config)
    if os.geteuid() == 0:
        of_the_reference(checks)
    checks.note(f"{tally[0]} of {tally[1]} equal to the reference")
    try:
        command("mtad")
    except Skip as reason:
        checks.note(f"files of our own daemon not compared: {reason}")
        return
    of_ours(checks)


harness.run(main)
