"""What tests of table servers share: a server of the test's own, and another client that must not wait meanwhile."""
import contextlib
import os
import socket
import threading
import time

from senders import Session


class ToyServer:
    """Listens on a loopback port and on a Unix socket; each connection gets a thread of its own, in talk(link)."""

    def __init__(self, path):
        self.path = path
        self.listeners = [socket.create_server(("127.0.0.1", 0), backlog=100), socket.socket(socket.AF_UNIX)]
        self.listeners[1].bind(path)
        self.listeners[1].listen(100)
        os.chmod(path, 0o777)
        self.port = self.listeners[0].getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, args=(listener,), daemon=True) for listener in self.listeners]
        for thread in self.threads:
            thread.start()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link):
        with contextlib.suppress(OSError), link:
            self.talk(link)

    def close(self):
        # A thread that still waits on the number of a closed socket takes a connection of the next one that gets the number.
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(5)
        for listener in self.listeners:
            listener.close()


class Pulse:
    """Says NOOP again and again on a connection of its own: beats counts the answers, and the longest time that one took tells
    whether the loop stood still."""

    def __init__(self, port):
        self.port = port
        self.longest = 0.0
        self.beats = 0

    def __enter__(self):
        self.done = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()

    def run(self):
        with Session(self.port) as link:
            while not self.done:
                before = time.monotonic()
                link.command("NOOP")
                self.longest = max(self.longest, time.monotonic() - before)
                self.beats += 1
                time.sleep(0.01)
