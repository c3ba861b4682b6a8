"""What becomes of a message over several attempts: filters and loops, notices that cannot be queued, messages deleted
under the queue manager's hands, answers of any size, queues whose clock went wrong."""
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from server import free_port  # noqa: E402
from sink import Sink  # noqa: E402

BODY = b"Subject: attempts\r\n\r\nbody\r\n"


def send(server, recipient, sender="from@example.test"):
    with Session(server.port) as client:
        client.send(sender, recipient, BODY)


def content_filter(checks):
    with Sink() as sink, Mtad({"content_filter": f"smtp:[127.0.0.1]:{sink.port}"}) as server:
        send(server, "box@box.test")
        checks.ok(sink.wait_count(1, 10), "content_filter gets mail that came by SMTP")
        server.sendmail(b"Subject: x\n\nbody\n", "box@box.test")
        checks.ok(sink.wait_count(2, 10), "and mail that came by sendmail")
        checks.ok(server.wait_empty(10) and not server.maildir("box"), "and the mailbox nothing")
        checks.equal([m.recipients for m in sink.messages], [["box@box.test"]] * 2, "with the recipient as it was")
    # The way back from a filter: the same configuration, but a listener of its own without the filter.
    with Sink() as sink, Mtad({"content_filter": f"smtp:[127.0.0.1]:{sink.port}"}, listener_options="  -o content_filter=") as server:
        send(server, "box@box.test")
        checks.ok(wait_until(lambda: server.maildir("box"), 10), "-o content_filter= of a listener switches it off")
        checks.equal(len(sink.messages), 0, "and nothing goes to the filter")


def way_back(checks):
    """receive_override_options, by SMTP and by sendmail, as the port behind a filter has it."""
    maps = {"virtual_alias_domains": "alias.test", "virtual_alias_maps": "inline:{a@alias.test=box@box.test, kim@box.test=box@box.test}",
            "always_bcc": "copies@box.test"}
    override = "receive_override_options=no_address_mappings"
    with Mtad(maps, boxes=("box", "kim", "copies"), listener_options=f"  -o {override}") as server:
        send(server, "kim@box.test")
        checks.ok(wait_until(lambda: server.maildir("kim"), 10) and server.wait_empty(10), "no_address_mappings: mail goes where it is addressed")
        checks.equal([len(server.maildir(box)) for box in ("box", "copies")], [0, 0], "to no alias, and no copy is made")
        server.sendmail(b"Subject: x\n\nbody\n", "kim@box.test")
        checks.ok(wait_until(lambda: server.maildir("box") and server.maildir("copies"), 10), "mail by sendmail is mapped still")
    with Mtad({**maps, "receive_override_options": "no_address_mappings"}, boxes=("box", "kim", "copies")) as server:
        server.sendmail(b"Subject: x\n\nbody\n", "kim@box.test")
        checks.ok(wait_until(lambda: server.maildir("kim"), 10) and not server.maildir("copies"), "in main.cf it is for sendmail too")


