"""A spool that the reference filled: mail with every feature an envelope can have, none of it deliverable, so that the queue
files stay for others to read.

What goes in by sendmail and by SMTP covers DSN, VERP, SMTPUTF8, long lines, NULs, many recipients, original recipients,
filters and redirections of header checks, a filter's edits (pointer records), mail on hold, done recipients, notices."""
import os
import socket
import subprocess
import sys

from checks import Skip, project_root, wait_until
from reference import Reference
from senders import Session
from server import free_port, is_listening

LONG = b"x" * 5000
HEADER_CHECKS = r"""/^X-Filter:/ FILTER smtp:[127.0.0.1]:1
/^X-Redirect:/ REDIRECT elsewhere@far.test
/^X-Bcc:/ BCC copy@far.test
/^X-Hold:/ HOLD because
/^X-Prepend:/ PREPEND X-Prepended: yes
/^X-Replace:/ REPLACE X-Replaced: yes
/^X-Ignore:/ IGNORE
"""
VIRTUAL = """alias@example.test one@far.test
list@example.test m1@far.test, m2@far.test, m1@far.test
nested@example.test list@example.test, alias@example.test, own@hold.test
"""
# name, arguments, message
SENDMAIL = [
    ("plain", ["-f", "me@example.test", "bob@hold.test", "alice@far.test"], b"Subject: plain\n\nhello\n"),
    ("null sender", ["-f", "", "nobody@far.test"], b"Subject: n\n\n" + LONG + b"\nafter\n"),
    ("many recipients", ["-f", "me@example.test", *(f"user{n}@far{n % 7}.test" for n in range(180))], b"Subject: m\n\nbody\n"),
    ("headers", ["-t", "-f", "a@example.test", "-F", "Full \"N"],
     b'To: "two words"@far.test, <b@far.test>\nCc: c@far.test\nBcc: hidden@far.test\n\nb\xe9dy\nno end'),
    ("DSN", ["-f", "a@example.test", "-N", "success,failure,delay", "-R", "hdrs", "-V", "ENV+20ID", "d@far.test"], b"X: y\n\nb\n"),
    ("DSN never", ["-f", "a@example.test", "-N", "never", "-R", "full", "d@far.test", "e@far.test"], b"X: y\n\nb\n"),
    ("VERP", ["-XV", "-f", "owner@example.test", "a@far.test", "b@far.test"], b"Subject: v\n\nb\n"),
    ("VERP with its own delimiters", ["-XV-=", "-f", "owner@example.test", "a@far.test"], b"Subject: v\n\nb\n"),
    ("report", ["-v", "-f", "me@example.test", "bob@hold.test"], b"Subject: trace\n\nb\n"),
    ("NULs", ["-f", "me@example.test", "bob@hold.test"], b"Subject: a\0b\n\nnul\0 in\0\0 text\n\0\n"),
    ("stray CR", ["-f", "me@example.test", "bob@hold.test"], b"Subject: a\n\na\rb\r\r\nc\n"),
    ("long header", ["-f", "me@example.test", "bob@hold.test"],
     b"X-Long: " + LONG + b"\n " + LONG + b"\n\tfolded\n\n" + b"z" * 2048 + b"\n" + b"z" * 2049 + b"\n"),
    ("empty", ["-f", "me@example.test", "bob@hold.test"], b""),
    ("no header", ["-f", "me@example.test", "bob@hold.test"], b"no header here\n\nFrom x\n>From y\n"),
    ("aliases", ["-f", "me@example.test", "nested@example.test", "bob@hold.test", "list@example.test"], b"Subject: a\n\nb\n"),
    ("odd recipients", ["-f", "me@example.test", "two words@far.test", "a\"b@far.test", "c\\d@far.test", "x" * 60 + "@far.test"],
     b"Subject: o\n\nb\n"),
    ("content filter", ["-f", "me@example.test", "bob@hold.test"], b"X-Filter: y\nSubject: f\n\nb\n"),
    ("redirection", ["-f", "me@example.test", "bob@hold.test", "carl@far.test"], b"X-Redirect: y\nSubject: r\n\nb\n"),
    ("copy", ["-f", "me@example.test", "bob@hold.test"], b"X-Bcc: y\nSubject: c\n\nb\n"),
    ("hold", ["-f", "me@example.test", "bob@hold.test"], b"X-Hold: y\nSubject: h\n\nb\n"),
    ("header edits", ["-f", "me@example.test", "bob@hold.test"], b"X-Prepend: a\nX-Replace: b\nX-Ignore: c\nSubject: e\n\nb\n"),
    ("bounce", ["-f", "me@hold.test", "-N", "failure", "-V", "E", "nosuch@local.test", "bob@hold.test"], b"Subject: b\n\nb\n"),
    ("remote context", ["-G", "-f", "me@example.test", "bob@hold.test"], b"To: x\nFrom: y\n\nb\n"),
    ("8 bit", ["-B", "8BITMIME", "-f", "me@example.test", "bob@hold.test"], b"Subject: \xc3\xa9\n\n\xe9\xff\n"),
    ("UTF-8 addresses", ["-f", "ü@example.test", "ä@far.test"], "Subject: ö\n\nü\n".encode()),
]
# name, MAIL options, [(recipient, options)], message
SMTP = [
    ("SMTP", "", [("bob@hold.test", "")], b"Subject: s\r\n\r\n..dot\r\n"),
    ("SMTP with DSN", " BODY=8BITMIME RET=FULL ENVID=abc", [("bob@hold.test", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@else.test"),
                                                           ("alice@far.test", " NOTIFY=NEVER")], b"Subject: d\r\n\r\n\xe9\r\n"),
    ("SMTPUTF8", " SMTPUTF8 BODY=8BITMIME", [("bob@hold.test", ""), ("jörg@far.test", " ORCPT=utf-8;j\\x{F6}rg@x.test")],
     "From: ü@example.test\r\nSubject: ö\r\n\r\nü\r\n".encode()),
    ("XVERP", " XVERP=+=", [("bob@hold.test", ""), ("carl@far.test", "")], b"Subject: v\r\n\r\nb\r\n"),
    ("SMTP to a list", "", [("nested@example.test", " ORCPT=rfc822;who@where.test"), ("list@example.test", "")], b"S: x\r\n\r\nb\r\n"),
    ("SMTP NULs", "", [("bob@hold.test", "")], b"Subject: \0\r\n\r\n\0a\0\r\n" + LONG + b"\r\n"),
]


class ReferenceSpool(Reference):
    """A reference whose mail never leaves; fill() it, then look at queue_files()."""

    def __init__(self, parameters=None):
        self.milter_port, self.edited_port, self.filtered_port = free_port(), free_port(), free_port()
        self.milter = None
        services = (f"127.0.0.1:{self.edited_port} inet n - n - - smtpd\n"
                    f"  -o smtpd_milters=inet:127.0.0.1:{self.milter_port}\n"
                    f"127.0.0.1:{self.filtered_port} inet n - n - - smtpd\n  -o content_filter=smtp:[127.0.0.1]:1\n")
        super().__init__({
            "default_transport": "smtp:[127.0.0.1]:1", "local_transport": "error:5.1.1 no such user", "relayhost": "",
            "virtual_alias_maps": "texthash:$config_directory/virtual", "smtpd_authorized_verp_clients": "127.0.0.1",
            "virtual_alias_domains": "", "mydestination": "local.test", "header_checks": "regexp:$config_directory/header_checks",
            "smtputf8_enable": "yes", "queue_run_delay": "3600s", "minimal_backoff_time": "3600s",
            "smtpd_forbid_bare_newline": "no", "strict_smtputf8": "no", "default_destination_recipient_limit": "500",
            **(parameters or {})}, services=services)

    def write_configuration(self):
        super().write_configuration()
        for name, text in (("header_checks", HEADER_CHECKS), ("virtual", VIRTUAL)):
            with open(os.path.join(self.config, name), "w") as file:
                file.write(text)

    def start(self, *arguments, **words):
        script = os.path.join(project_root(), "testdata/queue/editing_milter.py")
        self.milter = subprocess.Popen([sys.executable, "-B", script, str(self.milter_port), "40"])
        if not wait_until(lambda: is_listening(self.milter_port), 10):
            raise Skip("the milter did not start")
        return super().start(*arguments, **words)

    def stop(self, *arguments, **words):
        if self.milter:
            self.milter.kill()
            self.milter.wait()
            self.milter = None
        return super().stop(*arguments, **words)

    def by_smtp(self, port, mail_options, recipients, message):
        with Session(port) as session:
            for line in (f"MAIL FROM:<sender@example.test>{mail_options}", *(f"RCPT TO:<{to}>{more}" for to, more in recipients),
                         "DATA"):
                session.raw(line.encode() + b"\r\n")
                code, text = session.reply()
                if code >= 400:
                    raise RuntimeError(f"{line}: {code} {text}")
            session.raw(message + b".\r\n")
            code, text = session.reply()
            if code != 250:
                raise RuntimeError(f"end of data: {code} {text}")

    def fill(self):
        """Puts everything in and waits until nothing moves any more. Returns the number of queue files."""
        for name, arguments, message in SENDMAIL:
            done = self.run("sendmail", "-i", *arguments, input=message)
            if done.returncode:
                raise RuntimeError(f"{name}: {done.stderr.decode(errors='replace')}")
        for _, options, recipients, message in SMTP:
            self.by_smtp(self.port, options, recipients, message)
        edits = b"Subject: to be changed\r\nX-Remove: 1\r\nTo: x\r\n\r\n" + b"old body\r\n" * 3
        self.by_smtp(self.edited_port, "", [("bob@hold.test", ""), ("gone@far.test", "")], edits)
        self.by_smtp(self.edited_port, " ENVID=x", [("bob@hold.test", " NOTIFY=NEVER"), ("gone@far.test", "")],
                     b"X-Remove: 1\r\nX-Keep: y\r\n folded\r\n\r\n" + b"long old body\r\n" * 90)
        self.by_smtp(self.filtered_port, "", [("bob@hold.test", ""), ("ann@far.test", "")], b"Subject: f\r\n\r\nb\r\n")
        wanted = len(SENDMAIL) + len(SMTP) + 3

        def settled():
            queues = [queue for queue, _ in self.queue_files()]
            return len(queues) >= wanted + 1 and not {"maildrop", "incoming", "active"} & set(queues)  # + 1: the notice
        if not wait_until(settled, 40, 0.1):
            raise RuntimeError(f"{sorted(self.queue_files())}\n{self.log()[-4000:]}")
        return len(self.queue_files())

    def add_maildrop(self):
        """Once the mail system has stopped: submissions that nobody picks up."""
        for _, arguments, message in SENDMAIL[:8]:
            self.run("sendmail", "-i", *arguments, input=message)
