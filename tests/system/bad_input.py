"""Broken configuration, broken tables, broken spools, broken clients: the message or the behaviour of each."""
import os
import random
import re
import shutil
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from server import process_tree  # noqa: E402

MESSAGE = b"Subject: hello\n\nhello\n"


def refuses_to_start(checks, sentence, change, *texts, parameters=None):
    """Applies change(server) to a good configuration; the daemon must say texts and end with status 1."""
    server = Mtad(parameters)
    server.write_configuration()
    change(server)
    server.start(configure=False, wait=False)
    ended = wait_until(lambda: server.process.poll() is not None, 15)
    status = server.process.poll()
    said = server.said() + server.log()
    checks.ok(ended and status not in (0, None) and all(re.search(text, said) for text in texts), sentence,
              f"status {status}\n{said[-1200:]}")
    server.stop()
    server.remove()


def append(name, text):
    def change(server):
        with open(os.path.join(server.config, name), "a") as file:
            file.write(text)
    return change


def configuration(checks):
    refuses_to_start(checks, "main.cf: a line without = is fatal, with file and line",
                     append("main.cf", "this line is nonsense\n"), r"fatal: .*main\.cf.*line \d+: missing '=' after attribute name")
    refuses_to_start(checks, "main.cf: a bad number is fatal, and names the parameter",
                     append("main.cf", "default_process_limit = many\n"), r"fatal: .*default_process_limit.*many")
    refuses_to_start(checks, "main.cf: a bad time is fatal, and names the parameter",
                     append("main.cf", "queue_run_delay = 5 fortnights\n"), r"fatal: .*queue_run_delay.*5 fortnights")
    refuses_to_start(checks, "main.cf: a bad yes/no is fatal, and names the parameter",
                     append("main.cf", "soft_bounce = perhaps\n"), r"fatal: .*soft_bounce.*perhaps")
    refuses_to_start(checks, "master.cf: an unknown type is fatal, with file and line",
                     append("master.cf", "odd carrier-pigeon n - n - - smtpd\n"), r"fatal: .*master\.cf.*line \d+: .*carrier-pigeon")
    refuses_to_start(checks, "master.cf: too few fields are fatal, with file and line",
                     append("master.cf", "short unix n -\n"), r"fatal: .*master\.cf.*line \d+")
    refuses_to_start(checks, "master.cf: an unknown program is fatal, naming the line",
                     append("master.cf", "odd unix - - n - - no-such-program\n"), r"no-such-program")
    refuses_to_start(checks, "no main.cf is fatal",
                     lambda server: os.unlink(os.path.join(server.config, "main.cf")), r"fatal: .*open .*main\.cf.*No such file")
    if os.geteuid() == 0:
        refuses_to_start(checks, "an unknown mail_owner is fatal", lambda server: None, r"mail_owner.*nobody-knows-me",
                         parameters={"mail_owner": "nobody-knows-me"})


def missing_table(checks):
    with Mtad({"virtual_alias_maps": "hash:/nonexistent/virtual"}) as server:
        with Session(server.port) as session:
            session.command("MAIL FROM:<a@example.test>")
            code, text = session.command("RCPT TO:<box@box.test>")
            if code == 250:
                code, text = session.command("DATA")
                if code == 354:
                    session.raw(MESSAGE.replace(b"\n", b"\r\n") + b".\r\n")
                    code, text = session.reply()
        checks.ok(code in (451, 421, 0), "a missing table is a temporary error, never an unknown user", f"{code} {text}")
        checks.ok(server.wait_log("/nonexistent/virtual", 5), "and the log names the table", server.log()[-800:])
        checks.ok(not server.maildir("box"), "and nothing is delivered past it")


def unreadable_spool(checks):
    def change(server):
        shutil.rmtree(server.spool)
        with open(server.spool, "w") as file:
            file.write("a file, not a directory\n")
    refuses_to_start(checks, "a spool that is no directory is fatal, and named", change, r"fatal: .*spool.*Not a directory")


