"""postcat: the reference's and ours, on files of both, with every option: equal to the byte on stdout."""
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import Skip, command, project_root, wait_until
from mtad import Mtad
from reference import library_path, tool
from server import new_directory

OPTIONS = ["", "-e", "-h", "-b", "-be", "-eh", "-bh", "-d", "-o", "-do", "-v", "-ov", "-r", "-ro", "-rov", "-dorv",
           "-s 97", "-s 97 -b", "-c {config}"]


def record(kind, data=b""):
    assert len(data) < 128
    return kind.encode() + bytes([len(data)]) + data


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


def compare(checks, files, config):
    both = []
    for program, extra in ((tool("postcat"), {"LD_LIBRARY_PATH": library_path()}), (command("postcat"), {})):
        environment = {"MAIL_CONFIG": config, "TZ": "Europe/Paris", "PATH": "/usr/bin:/bin",
                       "MTAD_NO_FATAL_DELAY": "1", **extra}
        both.append((program, environment))
    for label, path in sorted(files.items()):
        wrong = []
        # A fatal error makes the reference sleep a second: broken files get one look.
        for options in OPTIONS[:1] if label == "cut" else OPTIONS:
            words = options.format(config=config).split()
            results = [subprocess.run([program, *words, path], capture_output=True, env=environment, timeout=60)
                       for program, environment in both]
            if results[0].stdout != results[1].stdout or results[0].returncode != results[1].returncode:
                wrong.append(f"postcat {options}: {results[0].returncode} {results[0].stdout[-300:]!r}\n"
                             f"ours: {results[1].returncode} {results[1].stdout[-300:]!r}")
        checks.ok(not wrong, f"postcat prints the same of {label}", "\n".join(wrong))


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
    try:
        command("mtad")
    except Skip as reason:
        checks.note(f"files of our own daemon not compared: {reason}")
        return
    of_ours(checks)


harness.run(main)
