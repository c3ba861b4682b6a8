"""Ways to hand a message to a server."""
import socket


class ReplyError(Exception):
    def __init__(self, stage, code, text):
        super().__init__(f"{stage}: {code} {text}")
        self.stage, self.code, self.text = stage, code, text


class Session:
    """A bare SMTP client: what a test says goes out as it is."""

    def __init__(self, port, host="127.0.0.1", timeout=60.0, greet="client.example.test"):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.banner = self.reply()
        if greet:
            self.ehlo = self.command(f"EHLO {greet}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def reply(self):
        """(code, text) of one reply; text lines joined by newlines; (0, "") when the peer has gone."""
        lines = []
        while True:
            line = self.file.readline(65536)
            if not line:
                return (0, "\n".join(lines))
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            lines.append(text[4:])
            if text[3:4] != "-":
                return (int(text[:3]) if text[:3].isdigit() else -1, "\n".join(lines))

    def command(self, line):
        self.raw(line if isinstance(line, bytes) else line.encode() + b"\r\n")
        return self.reply()

    def expect(self, stage, line, *codes):
        code, text = self.command(line)
        if code not in codes:
            raise ReplyError(stage, code, text)
        return text

    def send(self, sender, recipients, content):
        """Sends one message; content has any line ends, and is stuffed here. Returns the final reply's text."""
        recipients = [recipients] if isinstance(recipients, str) else recipients
        self.expect("MAIL", f"MAIL FROM:<{sender}>", 250)
        for recipient in recipients:
            self.expect("RCPT", f"RCPT TO:<{recipient}>", 250)
        self.expect("DATA", "DATA", 354)
        self.raw(wire(content) + b".\r\n")
        code, text = self.reply()
        if code != 250:
            raise ReplyError(".", code, text)
        return text

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply


def wire(content):
    """Content with CRLF line ends, dots stuffed, a line end at the end."""
    lines = content.replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)


def queue_id(reply_text):
    """The queue ID in "2.0.0 Ok: queued as ID"."""
    return reply_text.rsplit(" ", 1)[-1]
