"""An SMTP server for tests that keeps what it was sent to the byte and answers as it is told."""
import socket
import threading
import time


class Received:
    """One message: envelope as it came, content without dot-stuffing but with the line ends of the wire."""

    def __init__(self):
        self.sender = None
        self.recipients = []
        self.sender_line = ""
        self.recipient_lines = []
        self.helo = ""
        self.data = b""


class Sink:
    """Listens on 127.0.0.1. replies maps a verb (or "." for end of data, "220" for the banner) to a reply string, or to
    a function of the command line that returns one; the default is success. "421" replies close the session."""

    def __init__(self, port=0, replies=None, extensions=("PIPELINING", "8BITMIME", "SIZE 104857600"), keep=True):
        self.replies = dict(replies or {})
        self.extensions = list(extensions)
        self.keep = keep
        self.messages = []
        self.commands = []
        self.sessions = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def wait_count(self, count, seconds=30.0):
        deadline = time.monotonic() + seconds
        while len(self.messages) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return len(self.messages) >= count

    def _accept(self):
        while not self.stopping:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _reply_to(self, verb, line, default):
        reply = self.replies.get(verb, default)
        return reply(line) if callable(reply) else reply

    def _serve(self, peer):
        try:
            peer.settimeout(300)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._session(peer)
        except OSError:
            pass
        finally:
            peer.close()

    def _session(self, peer):
        stream = peer.makefile("rb", buffering=65536)

        def say(text):
            peer.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")
            return not text.startswith("421")
        if not say(self._reply_to("220", "", "220 sink.test ESMTP")):
            return
        message = Received()
        helo = ""
        while True:
            raw = stream.readline(65536)
            if not raw:
                return
            line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            verb = line.split(" ", 1)[0].upper()
            with self.lock:
                self.commands.append(line)
            if verb in ("EHLO", "LHLO"):
                helo = line[5:]
                names = ["sink.test", *self.extensions]
                text = "\n".join(f"250{'-' if n + 1 < len(names) else ' '}{name}" for n, name in enumerate(names))
                reply = self._reply_to(verb, line, text)
            elif verb == "HELO":
                helo = line[5:]
                reply = self._reply_to(verb, line, "250 sink.test")
            elif verb == "MAIL":
                message = Received()
                message.helo = helo
                message.sender_line = line
                message.sender = line[line.find("<") + 1:line.rfind(">")] if "<" in line else line[10:]
                reply = self._reply_to(verb, line, "250 2.1.0 Ok")
            elif verb == "RCPT":
                reply = self._reply_to(verb, line, "250 2.1.5 Ok")
                if reply.startswith("250"):
                    message.recipient_lines.append(line)
                    message.recipients.append(line[line.find("<") + 1:line.rfind(">")])
            elif verb == "DATA":
                reply = self._reply_to(verb, line, "354 go ahead")
                if not message.recipients and reply.startswith("354"):
                    reply = "554 5.5.1 no valid recipients"
                if reply.startswith("354"):
                    say(reply)
                    lines = []
                    while True:
                        content = stream.readline()
                        if not content:
                            return
                        if content == b".\r\n":
                            break
                        lines.append(content[1:] if content.startswith(b".") else content)
                    message.data = b"".join(lines) if self.keep else b""
                    reply = self._reply_to(".", line, "250 2.0.0 Ok: kept")
                    if reply.startswith("250"):
                        with self.lock:
                            self.messages.append(message)
                    message = Received()
            elif verb == "RSET":
                message = Received()
                reply = self._reply_to(verb, line, "250 2.0.0 Ok")
            elif verb == "QUIT":
                say(self._reply_to(verb, line, "221 2.0.0 Bye"))
                return
            elif verb in ("NOOP", "VRFY"):
                reply = self._reply_to(verb, line, "250 2.0.0 Ok")
            else:
                reply = self._reply_to(verb, line, "502 5.5.2 what?")
            if reply == "drop":
                return
            if not say(reply):
                return
