"""SMTP on standard input (sendmail -bs), and who may submit what (authorized_submit_users, local_login_sender_maps), beside the
reference: replies, exit status, what is said, and the records in maildrop/."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks as harness  # noqa: E402
from sendmail import difference, messages_of, side_by_side, take_one  # noqa: E402

tally = [0, 0]


def crlf(text):
    return text.replace("\n", "\r\n").encode()


MESSAGE = "Subject: hi\nTo: x\n\nbody\n..dot\n.\n"
SESSIONS = {
    "a message": crlf("EHLO foo.test\nMAIL FROM:<a@example.test>\nRCPT TO:<b@far.test>\nDATA\n" + MESSAGE + "QUIT\n"),
    "two messages, many recipients": crlf(
        "EHLO foo.test\nMAIL FROM:<a@example.test> BODY=8BITMIME\nRCPT TO:<b@far.test> NOTIFY=SUCCESS ORCPT=rfc822;x@y.test\n"
        'RCPT TO:<"two words"@far.test> NOTIFY=NEVER\nRCPT TO:<local>\nDATA\n' + MESSAGE + "RSET\nQUIT\n"),
    "the null sender": crlf("HELO foo.test\nMAIL FROM:<>\nRCPT TO:<c@far.test>\nDATA\nno header\n.\nQUIT\n"),
    "no greeting": b"MAIL FROM:a\nRCPT TO:b\nDATA\nfoo\n.\nQUIT\n",
    "a second greeting": crlf("HELO a.test\nEHLO b.test\nMAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\nDATA\nx\n.\nQUIT\n"),
    "chunks": b"EHLO foo.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 6\r\nX: y\r\nBDAT 10 LAST\r\n\r\nbody.\r\n\r\nQUIT\r\n",
    "long lines": crlf("EHLO x.test\nMAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\nDATA\nX: " + "y" * 5000 + "\n\n" + "z" * 2049 + "\n.\nQUIT\n"),
    "nothing valid": crlf("HELO x\nMAIL FROM:<a>\nRCPT TO:<>\nDATA\nFOO\nVRFY bob\nRSET\nNOOP\nHELP\nQUIT\n"),
    "too big": crlf("EHLO x\nMAIL FROM:<a> SIZE=99999999999\nQUIT\n"),
    "options unknown": crlf("EHLO x\nMAIL FROM:<a> FOO=BAR\nMAIL FROM:<a>\nRCPT TO:<b> FOO\nQUIT\n"),
    "order": crlf("DATA\nRCPT TO:<b>\nMAIL FROM:<a>\nMAIL FROM:<b>\nDATA\nQUIT\n"),
    "a client that leaves in the text": crlf("HELO x\nMAIL FROM:<a>\nRCPT TO:<b>\nDATA\nhello\n"),
    "a client that leaves": crlf("HELO x\nMAIL FROM:<a>\nRCPT TO:<b>\n"),
    "nobody": b"",
}
SENDERS = ["a", "A", "a+x", "b@c.test", "B@C.TEST", "b+e@c.test", "b-e@c.test", "x@d.test", "", "c", "a@d.test", "x@y@d.test", "<>"]
RIGHTS = [("local_login_sender_maps = inline:{{root=a b@c.test @d.test}}", SENDERS),
          ("local_login_sender_maps = inline:{{root=*}}", ["", "q"]),
          ("local_login_sender_maps = inline:{{root=<>}}", ["", "q"]),
          ("local_login_sender_maps = inline:{{root=a+b}}", ["a+b", "a"]),
          ("local_login_sender_maps = inline:{{bob=*}}", ["x"]),
          ("local_login_sender_maps = inline:{{Root=a}}", ["a"]),
          ("local_login_sender_maps = inline:{{bob=*}}, inline:{{root=z}}", ["z", "y"]),
          ("local_login_sender_maps =", ["x"]),
          ("local_login_sender_maps = static:*", ["x", ""]),
          ("local_login_sender_maps = inline:{{root=*x}}", ["x"]),
          ("local_login_sender_maps = inline:{{root=null}}\nempty_address_local_login_sender_maps_lookup_key = null", ["", "y"]),
          ("local_login_sender_maps = inline:{{root=<>}}\nempty_address_local_login_sender_maps_lookup_key = null", [""]),
          ("authorized_submit_users = !root, static:all", ["x"]), ("authorized_submit_users = inline:{{root=x}}", ["x"]),
          ("authorized_submit_users = inline:{{bob=x}}", ["x"]), ("authorized_submit_users = ROOT", ["x"]),
          ("authorized_submit_users =", ["x"]), ("authorized_submit_users = bob, !root, root", ["x"])]


def same(checks, sentence, ours, theirs, detail=None):
    tally[1] += 1
    tally[0] += checks.ok(ours == theirs, sentence, detail or f"reference {theirs!r:.1500}\nours      {ours!r:.1500}")


def plain(data):
    return re.sub(rb"queued as \w+", b"queued as ID", data)


def smtp_mode(checks, ours, theirs):
    for name, text in SESSIONS.items():
        mine, other = (system.run("sendmail", "-bs", input=text) for system in (ours, theirs))
        # We do not speak SMTPUTF8 yet.
        expected = plain(other.stdout).replace(b"250-SMTPUTF8\r\n", b"")
        seen = plain(mine.stdout).replace(b"250-SMTPUTF8\r\n", b"")
        same(checks, f"-bs, {name}: replies and exit status", (mine.returncode, seen), (other.returncode, expected))
        same(checks, f"-bs, {name}: messages", messages_of(mine), messages_of(other))
        records = take_one(ours, "maildrop"), take_one(theirs, "maildrop")
        same(checks, f"-bs, {name}: maildrop records", *records, detail=difference(*records) if records[0] != records[1] else "")
    # The reference loses what MAIL said for notices.
    ours.run("sendmail", "-bs", input=crlf("EHLO x\nMAIL FROM:<a> RET=HDRS ENVID=abc\nRCPT TO:<b>\nDATA\n.\nQUIT\n"))
    kept = take_one(ours, "maildrop")
    checks.ok(kept and ("A", b"envelope_id=abc") in kept and ("A", b"ret_flags=2") in kept, "-bs keeps ENVID and RET", kept)


def rights(checks, ours, theirs):
    for lines, senders in RIGHTS:
        before = {}
        for system in (ours, theirs):
            path = os.path.join(system.config, "main.cf")
            with open(path) as file:
                before[path] = file.read()
            with open(path, "w") as file:
                file.write(f"{before[path]}recipient_delimiter = +-\n{lines}\n")
            os.utime(path, (1, 1))
        for sender in senders:
            results = []
            for system in (ours, theirs):
                done = system.run("sendmail", "-f", sender, "bob", input=b"x\n")
                results.append((done.returncode, messages_of(done), take_one(system, "maildrop") is not None))
            same(checks, f"{lines.splitlines()[0]} {lines.count(chr(10)) * '(null) '}from {sender!r}", *results)
        for path, text in before.items():
            with open(path, "w") as file:
                file.write(text)


def main(checks):
    with side_by_side("sendmail", "postdrop") as (ours, theirs):
        smtp_mode(checks, ours, theirs)
        rights(checks, ours, theirs)
        checks.note(f"{tally[0]} of {tally[1]} equal to the reference")


harness.run(main)
