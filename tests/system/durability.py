"""Mail flows in by SMTP and by sendmail and out to a Maildir and to another server, while every process of the daemon is
killed again and again. Whatever was acknowledged must arrive.

MTAD_MESSAGES and MTAD_KILLS set the size (5000 and 200)."""
import os
import queue
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import ReplyError, Session  # noqa: E402
from server import kill_quietly  # noqa: E402
from sink import Sink  # noqa: E402

LONG = bool(os.environ.get("MTAD_LONG"))
MESSAGES = int(os.environ.get("MTAD_MESSAGES") or 5000)
KILLS = int(os.environ.get("MTAD_KILLS") or 200)
SEED = int(os.environ.get("MTAD_SEED") or 20260301)


class Load:
    """Sends messages with unique ids from a few threads and remembers which were acknowledged."""

    def __init__(self, server):
        self.server = server
        self.todo = queue.Queue()
        self.acknowledged = {}
        self.unanswered = 0
        self.refused = 0
        self.lock = threading.Lock()
        for number in range(MESSAGES):
            self.todo.put(number)
        self.threads = [threading.Thread(target=self.work, args=(kind,), daemon=True)
                        for kind in ("smtp", "smtp", "smtp", "sendmail")]
        self.deadline = time.monotonic() + (1500 if LONG else 240)

    def content(self, number, attempt):
        token = f"<{number}.{attempt}>"
        body = "".join(f"line {line} of message {token}\r\n" for line in range(1 + number % 40))
        return token, f"From: load@example.test\r\nSubject: {number}\r\nX-Token: {token}\r\n\r\n{body}".encode()

    def work(self, kind):
        session = None
        while time.monotonic() < self.deadline:
            try:
                number = self.todo.get_nowait()
            except queue.Empty:
                break
            recipient = "box@box.test" if number % 2 else "kim@far.test"
            for attempt in range(100000):
                if time.monotonic() > self.deadline:
                    return
                token, content = self.content(number, attempt)
                try:
                    if kind == "smtp":
                        session = session or Session(self.server.port, timeout=30)
                        session.send("load@example.test", recipient, content)
                        done = True
                    else:
                        result = self.server.sendmail(content.replace(b"\r\n", b"\n"), recipient)
                        done = result.returncode == 0
                except ReplyError as error:
                    done = False
                    with self.lock:
                        self.refused += 1
                    if error.code not in (0, 421):
                        time.sleep(0.05)
                    session = None
                except (OSError, ValueError):
                    done = False
                    session = None
                if done:
                    with self.lock:
                        self.acknowledged[token] = recipient
                    break
                with self.lock:
                    self.unanswered += 1
                time.sleep(0.02)
        if session:
            try:
                session.quit()
            except OSError:
                pass


def delivered(server, sink):
    """token → number of copies, over the Maildir and the other server; and how many copies are damaged."""
    copies, damaged = {}, 0
    contents = server.maildir("box") + [message.data.replace(b"\r\n", b"\n") for message in sink.messages]
    for content in contents:
        found = re.search(rb"^X-Token: (<[0-9.]+>)$", content, re.M)
        if not found:
            damaged += 1
            continue
        token = found.group(1).decode()
        number = int(token[1:].split(".")[0])
        body = content.split(b"\n\n", 1)[1]
        expected = "".join(f"line {line} of message {token}\n" for line in range(1 + number % 40)).encode()
        damaged += body != expected
        copies[token] = copies.get(token, 0) + 1
    return copies, damaged


def tokens_in_queue(server):
    """What lies in the spool is not lost, wherever it lies."""
    found = set()
    for _, path in server.queue_files():
        try:
            with open(path, "rb") as file:
                found.update(token.decode() for token in re.findall(rb"X-Token: (<[0-9.]+>)", file.read()))
        except FileNotFoundError:
            pass
    return found


