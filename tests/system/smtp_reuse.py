"""Connections are kept for the next delivery to the same place, and a kept one that died costs no mail and no error."""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from sink import Sink  # noqa: E402


def send(server, count, clients=10):
    """Many at once, so that deliveries queue up."""
    def one(first):
        with Session(server.port) as client:
            for n in range(first, count, clients):
                client.send("from@example.test", f"u{n}@far.test", b"Subject: x\r\n\r\nbody\r\n")
    threads = [threading.Thread(target=one, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(checks):
    count = 300
    with Sink() as sink:
        transport = "static:{smtp:[127.0.0.1]:%d}" % sink.port
        with Mtad({"transport_maps": transport, "mydestination": "localhost"}) as server:
            send(server, count)
            checks.ok(sink.wait_count(count, 30), "all messages arrive", server.log()[-2000:])
            checks.ok(sink.sessions < count, f"{count} messages took fewer connections: {sink.sessions}")
            checks.ok(server.wait_empty(10), "the queue is empty")
            checks.ok(len({m.recipients[0] for m in sink.messages}) == len(sink.messages) == count, "each arrived once")
            checks.ok("conn_use=" in server.log(), "the log tells how often a connection was used")
            checks.ok("status=deferred" not in server.log(), "nothing was deferred")
    # A server that hangs up when a second message comes over one connection: kept connections are all dead.
    session = threading.local()

    def mail(_):
        if getattr(session, "used", False):
            return "drop"
        session.used = True
        return "250 2.1.0 Ok"
    with Sink(replies={"MAIL": mail}) as sink:
        transport = "static:{smtp:[127.0.0.1]:%d}" % sink.port
        with Mtad({"transport_maps": transport, "mydestination": "localhost"}) as server:
            send(server, count)
            checks.ok(sink.wait_count(count, 30), "all messages get past kept connections that die", server.log()[-1500:])
            checks.equal(len({m.recipients[0] for m in sink.messages}), len(sink.messages), "none arrives twice")
            checks.ok("status=deferred" not in server.log(), "none is deferred")


run(main)