def too_many_hops(checks):
    with Mtad() as server:
        hops = b"".join(b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\n" for _ in range(60))
        server.sendmail(hops + b"Subject: loop\n\nbody\n", "-f", "kim@box.test", "box@box.test")
        checks.ok(wait_until(lambda: server.maildir("kim"), 10), "a local message with too many hops is returned")
        checks.ok("dsn=5.4.0, status=bounced (too many hops)" in server.log(), "for its hops", server.log()[-1500:])
        checks.equal(len(server.maildir("box")), 0, "and not delivered")


def notice_that_cannot_be_queued(checks):
    with Mtad({"queue_run_delay": "1s", "minimal_backoff_time": "1s", "maximal_backoff_time": "1s",
               "transport_maps": "texthash:$config_directory/transport"}) as server:
        routes = os.path.join(server.config, "transport")
        incoming = os.path.join(server.spool, "incoming")

        def route(text):
            with open(routes, "w") as file:
                file.write(text)
            time.sleep(1.2)  # a changed table is noticed once a second
        route("x.test smtp:[127.0.0.1]:1\n")
        send(server, "u@x.test", "kim@box.test")
        wait_until(lambda: "status=deferred" in server.log(), 10)
        was = os.stat(incoming)
        if server.root:
            os.chown(incoming, 0, 0)
        os.chmod(incoming, 0o500)
        route("x.test error:5.1.1 no such user\n")
        checks.ok(wait_until(lambda: server.log().count("notice not sent") >= 2, 20), "a notice cannot be queued, twice")
        route("x.test discard:\n")
        os.chown(incoming, was.st_uid, was.st_gid)
        os.chmod(incoming, 0o700)
        checks.ok(server.wait_empty(20), "then the message is delivered after all", server.log()[-1500:])
        time.sleep(1)
        checks.equal(len(server.maildir("kim")), 0, "and nobody is told that it was not")
        checks.equal(os.listdir(os.path.join(server.spool, "bounce")), [], "no log is left")


def requeued(checks):
    """postsuper -r: the message goes through the mail system again, and the log joins its two names."""
    with Mtad({"transport_maps": "inline:{far.test=smtp:[127.0.0.1]:%d}" % free_port()}) as server:
        send(server, "u@far.test")
        checks.ok(wait_until(lambda: "status=deferred" in server.log() and server.queue_files("deferred"), 10), "a message waits")
        old = os.path.basename(server.queue_files("deferred")[0][1])
        server.run("postsuper", "-r", old)
        server.run("postkick", "public", "pickup", "W")
        found = wait_until(lambda: re.search(r"pickup\[\d+\]: (\w+): uid=\d+ from=<from@example.test> orig_id=" + old + "$", server.log(), re.M), 20)
        checks.ok(found, "it is taken in again under another name", server.log()[-800:])
        server.sendmail(b"Subject: x\n\nbody\n", "box@box.test")
        checks.ok(wait_until(lambda: server.maildir("box"), 10) and server.log().count("orig_id=") == 1, "new mail has no other name")


def deleted_while_active(checks):
    with Sink(replies={"RCPT": "550 5.1.1 gone"}) as sink, \
            Mtad({"transport_maps": "inline:{dead.test=smtp:[127.0.0.1]:1, gone.test=smtp:[127.0.0.1]:%d}" % sink.port}) as server:
        with Session(server.port) as client:
            for n in range(300):
                client.send("kim@box.test", f"u{n}@{'dead' if n % 2 else 'gone'}.test", BODY)
                if n % 20 == 0:
                    server.run("postsuper", "-d", "ALL")
        wait_until(lambda: not server.queue_files("incoming", "active"), 20)
        server.run("postsuper", "-d", "ALL")
        left = [name for queue in ("bounce", "defer") for _, _, files in os.walk(os.path.join(server.spool, queue))
                for name in files]
        checks.equal(left, [], "no log of a deleted message is left")
        checks.ok("panic" not in server.log() and "fatal" not in server.log(), "and nothing is amiss")


def a_reply_without_measure(checks):
    line = "x" * 2000
    reply = "\n".join(["451-" + line] * 127 + ["451 " + line])
    with Sink(replies={".": reply}) as sink:
        with Mtad({"transport_maps": "inline:{big.test=smtp:[127.0.0.1]:%d}" % sink.port}) as server:
            send(server, [f"u{n}@big.test" for n in range(50)])
            checks.ok(wait_until(lambda: server.queue_files("deferred"), 20), "fifty recipients and a reply of 256 KB are deferred",
                      server.log()[-500:])
            send(server, "box@box.test")
            checks.ok(wait_until(lambda: server.maildir("box"), 10), "and mail flows on")


def a_reply_without_end(checks):
    """A byte now and then is not an answer: each arrives in time, all of them never do."""
    def drip(listener):
        try:
            peer, _ = listener.accept()
            with peer:
                for _ in range(100):
                    peer.sendall(b"2")
                    time.sleep(0.3)
        except OSError:
            pass
    for deadline, least, most in (("yes", 0.9, 5), ("no", 9, 16)):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=drip, args=(listener,), daemon=True).start()
            with Mtad({"transport_maps": "inline:{drip.test=smtp:[127.0.0.1]:%d}" % listener.getsockname()[1], "smtp_helo_timeout": "1s",
                       "smtp_connect_timeout": "1s", "smtp_per_request_deadline": deadline}) as server:
                begun = time.monotonic()
                send(server, "u@drip.test")
                done = wait_until(lambda: "status=deferred" in server.log(), 30)
                took = time.monotonic() - begun
                checks.ok(done and least < took < most and "timed out" in server.log(),
                          f"a greeting without end is given up, smtp_per_request_deadline={deadline}", (took, server.log()[-600:]))


def damaged_directories(checks):
    with Mtad({"transport_maps": "inline:{dead.test=smtp:[127.0.0.1]:1}", "queue_run_delay": "2s"}) as server:
        active = os.path.join(server.spool, "active")
        os.rename(active, active + ".away")
        send(server, "box@box.test")
        checks.ok(wait_until(lambda: re.search("cannot make the message active", server.log()), 10),
                  "a missing active/ is said in the log", server.log()[-800:])
        os.rename(active + ".away", active)
        checks.ok(wait_until(lambda: server.maildir("box"), 15), "and the message is delivered when it is back")


def clock_that_went_back(checks):
    with Mtad() as server:
        held = os.path.join(server.spool, "incoming")
        # A message whose file is from the future, as after a clock that was set back while the daemon was down.
        active = os.path.join(server.spool, "active")
        os.rename(active, active + ".away")
        send(server, "box@box.test")
        wait_until(lambda: os.listdir(held), 10)
        server.stop()
        os.rename(active + ".away", active)
        for name in os.listdir(held):
            os.utime(os.path.join(held, name), (time.time() + 7200,) * 2)
        server.start(configure=False)
        checks.ok(wait_until(lambda: server.maildir("box"), 10), "new mail of a clock that went back is delivered at the start")


def main(checks):
    requeued(checks)
    content_filter(checks)
    way_back(checks)
    too_many_hops(checks)
    notice_that_cannot_be_queued(checks)
    deleted_while_active(checks)
    a_reply_without_measure(checks)
    a_reply_without_end(checks)
    damaged_directories(checks)
    clock_that_went_back(checks)


run(main)
