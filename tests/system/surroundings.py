"""Surroundings that an administrator did not mean to make: they cost what they must, and are named."""
import os
import re
import subprocess

from checks import command, run, wait_until
from mtad import Mtad
from senders import Session
from server import free_port, process_tree

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


def refusal(server):
    """What a daemon that must not start says; None when it starts."""
    server.write_configuration()
    try:
        with subprocess.Popen([command("mtad"), "-c", server.config, "--foreground"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=server.environment(), cwd="/") as process:
            try:
                said = process.communicate(timeout=8)[0].decode()
                return said + server.log() if process.returncode else None
            except subprocess.TimeoutExpired:
                process.terminate()
                process.communicate(timeout=10)
                return None
    finally:
        server.remove()


def test_too_large_services(checks):
    port = free_port()
    wide = Mtad({"inet_interfaces": " ".join(f"127.0.1.{n}" for n in range(1, 66))},
                services=f"{port} inet n - n - - smtpd\n")
    said = refusal(wide)
    checks.ok(said and re.search(r"master\.cf: line \d+: .*65 addresses", said),
              "a service with more listeners than a worker can be given is a start error that names its line", said)
    longer = Mtad(services=f"127.0.0.1:{free_port()} inet n - n - - smtpd -o smtpd_banner={'x' * 70000}\n")
    said = refusal(longer)
    checks.ok(said and re.search(r"master\.cf: line \d+: .*-o settings", said),
              "so are settings longer than a worker can be told", said and said[-600:])


def main(checks):
    test_closed_descriptors(checks)
    test_too_large_services(checks)


if __name__ == "__main__":
    run(main)
