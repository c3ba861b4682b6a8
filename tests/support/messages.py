"""Real and made-up messages, and what of them must survive a delivery."""
import glob
import os

from checks import project_root


def made_here():
    """name → bytes of testdata/messages."""
    found = {}
    for path in sorted(glob.glob(os.path.join(project_root(), "testdata/messages/*.eml"))):
        with open(path, "rb") as file:
            found[os.path.basename(path)] = file.read()
    return found


def python_samples():
    """The messages of Debian's libpython3.11-testsuite; empty when it is not installed."""
    found = {}
    for path in sorted(glob.glob("/usr/lib/python3.11/test/test_email/data/*.txt")):
        with open(path, "rb") as file:
            found["python-" + os.path.basename(path)] = file.read()
    return found


def large(megabytes=4, line_length=76):
    """A message with an attachment of that size, made from a counter so that every line differs."""
    import base64
    block = b"".join(n.to_bytes(8, "big") for n in range(megabytes * 1024 * 1024 // 8))
    text = base64.b64encode(block)
    lines = [text[n:n + line_length] for n in range(0, len(text), line_length)]
    head = (b"From: big@example.test\nTo: box@box.test\nSubject: large attachment\nMIME-Version: 1.0\n"
            b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n")
    return head + b"\n".join(lines) + b"\n"


def unix(content):
    """Content with lone LF line ends."""
    return content.replace(b"\r\n", b"\n")


def split(content):
    """(header lines block, body) of content with LF line ends; the empty line belongs to neither."""
    if content.startswith(b"\n"):
        return b"", content[1:]
    head, separator, body = content.partition(b"\n\n")
    return head + b"\n", body if separator else b""


def fields(head):
    """[(lower-case name, whole field text)] of a header block."""
    found = []
    for line in head.split(b"\n"):
        if not line:
            continue
        if line[:1] in b" \t" and found:
            found[-1] = (found[-1][0], found[-1][1] + b"\n" + line)
        else:
            found.append((line.split(b":", 1)[0].strip().lower(), line))
    return found