def damaged_queue_file(checks):
    with Mtad() as server:
        server.stop()
        good = server.sendmail(MESSAGE, "box@box.test")
        incoming = os.path.join(server.spool, "incoming")
        damaged = {"0123456789A": b"this is no queue file at all\n", "0123456789B": b"", "0123456789C": b"C\x0f  some rubbish \xff\xff\xff\xff\xff\xff"}
        owner = os.stat(os.path.join(server.spool, "incoming"))
        for name, content in damaged.items():
            path = os.path.join(incoming, name)
            with open(path, "wb") as file:
                file.write(content)
            os.chown(path, owner.st_uid, owner.st_gid)
            os.chmod(path, 0o700)
        server.start(configure=False)
        checks.ok(good.returncode == 0 and wait_until(lambda: len(server.maildir("box")) == 1, 20),
                  "mail flows past damaged queue files", server.log()[-1500:])
        aside = wait_until(lambda: len(server.queue_files("corrupt")) >= 2, 10)
        names = sorted(os.path.basename(path) for _, path in server.queue_files("corrupt"))
        checks.ok(aside and len(names) <= len(damaged), "damaged files go to corrupt/", f"{names}\n{server.log()[-1500:]}")
        checks.ok(all(name in server.log() for name in names), "and the log names them", server.log()[-1500:])
        with Session(server.port) as session:
            session.send("a@example.test", "box@box.test", MESSAGE)
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 2, 20), "and new mail flows on", server.log()[-800:])


def memory(server):
    total = 0
    for pid in process_tree(server.pid):
        try:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            pass
    return total


def clients(checks):
    with Mtad({"smtpd_timeout": "3s", "smtpd_error_sleep_time": "0", "message_size_limit": "20000000",
               "smtpd_starttls_timeout": "3s"}) as server:
        # Garbage.
        with Session(server.port) as session:
            code, text = session.command(bytes(range(128, 256)) + b"\x00\x01\x1b[2J\r\n")
            checks.ok(code in (500, 502), "garbage is answered with 5xx", f"{code} {text}")
            code, _ = session.command("NOOP")
            checks.equal(code, 250, "and the session goes on")
        with socket.create_connection(("127.0.0.1", server.port), 10) as raw:
            raw.settimeout(10)
            raw.recv(512)
            raw.sendall(b"GET / HTTP/1.1\r\nHost: mx.example.test\r\n\r\n")
            data = b""
            try:
                while chunk := raw.recv(4096):
                    data += chunk
            except ConnectionResetError:
                pass
            checks.ok(data.startswith(b"221 ") or data == b"", "an HTTP request ends the session", repr(data[:200]))
            checks.ok(server.wait_log("non-SMTP command from", 5), "and is logged as what it is", server.log()[-600:])
        rng = random.Random(1)
        for size in (100, 3000, 200000):
            with socket.create_connection(("127.0.0.1", server.port), 10) as raw:
                raw.settimeout(10)
                raw.recv(512)
                try:
                    raw.sendall(rng.randbytes(size))
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(65536):
                        pass
                except OSError:
                    pass
        checks.ok("\x1b" not in server.log() and "\x01" not in server.log(), "no control byte reaches the log")
        # A line of 10 MB: as a command, then as message content.
        before = memory(server)
        with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
            raw.settimeout(30)
            raw.recv(512)
            answer = b""
            try:
                for _ in range(160):
                    raw.sendall(b"x" * 65536)
                raw.sendall(b"\r\nQUIT\r\n")
                while chunk := raw.recv(4096):
                    answer += chunk
            except OSError:
                pass
        grown = memory(server) - before
        checks.ok(answer == b"" or re.match(rb"(5\d\d|421|221) ", answer), "a command line of 10 MB is refused", repr(answer[:200]))
        checks.ok(grown < 8 << 20, "without taking memory", f"{grown >> 10} KiB")
        with Session(server.port) as session:
            line = b"0123456789" * 1000000
            reply = session.send("a@example.test", "box@box.test", b"Subject: long\n\n" + line + b"\nend\n")
        arrived = wait_until(lambda: len(server.maildir("box")) == 1, 30)
        body = server.maildir("box")[0].split(b"\n\n", 1)[1] if arrived else b""
        checks.ok(body == line + b"\nend\n", "a content line of 10 MB arrives whole",
                  f"{len(body)} bytes, {body.count(10)} lines: {reply}")
        # A silent client.
        with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
            raw.settimeout(20)
            raw.recv(512)
            began = time.monotonic()
            said = b""
            try:
                while chunk := raw.recv(4096):
                    said += chunk
            except OSError:
                pass
            seconds = time.monotonic() - began
        checks.ok(b"421 4.4.2 mx.example.test Error: timeout exceeded" in said and 2 <= seconds <= 8,
                  "a silent client is told 421 4.4.2 when its time is over", f"{seconds:.1f} s, {said!r}")
        checks.ok(server.wait_log("timeout after CONNECT from", 5), "and the log says so", server.log()[-600:])
        with Session(server.port) as session:
            session.send("a@example.test", "box@box.test", MESSAGE)
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 2, 20), "and mail flows on")


def main(checks):
    for part in (configuration, missing_table, unreadable_spool, damaged_queue_file, clients):
        try:
            part(checks)
        except Skip:
            raise
        except Exception as error:  # one broken part must not hide the others
            checks.ok(False, f"{part.__name__} runs to its end", repr(error))


run(main)
