"""tcp: and socketmap: beside the reference's, against servers that answer well, badly, late and not at all."""
import contextlib
import os
import shutil
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from tables import Session, Tables

KEYS = ["a", "A", "b", "Joe@Example.COM", "@example.com", "a b", "100%", "%41", "\u00e9@example.com", "tab\tbed", b"\xff", "x" * 3000,
        "quote'\"\\"]


class Toy:
    """A server on a loopback port and a Unix socket; answer(bytes) gives what goes back, None hangs up, and so
    does a NUL at the end of it."""

    count = 0

    def __init__(self, directory, answer):
        self.answer = answer
        self.seen = []
        Toy.count += 1
        self.path = os.path.join(directory, f"toy{Toy.count}")
        self.listeners = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
        self.listeners[1].bind(self.path)
        self.listeners[1].listen(8)
        self.port = self.listeners[0].getsockname()[1]
        for listener in self.listeners:
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                threading.Thread(target=self.talk, args=(link,), daemon=True).start()

    def talk(self, link):
        with contextlib.suppress(OSError), link:
            while data := link.recv(262144):
                self.seen.append(data)
                reply = self.answer(data)
                if reply is None:
                    return
                link.sendall(reply.rstrip(b"\0"))
                if reply.endswith(b"\0"):
                    return

    def close(self):
        for listener in self.listeners:
            listener.close()


TABLE = {b"a": b"1", b"b": b"two words", b"100%": b"per%cent", b"%41": b"lit", "\u00e9@example.com".encode(): "\u00fcber".encode(),
         b"Joe@Example.COM": b"case kept", b"a b": b"blank"}


def percent(data):
    return b"".join(b"%%%02X" % c if c <= 32 or c >= 127 or c == 37 else bytes([c]) for c in data)


def unpercent(data):
    parts = data.split(b"%")
    return parts[0] + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in parts[1:])


def tcp_server(data):
    value = TABLE.get(unpercent(data[4:-1]))
    return b"500 no such key\n" if value is None else b"200 " + percent(value) + b"\n"


def netstring(data):
    return b"%d:%s," % (len(data), data)


def socketmap_server(data):
    name, _, key = data[data.index(b":") + 1:-1].partition(b" ")
    value = TABLE.get(key)
    return netstring(b"NOTFOUND " if value is None or name != b"map" else b"OK " + value)


# What a server may do wrong.
TCP_FAULTS = [b"400 later\n", b"200 a%\n", b"200 %4\n", b"200\n", b"junk\n", b"\n", b"600 x\n", b"200 " + b"x" * 5000 + b"\n", None, b"200 half\0",
              b"2000 x\n"]
SOCKETMAP_FAULTS = [netstring(b"TEMP later"), netstring(b"TIMEOUT x"), netstring(b"PERM never"), netstring(b"MAYBE x"), b"junk\0", b"4:OK a;",
                    b"x:OK a,", b"999999999:OK a,", b"100001:" + b"x" * 100001 + b",", None, netstring(b""), b"-1:x,", b"3:OK\0", b"\0"]


def asks_well(checks, tables, directory):
    for kind, server, names in (("tcp", tcp_server, lambda toy: [f"127.0.0.1:{toy.port}", f"localhost:{toy.port}"]),
                                ("socketmap", socketmap_server,
                                 lambda toy: [f"inet:127.0.0.1:{toy.port}:map", f"unix:{toy.path}:map", f"unix:{toy.path}:other"])):
        toy = Toy(directory, server)
        for name in names(toy):
            tables.compare(name, f"{kind}:{name}", KEYS)
        tables.report(checks, f"{kind}: keys and values")
        sent = []
        for side in (0, 1):
            toy.seen.clear()
            for key in KEYS:
                tables.postmap(side, ["-q", key if isinstance(key, bytes) else key.encode(), f"{kind}:{names(toy)[0]}"])
            sent.append(b"".join(toy.seen))
        checks.equal(sent[1], sent[0], f"{kind}: the server sees the same bytes from both sides")
        toy.close()
    for name in ("nohost", "inet:127.0.0.1:1", "unix:/x", "inet:127.0.0.1::x", ":"):
        tables.compare(name, f"socketmap:{name}", ["a"], True)
    tables.report(checks, "socketmap: names that are none")


def asked_badly(checks, directory, config):
    """Whatever a server does wrong is an answer that could not be given."""
    for kind, faults, good in (("tcp", TCP_FAULTS, tcp_server), ("socketmap", SOCKETMAP_FAULTS, socketmap_server)):
        wrong = []
        for fault in faults:
            toy = Toy(directory, lambda data, f=fault: f)
            table = f"tcp:127.0.0.1:{toy.port}" if kind == "tcp" else f"socketmap:unix:{toy.path}:map"
            session = Session(config, table)
            seen = session.ask("a")
            toy.answer = good
            deadline = time.monotonic() + 10
            back = session.ask("a")
            while back[0] != "found" and time.monotonic() < deadline:
                time.sleep(0.05)
                back = session.ask("a")
            session.close()
            toy.close()
            if seen[0] not in ("temporary", "permanent") or back != ("found", b"1"):
                wrong.append((fault if fault is None else fault[:40], seen, back))
        checks.ok(not wrong, f"{kind}: {len(faults)} ways of a bad answer are \"try again later\", and the next good one counts", repr(wrong))


def main(checks):
    tables = Tables()
    try:
        asks_well(checks, tables, tables.directory)
        asked_badly(checks, tables.directory, tables.config)
    finally:
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(tables.directory, ignore_errors=True)


harness.run(main)
