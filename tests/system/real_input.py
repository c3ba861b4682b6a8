"""Real messages by real clients: what arrives in the mailbox and at the next server is what was sent.

The body is the same to the byte once line ends are the host's (CRLF on the wire, LF in the mailbox); the header keeps
every field that was sent, in order, with only what a mail system adds in front or completes."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import messages  # noqa: E402
from checks import run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import wire  # noqa: E402
from sink import Sink  # noqa: E402

SENDER = "sender@example.test"
MAILBOX = "joe@box.test"
REMOTE = "kim@far.test"
# Fields that a mail system may add, or rewrite because they hold addresses; all others must be as they were.
ADDED = (b"received", b"return-path", b"x-original-to", b"delivered-to", b"message-id", b"date", b"from", b"to")
ADDRESSES = (b"from", b"to", b"cc", b"bcc", b"sender", b"reply-to", b"errors-to", b"return-receipt-to",
             b"resent-from", b"resent-to", b"resent-cc", b"resent-bcc", b"resent-sender", b"resent-reply-to",
             b"return-path", b"content-length", b"resent-date", b"resent-message-id")


def is_header_line(line):
    return re.match(rb"[!-9;-~]+[ \t]*:", line) is not None


def parts(content):
    """(header, body) as a mail system sees it: the header ends at the first line that is none."""
    lines = content.split(b"\n")
    end = 0
    while end < len(lines):
        line = lines[end]
        if not (is_header_line(line) or (end and line[:1] in (b" ", b"\t") and line.strip())):
            break
        end += 1
    head = b"\n".join(lines[:end]) + (b"\n" if end else b"")
    rest = lines[end:]
    if rest and rest[0] == b"":
        rest = rest[1:]
    return head, b"\n".join(rest)


def kept_fields(head):
    return [text for name, text in messages.fields(head) if name not in ADDED and name not in ADDRESSES]


def one_long_line_folded(body):
    """The wire allows lines of at most 998 bytes; the sender breaks longer ones with CRLF and a blank."""
    return body.replace(b"\n ", b"")


def as_sent(client, content):
    """What the client itself makes of the file before the server sees it."""
    content = messages.unix(content)
    if not content.endswith(b"\n"):
        content += b"\n"
    if client == "sendmail":
        # Leading mbox separators are dropped.
        while re.match(rb"(From |>+From )", content):
            content = content.split(b"\n", 1)[1]
    elif content.startswith(b"From "):
        # By SMTP the line is kept, as a header field that says what it was.
        content = b"X-Mailbox-Line: " + content
    return content


def differences(sent, seen, folded):
    sent_head, sent_body = parts(sent)
    seen_head, seen_body = parts(seen)
    if folded:
        sent_body, seen_body = one_long_line_folded(sent_body), one_long_line_folded(seen_body)
        sent_head, seen_head = sent_head.replace(b"\n ", b""), seen_head.replace(b"\n ", b"")
    found = []
    if sent_body != seen_body:
        at = next((n for n, (a, b) in enumerate(zip(sent_body, seen_body)) if a != b), min(len(sent_body), len(seen_body)))
        found.append(f"body differs at byte {at}: sent {sent_body[at - 20:at + 40]!r}, seen {seen_body[at - 20:at + 40]!r}")
    if kept_fields(sent_head) != kept_fields(seen_head):
        missing = [f[:80] for f in kept_fields(sent_head) if f not in kept_fields(seen_head)]
        extra = [f[:80] for f in kept_fields(seen_head) if f not in kept_fields(sent_head)]
        found.append(f"header fields missing {missing!r:.300} or added {extra!r:.300}")
    return found


def clients(server, directory):
    """name → function(path) that sends the file at path to both recipients; returns an error text or None."""
    def call(words, path):
        with open(path, "rb") as file:
            done = subprocess.run(words, stdin=file, capture_output=True, timeout=120, env=server.environment())
        return None if done.returncode == 0 else (done.stderr + done.stdout).decode(errors="replace")[-500:]

    yield "sendmail", lambda path: call([server.command("sendmail"), "-i", "-f", SENDER, MAILBOX, REMOTE], path)
    if shutil.which("curl"):
        yield "curl", lambda path: call(
            ["curl", "-sS", f"smtp://127.0.0.1:{server.port}", "--mail-from", SENDER, "--mail-rcpt", MAILBOX,
             "--mail-rcpt", REMOTE, "--upload-file", path], path)
    if shutil.which("swaks"):
        yield "swaks", lambda path: call(
            ["swaks", "--silent", "3", "--server", "127.0.0.1", "--port", str(server.port), "--from", SENDER, "--to",
             f"{MAILBOX},{REMOTE}", "--data", f"@{path}", "--no-data-fixup"], path)
    if shutil.which("msmtp"):
        yield "msmtp", lambda path: call(
            ["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={server.port}", f"--from={SENDER}", "--undisclosed-recipients=off",
             "--set-from-header=off", "--set-date-header=off", "--remove-bcc-headers=off",
             "--", MAILBOX, REMOTE], path)


def main(checks):
    corpus = {**messages.python_samples(), **messages.made_here()}
    if not messages.python_samples():
        checks.note("libpython3.11-testsuite is not installed: only our own messages are sent")
    corpus["large-attachment"] = messages.large(4)
    files = tempfile.mkdtemp()
    os.chmod(files, 0o755)
    with Sink(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600")) as sink:
        server = Mtad({"relay_domains": "far.test", "message_size_limit": "50000000", "mailbox_size_limit": "0",
                       "virtual_mailbox_limit": "0", "header_size_limit": "102400"})
        server.parameters["transport_maps"] = f"texthash:{server.config}/transport"
        os.makedirs(server.config)
        with open(os.path.join(server.config, "transport"), "w") as file:
            file.write(f"far.test smtp:[127.0.0.1]:{sink.port}\n")
        with server:
            for client, send in clients(server, files):
                wrong = 0
                for name, content in corpus.items():
                    if wrong > 5:
                        checks.note(f"giving up on {client}")
                        break
                    sink.messages.clear()
                    boxes = os.path.join(server.store, "joe", "new")
                    for old in os.listdir(boxes) if os.path.isdir(boxes) else ():
                        os.unlink(os.path.join(boxes, old))
                    path = os.path.join(files, "message")
                    given = content
                    if client != "sendmail":
                        # These clients send the file as it lies there: give them the wire's line ends.
                        given = messages.unix(content)
                        if not given.endswith(b"\n"):
                            given += b"\n"
                        if client == "curl":
                            given = given.replace(b"\n", b"\r\n")
                        elif client == "swaks":
                            given = wire(given) + b".\r\n"
                    with open(path, "wb") as file:
                        file.write(given)
                    error = send(path)
                    if error:
                        wrong += 1
                        checks.ok(False, f"{client} sends {name}", error)
                        continue
                    arrived = wait_until(lambda: len(server.maildir("joe")) == 1 and len(sink.messages) == 1
                                         and server.is_empty(), 20)
                    if not arrived:
                        wrong += 1
                        checks.ok(False, f"{name} by {client} arrives in the mailbox and at the next server",
                                  f"{len(server.maildir('joe'))} in the mailbox, {len(sink.messages)} at the server\n"
                                  + server.log()[-1500:])
                        wait_until(server.is_empty, 5)
                        continue
                    sent = as_sent(client, content)
                    for place, seen, folded in (("mailbox", server.maildir("joe")[0], False),
                                                ("next server", messages.unix(sink.messages[0].data), True)):
                        if place == "next server" and any(
                                not line.endswith(b"\r\n") for line in sink.messages[0].data.splitlines(True)
                                if line.endswith(b"\n")):
                            wrong += 1
                            checks.ok(False, f"{name} by {client}: no bare LF goes out")
                        found = differences(sent, seen, folded)
                        if found:
                            wrong += 1
                            checks.ok(False, f"{name} by {client} is at the {place} what was sent", "\n".join(found))
                checks.ok(wrong == 0, f"{len(corpus)} messages by {client} are at the mailbox and at the next server what was sent")
    shutil.rmtree(files, ignore_errors=True)


run(main)