def main(checks):
    random.seed(SEED)
    with Sink() as sink:
        server = Mtad({"relay_domains": "far.test", "queue_run_delay": "1s", "minimal_backoff_time": "1s",
                       "maximal_backoff_time": "2s", "smtpd_hard_error_limit": "1000"})
        server.parameters["transport_maps"] = f"texthash:{server.config}/transport"
        os.makedirs(server.config)
        with open(os.path.join(server.config, "transport"), "w") as file:
            file.write(f"far.test smtp:[127.0.0.1]:{sink.port}\n")
        with server:
            load = Load(server)
            for thread in load.threads:
                thread.start()
            began = time.monotonic()
            kills = supervisor_kills = 0
            killed_roles = {}
            while kills < KILLS and time.monotonic() < load.deadline:
                # Spread the kills over the whole of the load.
                share = (MESSAGES - load.todo.qsize()) / MESSAGES
                if share < kills / KILLS and any(thread.is_alive() for thread in load.threads):
                    time.sleep(0.01)
                    continue
                time.sleep(random.uniform(0.005, 0.08))
                if kills % 10 == 9:
                    server.kill_all() if kills % 20 == 19 else kill_supervisor(server)
                    supervisor_kills += 1
                    role = "everything at once" if kills % 20 == 19 else "supervisor"
                    start_again(server)
                else:
                    workers = server.workers()
                    if not workers:
                        time.sleep(0.05)
                        continue
                    victim = workers[kills % len(workers)]
                    role = role_of(victim)
                    if not kill_quietly(victim):
                        continue
                killed_roles[role] = killed_roles.get(role, 0) + 1
                kills += 1
            for thread in load.threads:
                thread.join(max(1, load.deadline - time.monotonic()))
            flow_seconds = time.monotonic() - began
            sent_all = load.todo.empty() and not any(thread.is_alive() for thread in load.threads)
            # Everything that is in the spool has its turn; a cut delivery is tried again by itself.
            drained = wait_until(server.is_empty, 120 if LONG else 60, 0.1)
            copies, damaged = delivered(server, sink)
            queued = tokens_in_queue(server)
            lost = [token for token in load.acknowledged if token not in copies and token not in queued]
            doubled = {token: count for token, count in copies.items() if count > 1}
            unacknowledged = [token for token in copies if token not in load.acknowledged]
            checks.note(f"seed {SEED}; {kills} kills in {flow_seconds:.1f} s: "
                        + ", ".join(f"{role} {count}" for role, count in sorted(killed_roles.items())))
            checks.note(f"{len(load.acknowledged)} acknowledged, {load.unanswered} attempts without a positive answer, "
                        f"{len(copies)} different messages arrived, {len(queued)} still queued, lost {len(lost)}, duplicated {len(doubled)} "
                        f"({sum(doubled.values()) - len(doubled)} extra copies), arrived though not acknowledged {len(unacknowledged)}")
            checks.ok(kills >= KILLS, f"{KILLS} kills were made", f"{kills}")
            checks.ok(sent_all and len(load.acknowledged) == MESSAGES, "every message was accepted in the end",
                      f"{len(load.acknowledged)} of {MESSAGES}\n{server.log()[-2000:]}")
            checks.ok(drained, "the queue empties", f"{server.queue_files()[:5]}\n{server.log()[-2000:]}")
            checks.ok(not lost, "no acknowledged message is lost", f"{lost[:20]}")
            checks.ok(damaged == 0, "no message is damaged", f"{damaged}")
            # Per kill: what four senders and as many deliveries as the mail system runs at once had in flight.
            in_flight = 100
            checks.ok(sum(doubled.values()) - len(doubled) <= kills * in_flight and
                      max(doubled.values(), default=1) <= kills + 1,
                      "duplicates are no more than the deliveries in flight", f"{len(doubled)}")
            corrupt = server.queue_files("corrupt")
            checks.ok(not corrupt, "nothing was set aside as damaged", f"{corrupt[:5]}")
            status = server.stop()
            checks.equal(status, 0, "the daemon stops cleanly after all that")


def role_of(pid):
    """The worker's role, as its command line tells it."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return "gone"
    text = b" ".join(words[1:]).decode(errors="replace")
    found = re.search(r"(receive|queue|send|deliver|spawner|tables|planner)", text)
    return found.group(1) if found else (text.split(" ")[0] or "worker")


def kill_supervisor(server):
    workers = server.workers()
    kill_quietly(server.pid)
    server.process.wait()
    server.left_behind = workers


def start_again(server):
    server.output.close()
    began = time.monotonic()
    while True:
        try:
            server.start(configure=False, seconds=30)
            return
        except RuntimeError:
            if time.monotonic() - began > 30:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    run(main)
