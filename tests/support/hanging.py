"""An SMTP server that stops answering at a given point until it is let go."""
import socket
import threading


class Hanging:
    """stage: "220" (no greeting), a verb, or "." (after the final dot). release() lets every session go on."""

    def __init__(self, stage="."):
        self.stage = stage
        self.sessions = 0
        self.gate = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.listener.close()

    def release(self):
        self.gate.set()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _wait(self, stage):
        if self.stage == stage:
            self.gate.wait(120)

    def _serve(self, peer):
        try:
            with peer:
                self._wait("220")
                lines = peer.makefile("rb")
                peer.sendall(b"220 hanging ESMTP\r\n")
                self._talk(peer, lines)
        except OSError:
            pass

    def _talk(self, peer, lines):
        in_data = False
        for line in lines:
            if in_data:
                if line == b".\r\n":
                    self._wait(".")
                    peer.sendall(b"250 2.0.0 Ok\r\n")
                    in_data = False
                continue
            verb = line.split(b" ")[0].strip().upper().decode("ascii", "replace")
            self._wait(verb)
            in_data = verb == "DATA"
            peer.sendall({"EHLO": b"250 hanging\r\n", "DATA": b"354 go on\r\n", "QUIT": b"221 2.0.0 Bye\r\n"}.get(
                verb, b"250 2.0.0 Ok\r\n"))
            if verb == "QUIT":
                return
