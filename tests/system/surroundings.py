"""Surroundings that an administrator did not mean to make: they cost what they must, and are named."""
import os

from checks import run, wait_until
from mtad import Mtad
from senders import Session
from server import process_tree

MESSAGE = b"Subject: hello\n\nhello\n"


def sends(server):
    before = len(server.maildir("box"))
    with Session(server.port) as session:
        session.send("a@example.test", "box@box.test", MESSAGE)
    return wait_until(lambda: len(server.maildir("box")) > before, 10)


def standard_descriptors(pid):
    return [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]


def test_closed_descriptors(checks):
    server = Mtad()
    try:
        server.start(wrapper=("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'))
        for pid in process_tree(server.pid):
            checks.equal(standard_descriptors(pid), ["/dev/null"] * 3,
                         "a process of a daemon that was started without descriptors has /dev/null there")
        checks.ok(sends(server), "it delivers mail")
    finally:
        server.stop()
        server.remove()


def main(checks):
    test_closed_descriptors(checks)


if __name__ == "__main__":
    run(main)
