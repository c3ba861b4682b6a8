"""The text of a message as a remote server gets it: dots, long lines, control bytes, line ends; and that a message leaves
in few segments over one connection. With MTAD_ORACLE=1 the reference is run instead, which is how the rules were found."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference  # noqa: E402
from sink import Sink  # noqa: E402

LIMIT = 998

BODIES = {
    "dots": b".\n..\n.a\na.\n...\n\n.\n",
    "empty": b"",
    "one empty line": b"\n",
    "no last newline": b"first\nlast",
    "tabs and trailing blanks": b"\ta \n b\t\n",
    "carriage returns": b"a\rb\n\rc\n",
    "eight bits": bytes(range(128, 256)) + b"\n",
    "dots at every place": b"".join(b"x" * n + b"." + b"\n." + b"y" * n + b"\n" for n in range(60)),
    "many lines": b"".join(b"line %d of a longer message\n" % n for n in range(6000)),
    **{f"a line of {n}": bytes(97 + i % 26 for i in range(n)) + b"\nnext\n"
       for n in (996, 997, 998, 999, 1000, 1994, 1995, 1996, 1997, 2047, 2048, 2049, 4096, 9999, 100000)},
    "a long line of dots": b"." * 5000 + b"\n.\n",
}


def folded(line):
    """Lines of at most 998 bytes; each but the first begins with a blank that counts."""
    if len(line) <= LIMIT:
        return [line]
    pieces, rest = [line[:LIMIT]], line[LIMIT:]
    while rest:
        pieces.append(b" " + rest[:LIMIT - 1])
        rest = rest[LIMIT - 1:]
    return pieces


def expected(body):
    lines = body.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    # Stray carriage returns became blanks when the message was taken in.
    return b"".join(piece + b"\r\n" for line in lines for piece in folded(line.replace(b"\r", b" ")))


def main(checks):
    oracle = os.environ.get("MTAD_ORACLE") == "1"
    with Sink() as sink:
        parameters = {"transport_maps": "static:{smtp:[127.0.0.1]:%d}" % sink.port, "smtp_connection_cache_on_demand": "no",
                      "mydestination": "localhost"}
        with (Reference if oracle else Mtad)(parameters) as server:
            for number, (name, body) in enumerate(BODIES.items()):
                done = server.sendmail(b"Subject: %d\nX-Name: %s\n\n" % (number, name.encode()) + body, f"u{number}@far.test")
                checks.ok(done.returncode == 0, f"{name}: sendmail takes it", done.stderr)
            if not checks.ok(sink.wait_count(len(BODIES), 60), "all messages arrive", server.log()[-2000:]):
                return
            received = {message.recipients[0]: message for message in sink.messages}
            for number, (name, body) in enumerate(BODIES.items()):
                seen = received[f"u{number}@far.test"].data.split(b"\r\n\r\n", 1)[1]
                wanted = expected(body)
                detail = f"{len(wanted)} bytes expected, {len(seen)} seen\n{wanted[-80:]!r}\n{seen[-80:]!r}"
                checks.ok(seen == wanted, f"{name}: the body arrives as it should", detail)
            checks.ok(server.wait_empty(20), "the queue is empty afterwards")


run(main)
