"""Plays the same SMTP conversations to the reference's smtpd and to ours, and compares every reply.

Intended differences: no SMTPUTF8 is offered (smtputf8_enable = no on both sides), and a refused MAIL or message leaves
nothing of its transaction behind."""
import re
import socket

from checks import run
from mtad import Mtad
from reference import Reference

PARAMETERS = {
    "smtputf8_enable": "no",
    "mynetworks": "127.0.0.2/32",
    "mydestination": "example.test, localhost",
    "myhostname": "mx.example.test",
    "smtpd_banner": "$myhostname ESMTP $mail_name",
    "local_recipient_maps": "inline:{bob=x} inline:{alice=x} inline:{postmaster=x}",
    "virtual_alias_domains": "va.test",
    "virtual_alias_maps": "inline:{al@va.test=bob@example.test}",
    "relay_domains": "relay.test",
    "smtpd_forbid_bare_newline": "normalize",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "smtpd_soft_error_limit": "50",
    "smtpd_hard_error_limit": "12",
    "default_transport": "discard",
    "relay_transport": "discard",
    "local_transport": "discard",
    "in_flow_delay": "0",
}

MAIL, RCPT = "MAIL FROM:<a@b.test>", "RCPT TO:<bob@example.test>"

# A step is a command line, or bytes; a pair adds how many replies follow.
CONVERSATIONS = {
    "greetings": ["HELO", "EHLO", "HELO x y", "EHLO a b", "EHLO client.test", "NOOP", "NOOP foo", "RSET", "RSET x", "QUIT"],
    "verify": ["EHLO c.test", "VRFY bob@example.test", "VRFY <nobody@example.test>", "VRFY x@y.test", "VRFY a b", "QUIT"],
    "unknown": ["EHLO c.test", "HELP", "HELP x", "EXPN x", "TURN", "AUTH PLAIN", "STARTTLS", "", "noop", " NOOP", "QUIT"],
    "etrn": ["EHLO c.test", "ETRN", "ETRN x.test", "ETRN a..b", "ETRN a b", MAIL, "ETRN x.test", "QUIT"],
    "order": ["DATA", RCPT, MAIL, MAIL, "DATA", RCPT, "DATA x", "RSET", "DATA", "EHLO x", MAIL, RCPT, "HELO y", RCPT, "QUIT"],
    "mail syntax": ["EHLO c", "MAIL", "MAIL FROM", "MAIL FROM:", "MAIL TO:<a@b>", "MAIL FROM a@b", "MAIL FROM : <a@b>",
                    "MAIL FROM:<a@b.test", "MAIL FROM:<a b@c.test>", "MAIL FROM:<a@-b.test>", "MAIL FROM:<a@b.test>x", "QUIT"],
    "mail forms": ["EHLO c", "MAIL FROM:a@b.test", "RSET", "MAIL FROM: <a@b.test>", "RSET", "MAIL FROM:<\"a b\"@c.test>", "RSET",
                   "MAIL FROM:<<a@b.test>>", "RSET", "MAIL from:<a.@b.test>", "RSET", "MAIL FROM:<a,b@b.test>", "QUIT"],
    "mail options": ["EHLO c", MAIL + " FOO", MAIL + " FOO=BAR", MAIL + " SIZE", MAIL + " SIZE=", MAIL + " SIZE=x",
                     MAIL + " RET=x", MAIL + " RET=FULL RET=HDRS", MAIL + " ENVID=", MAIL + " ENVID=+zz",
                     MAIL + " BODY=BINARYMIME", "QUIT"],
    "mail options taken": ["EHLO c", MAIL + " SIZE=10240000", "RSET", MAIL + " BODY=8BITMIME SIZE=0 RET=HDRS ENVID=foo+2Bbar",
                           "RSET", MAIL + " AUTH=<>", "QUIT"],
    "size": ["EHLO c", MAIL + " SIZE=10240001", "QUIT"],
    "recipient options": ["EHLO c", MAIL, RCPT + " NOTIFY=", RCPT + " NOTIFY=NEVER,FAILURE", RCPT + " NOTIFY=SUCCESS NOTIFY=NEVER",
                          RCPT + " ORCPT=x", RCPT + " ORCPT=;a", RCPT + " FOO=x", RCPT + " ORCPT=rfc822;a@b NOTIFY=DELAY", "QUIT"],
    "recipients": ["EHLO c", MAIL, "RCPT TO:<nobody@example.test>", "RCPT TO:<x@elsewhere.test>", "RCPT TO:<x@relay.test>",
                   "RCPT TO:<al@va.test>", "RCPT TO:<nb@va.test>", "RCPT TO:<postmaster>", "RCPT TO:<>", "QUIT"],
    "relay attempts": ["EHLO c", MAIL, "RCPT TO:<x%else.test@example.test>", "RCPT TO:<else.test!x>",
                       "RCPT TO:<\"x@else.test\"@example.test>", "RCPT TO:<bob@[127.0.0.9]>", "RCPT TO:<@example.test:x@else.test>",
                       "RCPT TO:<bob@sub.relay.test>", "RCPT TO:<bob@example.test.>", "QUIT"],
    "a message": ["EHLO c", MAIL, RCPT, "DATA", b"Subject: x\r\n\r\n..y\r\n.\r\n", MAIL, "QUIT"],
    "an empty message": ["EHLO c", MAIL, RCPT, "DATA", b".\r\n", "QUIT"],
    "pipelined": ["EHLO c", (b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n", 3), b"x\r\n.\r\n", "QUIT"],
    "smuggling": ["EHLO c", MAIL, RCPT, "DATA", b"a\n.\nMAIL FROM:<>\n.\r\nb\r\n.\nc\r.\rd\r\n.\r\n", "NOOP", "QUIT"],
    "hops": ["EHLO c", MAIL, RCPT, "DATA", b"Received: x\r\n" * 51 + b"\r\n.\r\n", "QUIT"],
    "chunks": ["EHLO c", MAIL, RCPT, b"BDAT 3\r\na\r\n", MAIL, RCPT, "DATA", b"BDAT 3 LAST\r\nb\r\n", "QUIT"],
    "chunk errors": ["EHLO c", MAIL, "BDAT 0", RCPT, b"BDAT 5\r\nabcde", "DATA", b"BDAT 5 LAST\r\nabcde", "QUIT"],
    "chunk syntax": ["EHLO c", "BDAT x"],
    "http": ["GET / HTTP/1.0"],
    "a header": ["Subject: x"],
    "binary": [b"\x16\x03\x01\r\n"],
    "long command": [b"NOOP " + b"x" * 5000 + b"\r\n", "NOOP", "QUIT"],
    "bare LF command": [b"NOOP\n", "QUIT"],
    "too many errors": ["FOO"] * 11 + [(b"FOO\r\n", 2)],
}

# Bytes that are no text, everywhere a client may put them.
PLACES = [(b"EHLO a%sb", b"MAIL%s FROM:<a@b.test>", b"NOOP%s"),
          (b"MAIL FROM:<s%sy@example.test>", b"RSET", b"MAIL FROM:<a@b%sc.test>", b"RSET", b'MAIL FROM:<"s%sX-S: y"@example.test>', b"RSET",
           b'MAIL FROM:<"s\\%sX-S: y"@example.test>', b"RSET", b"MAIL FROM:<a@b %s .test>"),
          (b"EHLO x", b"MAIL FROM:<a@b.test>", b'RCPT TO:<"r%sX-R: y"@relay.test>', b"RCPT TO:<r%sy@relay.test>",
           b'RCPT TO:<"r\\%sX-R: y"@relay.test>', b"RCPT TO:<r%s@relay.test>")]
for byte in (*range(0, 10), *range(11, 33), 127, 160, 255):
    for number, lines in enumerate(PLACES):
        steps = [line.replace(b"%s", bytes([byte])) + b"\r\n" for line in lines]
        CONVERSATIONS[f"byte {byte} in place {number}"] = steps


def replies(port, steps):
    out = []
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        stream = client.makefile("rb")

        def reply():
            lines = []
            while True:
                line = stream.readline()
                lines.append(line.decode("latin-1").rstrip("\r\n") if line else "<closed>")
                if not line or line[3:4] != b"-":
                    return lines

        out.append(reply())
        for step in steps:
            data, count = step if isinstance(step, tuple) else (step, 1)
            try:
                client.sendall(data if isinstance(data, bytes) else data.encode() + b"\r\n")
                for _ in range(count):
                    out.append(reply())
            except ConnectionError:
                out.append(["<closed>"])
                break
    return [[re.sub(r"queued as \w+", "queued as ID", line) for line in lines] for lines in out]


def logged(server):
    """The smtpd lines of the log without what differs by nature: times, numbers, IDs."""
    kept = []
    for line in server.log().splitlines():
        found = re.search(r"postfix/smtpd\[\d+\]: (.*)", line)
        if found and re.match(r"disconnect from|\w+: reject|lost connection|improper|too many|warning: (non-SMTP|Illegal)", found[1]):
            kept.append(re.sub(r"\b[0-9A-F]{8,12}\b", "ID", found[1]))
    return sorted(kept)


def main(checks):
    with Reference(parameters=PARAMETERS) as reference, Mtad(parameters=PARAMETERS) as ours:
        for name, steps in CONVERSATIONS.items():
            expected = replies(reference.port, steps)
            seen = replies(ours.port, steps)
            checks.equal(seen, expected, f"{name}: the replies are the reference's")
        expected, seen = logged(reference), logged(ours)
        missing = [line for line in expected if line not in seen]
        extra = [line for line in seen if line not in expected]
        checks.ok(not missing and not extra, "the log lines are the reference's",
                  "\n".join(["- " + line for line in missing] + ["+ " + line for line in extra]))


run(main)
