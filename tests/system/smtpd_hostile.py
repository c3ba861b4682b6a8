"""Clients that mean no good, or are merely odd, against a running daemon: it answers as it should and lives on."""
import resource
import socket
import threading
import time

from checks import run
from mtad import Mtad

PARAMETERS = {
    "smtpd_timeout": "3s",
    "smtpd_error_sleep_time": "0s",
    "smtpd_client_connection_count_limit": "400",
}


class Client:
    def __init__(self, port, seconds=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.stream = self.socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self):
        lines = []
        while True:
            line = self.stream.readline()
            lines.append(line)
            if not line or line[3:4] != b"-":
                return b"".join(lines).decode("latin-1").strip()

    def send(self, data):
        self.socket.sendall(data)

    def say(self, line):
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def envelope(self, *recipients):
        self.say("EHLO client.test")
        self.say("MAIL FROM:<a@example.test>")
        return [self.say(f"RCPT TO:<{to}>") for to in recipients or ("box@box.test",)]

    def close(self):
        self.stream.close()
        self.socket.close()


def memory(server):
    """Resident bytes of all workers."""
    total = 0
    for pid in server.workers():
        try:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * resource.getpagesize()
        except OSError:
            pass
    return total


def long_lines(checks, server):
    before = memory(server)
    client = Client(server.port)
    client.envelope()
    client.say("DATA")
    line = b"x" * (10 * 1000 * 1000)
    client.send(b"Subject: long\r\n\r\n" + line + b"\r\n.\r\n")
    checks.ok(client.reply().startswith("250 2.0.0 Ok: queued as"), "a line of 10 MB within the size limit is taken")
    checks.ok(client.say("MAIL FROM:<a@example.test>").startswith("250"), "the session goes on")
    client.say("RSET")
    client.send(b"NOOP " + line + b"\r\n")
    checks.equal(client.reply(), "250 2.0.0 Ok", "a command of 10 MB is cut")
    client.say("MAIL FROM:<a@example.test>")
    client.say("RCPT TO:<box@box.test>")
    client.say("DATA")
    client.send(b"Subject: longer\r\n\r\n" + line + line + b"\r\n.\r\n")
    checks.equal(client.reply(), "552 5.3.4 Error: message file too big", "a line of 20 MB is refused by its size")
    client.close()
    grown = memory(server) - before
    checks.ok(grown < 8 << 20, f"memory does not grow with the line ({grown >> 10} KiB)")


def smuggling(checks, server):
    client = Client(server.port)
    client.envelope()
    client.say("DATA")
    evil = b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<box@box.test>\r\nDATA\r\nevil\r\n"
    body = b"Subject: smuggle\r\n\r\n"
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\n\0.\r\n"):
        body += b"x" + end + evil
    # Byte by byte would take long; odd pieces do as well.
    for at in range(0, len(body), 7):
        client.send(body[at:at + 7])
    client.send(b"\r\n.\r\n")
    checks.ok(client.reply().startswith("250 2.0.0 Ok: queued"), "one end of data is one message")
    checks.equal(client.say("NOOP"), "250 2.0.0 Ok", "and nothing else was answered")
    client.close()


def silent(checks, server):
    client = Client(server.port)
    start = time.monotonic()
    said = client.reply()
    checks.equal(said, "421 4.4.2 mx.example.test Error: timeout exceeded", "a silent client is told so")
    checks.ok(2 < time.monotonic() - start < 10, "after smtpd_timeout")
    client.close()
    checks.ok(server.wait_log("timeout after CONNECT from unknown[127.0.0.1]"), "and it is logged")
    client = Client(server.port)
    client.envelope()
    client.say("DATA")
    client.send(b"Subject: half")
    checks.equal(client.reply(), "421 4.4.2 mx.example.test Error: timeout exceeded", "silence within a message too")
    client.close()


def garbage(checks, server):
    import random
    random.seed(1)
    for _ in range(20):
        client = Client(server.port)
        try:
            client.send(bytes(random.randrange(256) for _ in range(20000)))
            client.socket.shutdown(socket.SHUT_WR)
            while client.stream.read(65536):
                pass
        except OSError:
            pass # it was sent away before the end
        client.close()
    client = Client(server.port)
    checks.equal(client.say("NOOP"), "250 2.0.0 Ok", "garbage does no harm")
    checks.ok(client.say("GET / HTTP/1.1").startswith("221 2.7.0"), "a browser is sent away")
    client.close()


def pipelining(checks, server):
    client = Client(server.port)
    client.say("EHLO client.test")
    lines = [b"MAIL FROM:<a@example.test>"] + [b"RCPT TO:<user%d@example.test>" % i for i in range(1001)] + [b"DATA"]
    client.send(b"\r\n".join(lines) + b"\r\n")
    answers = [client.reply() for _ in lines]
    checks.equal(answers[1:1001], ["250 2.1.5 Ok"] * 1000, "1000 pipelined recipients are taken")
    checks.equal(answers[1001], "452 4.5.3 Error: too many recipients", "the next one is too many")
    checks.equal(answers[1002], "354 End data with <CR><LF>.<CR><LF>", "and the message goes on")
    client.send(b"Subject: many\r\n\r\nx\r\n.\r\n")
    checks.ok(client.reply().startswith("250 2.0.0 Ok: queued as"), "it is queued")
    client.close()


def many_sessions(checks, server):
    before = memory(server)
    clients = []
    for _ in range(90):
        clients.append(Client(server.port))
    for client in clients:
        client.say("EHLO client.test")
    grown = (memory(server) - before) // len(clients)
    checks.ok(grown < 64 << 10, f"an idle session costs {grown >> 10} KiB")
    for client in clients:
        client.close()


def log_lines(checks, server):
    client = Client(server.port)
    client.envelope("box@box.test", "nobody@box.test")
    client.say("DATA")
    client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
    said = client.reply()
    client.say("QUIT")
    client.close()
    queue_id = said.split()[-1]
    line = "disconnect from unknown[127.0.0.1] ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 commands=5/6"
    checks.ok(server.wait_log(line), "the disconnect line counts commands")
    numbers = {l.split("[")[1].split("]")[0] for l in server.log().splitlines()
               if "postfix/smtpd[" in l and (f"{queue_id}: client=" in l or line in l)}
    checks.equal(len(numbers), 1, "one session logs under one number")
    checks.ok(f"{queue_id}: client=unknown[127.0.0.1]" in server.log(), "the message names its client")


def main(checks):
    with Mtad(parameters=PARAMETERS) as server:
        for part in (long_lines, smuggling, silent, garbage, pipelining, many_sessions, log_lines):
            part(checks, server)
            if not checks.ok(server.process.poll() is None, f"the daemon lives ({part.__name__})"):
                return
        evil = [m for m in server.maildir("box") if b"evil\n" in m and b"Subject: smuggle" not in m]
        checks.equal(evil, [], "no smuggled message was delivered")
        idle = Client(server.port)
        idle.say("EHLO client.test")
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        checks.ok(idle.reply().startswith("421 4.3.2 "), "a stop tells idle sessions")
        stopper.join()


run(main)
