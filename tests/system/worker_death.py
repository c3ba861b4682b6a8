"""A worker that dies with deliveries in hand: what it held is delivered by its successor, and nothing else has to be
restarted for that."""
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from server import kill_quietly  # noqa: E402
from sink import Sink  # noqa: E402


def worker_pids(server, role):
    found = []
    for pid in server.workers():
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if f"--worker={role}" in file.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def kill(server, role):
    """One worker dies; returns when its successor runs."""
    old = worker_pids(server, role)
    for pid in old:
        kill_quietly(pid, signal.SIGKILL)
    return wait_until(lambda: any(pid not in old for pid in worker_pids(server, role)), 5)


def main(checks):
    count, rounds = 40, 5
    go = threading.Event()

    def at_end(_):
        go.wait(60)
        return "250 2.0.0 Ok"
    with Sink(replies={".": at_end}) as sink:
        transport = "static:{smtp:[127.0.0.1]:%d}" % sink.port
        with Mtad({"transport_maps": transport, "mydestination": "localhost",
                   "smtp_destination_concurrency_limit": "100"}) as server:
            queue = worker_pids(server, "queue")
            with Session(server.port) as client:
                for n in range(count):
                    client.send("from@example.test", f"u{n}@far.test", b"Subject: x\r\n\r\nbody\r\n")
            for turn in range(rounds):
                checks.ok(wait_until(lambda: sink.sessions > turn, 10), f"deliveries are in flight ({turn})")
                checks.ok(kill(server, "send"), f"the dead worker gets a successor ({turn})")
            go.set()
            checks.ok(server.wait_empty(20), "all is delivered", server.log()[-2000:])
            checks.equal(len({m.recipients[0] for m in sink.messages}), count, "each message arrived")
            checks.equal(worker_pids(server, "queue"), queue, "by the queue worker that was there from the start")
            checks.ok("killed by signal 9" in server.log(), "the log tells of the dead workers")
            checks.ok(kill(server, "receive"), "the receive worker is replaced")
            with Session(server.port) as client:
                client.send("from@example.test", "late@far.test", b"Subject: x\r\n\r\nbody\r\n")
            checks.ok(sink.wait_count(count + 1, 10), "and mail comes in and goes out")


run(main)
