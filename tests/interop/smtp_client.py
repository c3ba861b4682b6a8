"""Servers that say too much, too soon or nonsense: what becomes of the message, and what is logged and kept about it,
is the same with the reference."""
import os
import re
import socket
import threading

from checks import run, wait_until
from mtad import Mtad
from reference import Reference
from senders import Session

MESSAGE = b"From: a@example.test\r\nSubject: t\r\n\r\nbody\r\n"


class Peer:
    """Serves each connection with a function of the socket."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.one, args=(peer,), daemon=True).start()

    def one(self, peer):
        with peer:
            try:
                peer.settimeout(20)
                self.serve(peer)
            except OSError:
                pass


def talk(answers):
    """Answers each command by its verb ("." is the end of data), else with success."""
    def serve(peer):
        stream = peer.makefile("rb")
        peer.sendall(answers.get("220", b"220 x ESMTP") + b"\r\n")
        in_text = False
        for line in stream:
            verb = line.split()[0].upper().decode("latin-1") if line.split() else ""
            if in_text and line != b".\r\n":
                continue
            if in_text:
                verb, in_text = ".", False
            default = {"DATA": b"354 go on", "QUIT": b"221 bye"}.get(verb, b"250 ok")
            reply = answers.get(verb, default)
            in_text = verb == "DATA" and reply.startswith(b"354")
            peer.sendall(reply + b"\r\n")
            if verb == "QUIT":
                return
    return serve


def lines(code, texts):
    return b"\r\n".join(b"%d%s%s" % (code, b" " if n + 1 == len(texts) else b"-", text) for n, text in enumerate(texts))


# Much text: what is kept of it, and what decides.
LONG = {
    "twolines": lines(451, [b"4.1.1 a", b"4.2.2 b"]),
    "nocode": lines(451, [b"4.1.1 a", b"4.2.2 b", b"c"]),
    "oneline": lines(451, [b"4.1.1 " + b"x" * 3000]),
    "linethenmore": lines(451, [b"4.1.1 " + b"x" * 3000, b"4.2.2 " + b"x" * 2000, b"4.3.3 c"]),
    "biglines": lines(451, [b"%03d" % n + b"x" * 2000 for n in range(127)]),
    "manylines": lines(451, [b"x"] * 3000 + [b"4.5.5 end"]),
    "emptylines": lines(451, [b""] * 3000 + [b"4.5.5 end"]),
    "justfits": lines(451, [b"x" * 2044]),
    "edge": lines(451, [b"x" * 1990, b"4.2.2 y", b"z" * 70, b"w" * 30, b"4.7.1 v"]),
}


def all_at_once(*replies):
    """Says everything before it was asked anything, and then listens."""
    def serve(peer):
        peer.sendall(b"".join(reply + b"\r\n" for reply in replies))
        while peer.recv(65536):
            pass
    return serve



OK = (b"250 x",) * 3
PIPELINING = b"250-x\r\n250 PIPELINING"
ODD = {
    "rcptrefusedtwice": talk({"RCPT": b"550 5.1.1 x\r\n550 5.1.1 y"}),
    "closing": talk({"RCPT": b"250 x\r\n421 4.3.2 y"}),
    "greetingodd": talk({"220": b"450 4.1.1 x"}),
    "control": talk({"RCPT": b"451 4.0.0 a\x1b]0;x\x07\x7f"}),
}
# A server out of step has said nothing about the message: it is kept, where the reference believes what it reads and
# sends, or returns, the message by it.
OUT_OF_STEP = {
    "early": all_at_once(b"220 x ESMTP", *OK, b"354 x", b"250 x", b"221 x"),
    "earlyrefusal": all_at_once(b"220 x ESMTP", *OK, b"550 5.1.1 no", b"550 5.1.1 no"),
    "earlysuccess": all_at_once(b"220 x ESMTP", *OK, b"250 x", b"250 x"),
    "greetingtwice": talk({"220": b"220 x ESMTP\r\n220 y"}),
    "greetingthree": talk({"220": b"354 x"}),
    "hellothree": talk({"EHLO": b"354 x", "HELO": b"354 x"}),
    "rcpttwice": talk({"RCPT": b"250 x\r\n250 y"}),
    "pipelined": talk({"EHLO": PIPELINING, "RCPT": b"250 x\r\n250 y"}),
    "datatwice": talk({"DATA": b"354 x\r\n250 early ok"}),
    "datarefused": talk({"DATA": b"354 x\r\n550 5.6.0 early no"}),
    "pipelineddata": talk({"EHLO": PIPELINING, "DATA": b"354 x\r\n550 5.6.0 early no"}),
    "mailodd": talk({"MAIL": b"354 x"}),
    "rcptodd": talk({"RCPT": b"150 x"}),
    "dataodd": talk({"DATA": b"250 x"}),
    "dotodd": talk({".": b"354 x"}),
    "garbage": talk({"MAIL": b"what?"}),
    "garbagelater": talk({"RCPT": b"250-x\r\nwhat?"}),
}


def scenarios():
    return {**{name: talk({"RCPT": reply}) for name, reply in LONG.items()}, **ODD, **OUT_OF_STEP}


def parameters(ports):
    table = ", ".join(f"{name}.test=smtp:[127.0.0.1]:{port}" for name, port in ports.items())
    return {"transport_maps": "inline:{%s}" % table, "notify_classes": "", "smtp_helo_timeout": "10s",
            "minimal_backoff_time": "3000s", "maximal_backoff_time": "3000s"}


def normal(text, port, queue_id):
    """Without what differs from run to run. A line that was cut ends sooner or later with the delays before it."""
    text = re.sub(r"delays?=[0-9./]+, (?:delays=[0-9./]+, )?", "", text).replace(f":{port}", ":PORT")
    return text.replace(queue_id, "ID")[:1900]


def kept_about(server, queue_id):
    """What the defer log holds about the first recipient."""
    for folder, _, names in os.walk(os.path.join(server.spool, "defer")):
        if queue_id in names:
            with open(os.path.join(folder, queue_id), "rb") as file:
                return [line for line in file.read().split(b"\n") if line.startswith((b"diag_text", b"reason", b"status"))]
    return []


def behaviour(server, ports):
    """For each scenario: the message's log lines, the warnings about the server, and what is kept."""
    out = {}
    with server:
        for name in ports:
            with Session(server.port) as client:
                client.send("a@example.test", f"u@{name}.test", MESSAGE)
        wait_until(lambda: all(re.search(rf"to=<u@{name}\.test>.*status=", server.log()) for name in ports), 60)
        log = server.log()
        for name, port in ports.items():
            found = re.search(rf" ([0-9A-F]+): to=<u@{name}\.test>", log)
            if not found:
                out[name] = (["no result"],)
                continue
            queue_id = found[1]
            wait_until(lambda: kept_about(server, queue_id) or "status=bounced" in log, 5)
            logged = [line for line in re.findall(r"\]: (.*)", log)
                      if f"{queue_id}: to=" in line or (f":{port}: " in line and line.startswith("warning"))]
            out[name] = ([normal(line, port, queue_id) for line in logged], kept_about(server, queue_id),
                         [str(max(map(len, logged)) > 2000)])
    return out


def short(texts):
    """Long texts by their length and ends, so that a difference can be read."""
    def one(text):
        return text if len(text) <= 300 else (len(text), text[:200], text[-60:])
    return [[one(text) for text in group] for group in texts]


def main(checks):
    peers = {name: Peer(serve) for name, serve in scenarios().items()}
    ports = {name: peer.port for name, peer in peers.items()}
    theirs = behaviour(Reference(parameters(ports)), ports)
    ours = behaviour(Mtad(parameters(ports)), ports)
    same = 0
    compared = [name for name in ports if name not in OUT_OF_STEP]
    for name in compared:
        same += checks.equal(short(ours[name]), short(theirs[name]), f"{name}: as the reference")
    for name in OUT_OF_STEP:
        checks.ok(all("dsn=4.5.0, status=deferred" in line for line in ours[name][0] if line.startswith("ID: to=")),
                  f"{name}: out of step, and kept", short(ours[name]))
    checks.note(f"{same}/{len(compared)} scenarios are equal")


if __name__ == "__main__":
    run(main)
