"""Workers that are replaced while deliveries, listings and sessions are under way: nobody waits for them, and nothing is
delivered twice."""
import collections
import os
import pwd
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from hanging import Hanging  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from server import STORE_USER, kill_quietly  # noqa: E402
from sink import Sink  # noqa: E402


def text(token):
    return f"Subject: handover\r\nX-Token: {token}\r\n\r\nbody\r\n".encode()


def send(server, recipient, token="x"):
    with Session(server.port) as client:
        client.send("from@example.test", recipient, text(token))


def kill_queue_worker(server):
    def pids():
        return [pid for pid in server.workers() if "--worker=queue" in open(f"/proc/{pid}/cmdline").read()]
    old = pids()
    for pid in old:
        kill_quietly(pid, signal.SIGKILL)
    wait_until(lambda: [pid for pid in server.workers() if pid not in old] and pids(), 5)


def tokens(texts):
    return collections.Counter(re.search(rb"X-Token: (\S+)", one).group(1).decode() for one in texts)


def reload_with_a_hanging_delivery(checks):
    with Hanging() as far, Mtad({"transport_maps": "inline:{far.test=smtp:[127.0.0.1]:%d}" % far.port}) as server:
        send(server, "u@far.test")
        checks.ok(wait_until(lambda: far.sessions == 1, 10), "a delivery waits for the answer to the final dot")
        server.reload()
        send(server, "box@box.test")
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 1, 8), "after a reload other mail flows at once")
        far.release()
        checks.ok(server.wait_empty(20), "the delivery that hung ends, and its message goes", server.log()[-1500:])
        time.sleep(0.5)
        checks.equal(far.sessions, 1, "it was delivered once")


def jobs_that_wait_in_the_send_worker(checks):
    with Hanging() as far, Sink() as near:
        routes = "inline:{far.test=smtp:[127.0.0.1]:%d, near.test=smtp:[127.0.0.1]:%d}" % (far.port, near.port)
        with Mtad({"transport_maps": routes, "default_process_limit": "4"}) as server:
            for _ in range(4):
                send(server, "u@far.test")
            wait_until(lambda: far.sessions == 4, 10)
            for n in range(4):
                send(server, "u@near.test", n)
            for _ in range(3):
                time.sleep(0.5)
                kill_queue_worker(server)
            far.release()
            checks.ok(server.wait_empty(40), "all is delivered after three queue workers died", server.log()[-1500:])
            seen = tokens(message.data for message in near.messages)
            checks.equal(dict(seen), {str(n): 1 for n in range(4)}, "what waited for a free process came once")


def jobs_that_wait_in_the_deliver_worker(checks):
    boxes = [f"mbox{n}" for n in range(12)] + ["box"]
    with Mtad({"virtual_mailbox_lock": "dotlock", "deliver_lock_attempts": "60", "deliver_lock_delay": "1s",
               "virtual_destination_recipient_limit": "1", "virtual_destination_concurrency_limit": "50",
               "default_process_limit": "20"}, boxes=boxes) as server:
        locks = [os.path.join(server.store, name + ".lock") for name in boxes[:-1]]
        owner = pwd.getpwnam(STORE_USER) if server.root else pwd.getpwuid(os.geteuid())
        for lock in locks:
            with open(lock, "w"):
                os.chown(lock, owner.pw_uid, owner.pw_gid)
        for name in boxes[:-1] * 2:
            send(server, f"{name}@box.test", "locked")
        time.sleep(1)
        for n in range(10):
            send(server, "box@box.test", n)
        for _ in range(2):
            time.sleep(1)
            kill_queue_worker(server)
        for lock in locks:
            os.unlink(lock)
        checks.ok(server.wait_empty(60), "all is delivered when the mailboxes are unlocked", server.log()[-1500:])
        seen = tokens(server.maildir("box"))
        checks.equal(dict(seen), {str(n): 1 for n in range(10)}, "what waited for a thread came once")


def listings_that_nobody_reads(checks):
    with Mtad({"transport_maps": "inline:{dead.test=smtp:[127.0.0.1]:1}"}) as server:
        with Session(server.port) as client:
            for n in range(60):
                client.send("from@example.test", [f"u{n}-{i}-{'a' * 50}@dead.test" for i in range(100)], text("x"))
        wait_until(lambda: len(server.queue_files("deferred")) == 60, 30)
        command = [server.command("postqueue"), "-p"]
        whole = server.run("postqueue", "-p")
        stuck = [subprocess.Popen(command, stdout=subprocess.PIPE, env=server.environment()) for _ in range(12)]
        try:
            time.sleep(1)
            began = time.monotonic()
            again = server.run("postqueue", "-p", timeout=20)
            checks.ok(again.stdout == whole.stdout and time.monotonic() - began < 5,
                      "twelve unread listings do not hold up one that is read")
            server.reload()
            send(server, "box@box.test")
            checks.ok(wait_until(lambda: server.maildir("box"), 8), "nor the mail after a reload")
            first = stuck[0].communicate(timeout=20)[0]
            checks.equal(len(first), len(whole.stdout), "a listing that began before the reload is whole")
        finally:
            for process in stuck:
                process.kill()
                process.communicate()


def more_reloads_than_workers_may_linger(checks):
    with Mtad() as server:
        held = []
        for _ in range(70):
            held.append(Session(server.port))
            server.reload()
            time.sleep(0.12)
        checks.ok(wait_until(lambda: "the old configuration stays" in server.log(), 10), "a reload too many is refused, and said")
        send(server, "box@box.test")
        checks.ok(wait_until(lambda: server.maildir("box"), 10), "mail still comes in and is delivered", server.log()[-1500:])
        for session in held:
            session.close()


def a_send_worker_that_sleeps(checks):
    """It wakes when the queue has another owner, with a request of the old one unread."""
    def slow(_):
        time.sleep(2)
        return "250 2.0.0 Ok"
    for pause in (0.7, 1.4):
        with Sink(replies={".": slow}) as sink, Mtad({"transport_maps": f"inline:{{far.test=smtp:[127.0.0.1]:{sink.port}}}"}) as server:
            asleep = [pid for pid in server.workers() if "--worker=send" in open(f"/proc/{pid}/cmdline").read()]
            for pid in asleep:
                os.kill(pid, signal.SIGSTOP)
            send(server, "u@far.test")
            wait_until(lambda: server.queue_files("active"), 5)
            server.reload()
            time.sleep(pause)
            for pid in asleep:
                os.kill(pid, signal.SIGCONT)
            checks.ok(server.wait_empty(20), f"a send worker asleep for {pause} s: the message is delivered", server.log()[-800:])
            time.sleep(2.5)
            checks.equal(len(sink.messages), 1, "once")


def main(checks):
    reload_with_a_hanging_delivery(checks)
    jobs_that_wait_in_the_send_worker(checks)
    jobs_that_wait_in_the_deliver_worker(checks)
    listings_that_nobody_reads(checks)
    more_reloads_than_workers_may_linger(checks)
    a_send_worker_that_sleeps(checks)


run(main)
