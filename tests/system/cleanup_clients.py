"""Clients of public/cleanup, as other daemons of a Postfix host are: good, silent, broken off, and out of step."""
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from queue_records import record  # noqa: E402

FLAGS = b"flags\0000\0\0"


def message(recipient):
    envelope = record(b"S", b"from@example.test") + record(b"R", recipient)
    content = record(b"M") + record(b"N", b"Subject: by hand") + record(b"N") + record(b"N", b"body")
    return envelope + content + record(b"X")


class Client:
    def __init__(self, server):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(os.path.join(server.spool, "public", "cleanup"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def answer(self):
        """The next attribute list, as a dict; {} when the server hung up."""
        seen = b""
        while not seen.endswith(b"\0\0"):
            more = self.socket.recv(1)
            if not more:
                return {}
            seen += more
        words = seen[:-2].split(b"\0")
        return dict(zip(words[::2], words[1::2]))


def hand_in(server, recipient):
    with Client(server) as client:
        greeting = client.answer()
        client.socket.sendall(FLAGS + message(recipient) + record(b"E"))
        return greeting, client.answer()


def good(checks, server):
    greeting, verdict = hand_in(server, b"box@box.test")
    checks.ok(greeting.get(b"protocol") == b"cleanup_protocol" and re.fullmatch(rb"[0-9A-F]{6,}", greeting.get(b"queue_id", b"")),
              "a client hears protocol and queue ID first", greeting)
    checks.equal(verdict.get(b"status"), b"0", "its message is taken")
    checks.ok(wait_until(lambda: server.maildir("box"), 10), "and delivered")
    checks.ok(f"{greeting[b'queue_id'].decode()}: removed" in server.log() or wait_until(
        lambda: f"{greeting[b'queue_id'].decode()}: removed" in server.log(), 5), "under that ID")


def silent(checks, server):
    clients = [Client(server) for _ in range(20)]
    try:
        _, verdict = hand_in(server, b"kim@box.test")
        checks.equal(verdict.get(b"status"), b"0", "twenty silent clients keep nobody waiting")
        checks.ok(wait_until(lambda: server.maildir("kim"), 10), "and mail flows")
    finally:
        for client in clients:
            client.socket.close()
    checks.ok(wait_until(lambda: not server.queue_files("incoming"), 10), "they leave no file when they go",
              server.queue_files("incoming"))


def broken_off(checks, server):
    whole = FLAGS + message(b"box@box.test") + record(b"E")
    for size in range(0, len(whole), 7):
        with Client(server) as client:
            client.answer()
            client.socket.sendall(whole[:size])
    checks.ok(wait_until(lambda: not server.queue_files("incoming"), 10), "a message broken off anywhere leaves no file",
              server.queue_files("incoming"))
    checks.equal(len(server.maildir("box")), 1, "and is never delivered")


def out_of_step(checks, server):
    for text, what in ((b"x" * 5000, "no flags"), (FLAGS + record(b"M") + record(b"E"), "an end inside the text"),
                       (FLAGS + b"N\xff\xff\xff\xff\xff\xff", "a length of no end"), (FLAGS + record(b"M") + record(b"R", b"x@y"), "a recipient inside the text"),
                       (FLAGS + record(b"E"), "nothing at all")):
        with Client(server) as client:
            client.answer()
            client.socket.sendall(text)
            verdict = client.answer()
            checks.ok(verdict.get(b"status", b"none") != b"0", f"{what} is no success", verdict)
    checks.ok(wait_until(lambda: not server.queue_files("incoming"), 10), "and no file is left", server.queue_files("incoming"))
    _, verdict = hand_in(server, b"box@box.test")
    checks.equal(verdict.get(b"status"), b"0", "the next client is served")


def main(checks):
    with Mtad() as server:
        good(checks, server)
        silent(checks, server)
        broken_off(checks, server)
        out_of_step(checks, server)
        checks.ok(not re.search("panic|fatal|killed", server.log()), "no worker died", server.log()[-800:])


run(main)
