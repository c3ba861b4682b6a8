"""Delivery reports (NOTIFY=SUCCESS, sendmail -v, sendmail -bv): what the reference reports about each recipient, ours
reports too, field by field; the sentences for people are our own."""
import email
import email.policy
import os
import re
import smtplib

from checks import run, wait_until
from mtad import Mtad
from reference import Reference
from sink import Sink

SENDER = "sender@box.test"
RECIPIENTS = ["ok@far.test", "bad@far.test", "slow@far.test", "u@box.test", "nosuch@example.test", "refused@err.test",
              "gone@dis.test"]


def answer(line):
    if "bad@" in line:
        return "550 5.1.1 no such user"
    return "451 4.2.0 later" if "slow@" in line else "250 2.1.5 Ok"


def parameters(directory, sink):
    return {
        "transport_maps": "inline:{far.test=smtp:[127.0.0.1]:%d, err.test=error:not_here, dis.test=discard:dropped}" % sink.port,
        "mydestination": "localhost, example.test", "myhostname": "mx.example.test", "myorigin": "example.test",
        "local_recipient_maps": "",
        "virtual_mailbox_domains": "box.test", "virtual_mailbox_maps": "inline:{%s=s/, u@box.test=u/}" % SENDER,
        "virtual_mailbox_base": os.path.join(directory, "mail"),
        "virtual_uid_maps": "static:65534" if os.geteuid() == 0 else "static:%d" % os.geteuid(),
        "virtual_gid_maps": "static:65534" if os.geteuid() == 0 else "static:%d" % os.getegid(),
        "alias_maps": "",
    }


def reports(server):
    """What the sender was told: a list of (subject, message fields, recipient fields)."""
    out = []
    for folder, _, names in os.walk(os.path.join(server.directory, "mail", "s")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                message = email.message_from_binary_file(file, policy=email.policy.compat32)
            if message.get_content_type() != "multipart/report":
                continue
            parts = message.get_payload()
            blocks = parts[1].get_payload()
            about = sorted(tuple(sorted((key, " ".join(value.split())) for key, value in block.items()))
                           for block in blocks[1:])
            whole = sorted((key, value) for key, value in blocks[0].items()
                           if key in ("Reporting-MTA", "Original-Envelope-Id", "X-Postfix-Sender"))
            out.append((message["Subject"], message["To"], message["Auto-Submitted"], parts[2].get_content_type(), whole, about))
    return sorted(out, key=repr)


def status_lines(server, port):
    """Recipient, dsn, status and text of each line of the log."""
    found = re.findall(r"to=<([^>]*)>.*? dsn=([0-9.]+), status=(\w+) \((.*)\)", server.log())
    return sorted((to, dsn, status, text.replace(str(port), "PORT")) for to, dsn, status, text in found)


def play(kind, sink):
    server = kind()
    server.parameters.update(parameters(server.directory, sink))
    with server:
        os.makedirs(os.path.join(server.directory, "mail"), exist_ok=True)
        os.chmod(os.path.join(server.directory, "mail"), 0o777)
        os.chmod(server.directory, 0o755)
        text = b"Subject: a report, please\n\nbody\n"
        # One by one, so that each report stands for itself.
        for mode, expected in (("-bv", 1), ("-v", 3)):
            result = server.run("sendmail", mode, "-f", SENDER, *RECIPIENTS, input=text)
            assert result.returncode == 0, result.stderr
            wait_until(lambda: len(reports(server)) >= expected, 20)
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("client.test")
            client.docmd(f"MAIL FROM:<{SENDER}> ENVID=abc+2B RET=HDRS")
            for to in ("ok@far.test", "u@box.test", "gone@dis.test"):
                client.docmd(f"RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;was+2B{to}")
            client.docmd("RCPT TO:<u@box.test> NOTIFY=NEVER")
            client.data(b"Subject: tell me\r\n\r\nbody\r\n")
        wait_until(lambda: len(reports(server)) >= 4 and not server.queue_files("incoming", "active"), 20)
        seen = [repr(one).replace(str(sink.port), "PORT") for one in reports(server)]
        return seen, status_lines(server, sink.port), server.log()


def main(checks):
    same = total = 0
    for extensions in (("PIPELINING", "8BITMIME", "SIZE 1000000"), ("PIPELINING", "DSN"), ()):
        results = []
        for kind in (Reference, Mtad):
            with Sink(replies={"RCPT": answer}, extensions=extensions) as sink:
                results.append(play(kind, sink))
        (theirs, their_lines, _), (ours, our_lines, log) = results
        about = "with " + (" ".join(extensions) or "no extension") + " at the next host"
        checks.equal(len(ours), 4, f"four reports come {about}")
        for expected, seen in zip(theirs, ours):
            total += 1
            same += checks.equal(seen, expected, f"{expected[:40]}… {about}")
        for expected, seen in zip(their_lines, our_lines):
            total += 1
            same += seen == expected
            if seen != expected:
                checks.equal(seen, expected, "a line of the log " + about)
        checks.equal(len(our_lines), len(their_lines), "as many status lines")
    checks.note(f"reports and log lines: {same} of {total} equal")


run(main)
