"""The logs of deferred mail by site (flush/): both systems write the same, answer the flush protocol alike, and each flushes
by site what the other has deferred."""
import os
import pwd
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference, reference_root  # noqa: E402
from server import OWNER, free_port, new_directory  # noqa: E402
from sink import Sink  # noqa: E402

HOUR = 3600
PARAMETERS = {"queue_run_delay": "36000s", "minimal_backoff_time": "36000s", "maximal_backoff_time": "72000s",
              "relay_domains": "relay.test, sub.test", "fast_flush_domains": "$relay_domains, far.test",
              "parent_domain_matches_subdomains": "fast_flush_domains"}
MAIL = (("a@relay.test", "b@RELAY.test", "c@other.test"), ("d@far.test", "e@a.far.test"), ("f@other.test",), ("g@relay.test",))


class Site:
    """A running system whose mail goes nowhere, and a name for each of its messages."""

    def __init__(self, system):
        self.system, self.names = system, {}

    def defer(self, recipients):
        before = self.queued("deferred")
        self.system.sendmail(b"Subject: x\n\nx\n", *recipients)
        if not wait_until(lambda: len(self.queued("deferred")) == len(before) + 1, 20):
            raise RuntimeError("not deferred: " + self.system.log()[-1500:])
        self.names[(self.queued("deferred") - before).pop()] = "message%d" % len(self.names)

    def queued(self, *queues):
        return {os.path.basename(path) for _, path in self.system.queue_files(*queues)}

    def ask(self, **pairs):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(os.path.join(self.system.spool, "public", "flush"))
            greeting = b""
            while not greeting.endswith(b"\0\0"):
                greeting += peer.recv(200)
            peer.sendall(b"".join(f"{name}\0{value}\0".encode() for name, value in pairs.items()) + b"\0")
            return peer.recv(200).strip(b"\0").split(b"\0")[-1].decode()

    def path(self, name):
        return os.path.join(self.system.spool, "flush", name)

    def logs(self):
        """{file: (mode, owner, {messages})}. How often a message is listed is nobody's business."""
        found = {}
        for name in os.listdir(os.path.join(self.system.spool, "flush")):
            status = os.lstat(self.path(name))
            with open(self.path(name)) as file:
                text = file.read()
            assert text == "" or text.endswith("\n")
            found[name] = (oct(status.st_mode), status.st_uid, {self.names.get(line, line) for line in text.splitlines()})
        return found

    def age(self, name, read=0, written=0):
        now = time.time()
        os.utime(self.path(name), (now - read, now - written))

    def attempts(self, message):
        name = next(name for name, shown in self.names.items() if shown == message)
        return self.system.log().count(name + ": to=")

    def tried_again(self, message, since):
        return wait_until(lambda: self.attempts(message) > since and not self.queued("active", "incoming"), 15)


def behaviour(site):
    """What the service does, step by step."""
    seen = []
    for recipients in MAIL:
        site.defer(recipients)
    wait_until(lambda: len(site.logs()) == 3 and len(site.logs()["relay_test"][2]) == 2, 10)
    seen.append(("logs of deferred mail", site.logs()))
    for pairs in ({"request": "add", "site": "relay.test", "queue_id": "ABCDEF12345"},
                  {"request": "add", "site": "Relay.Test", "queue_id": "ABCDEF12346"},
                  {"request": "add", "site": "a_b-c.far.test", "queue_id": "ABCDEF12345"},
                  {"request": "add", "site": "relay.test", "queue_id": "../x"},
                  {"request": "add", "site": "other.test", "queue_id": "ABCDEF12345"},
                  {"request": "add", "site": "[127.0.0.9]", "queue_id": "ABCDEF12345"},
                  {"request": "add", "site": "", "queue_id": "ABCDEF12345"},
                  {"request": "send_site", "site": "none.far.test"}, {"request": "send_site", "site": "other.test"}):
        seen.append((pairs, site.ask(**pairs)))
    seen.append(("logs after additions", site.logs()))
    before = {name: site.attempts(name) for name in site.names.values()}
    seen.append(("send_site", site.ask(request="send_site", site="relay.test")))
    seen.append(("the site's mail is tried again", [site.tried_again(f"message{n}", before[f"message{n}"]) for n in (0, 3)]))
    wait_until(lambda: site.logs()["relay_test"][2] == {"message0", "message3"}, 10)
    seen.append(("and logged again, without those that are not there", site.logs()))
    seen.append(("no other mail is", [site.attempts(f"message{n}") == before[f"message{n}"] for n in (1, 2)]))
    return seen + upkeep(site)


def upkeep(site):
    """Refreshing and purging."""
    seen = []
    owner = pwd.getpwnam(OWNER).pw_uid
    for name, text in (("empty_old", ""), ("empty_young", ""), ("stale_far_test", "ABCDEF12345\nnot an ID\n")):
        with open(site.path(name), "w") as file:
            file.write(text)
        os.chown(site.path(name), owner, 0)
        os.chmod(site.path(name), 0o600)
    site.age("empty_old", written=8 * 24 * HOUR)
    site.age("empty_young", read=8 * 24 * HOUR)
    site.age("stale_far_test", written=13 * HOUR)  # read just now
    site.age("relay_test", read=13 * HOUR)
    before = {name: site.attempts(name) for name in site.names.values()}
    seen.append(("rfrsh", site.ask(request="rfrsh")))
    seen.append(("what nobody has asked for is tried", [site.tried_again(f"message{n}", before[f"message{n}"]) for n in (0, 3)]))
    wait_until(lambda: len(site.logs()["relay_test"][2]) == 2, 10)
    seen.append(("logs after a refresh", site.logs()))
    seen.append(("others are not", site.attempts("message1") == before["message1"]))
    for name in site.logs():
        site.age(name, read=5)
    seen.append(("purge", site.ask(request="purge")))
    seen.append(("a purge tries all", site.tried_again("message1", before["message1"])))
    wait_until(lambda: "message1" in site.logs()["far_test"][2] and not site.logs()["stale_far_test"][2], 10)
    seen.append(("logs after a purge", site.logs()))
    return seen


def hand_over(checks, first_kind, second_kind, words):
    directory, port, closed = new_directory(), free_port(), free_port()
    parameters = dict(PARAMETERS, default_transport=f"smtp:[127.0.0.1]:{closed}", relay_transport=f"smtp:[127.0.0.1]:{closed}")
    first = first_kind(parameters, directory=directory, port=port)
    first.owns_directory = False
    with first:
        site = Site(first)
        for recipients in MAIL:
            site.defer(recipients)
        wait_until(lambda: len(site.logs()) == 3, 10)
    with Sink(port=closed) as sink, second_kind(parameters, directory=directory, port=port) as second:
        done = second.run("postqueue", "-s", "relay.test")
        checks.equal(done.returncode, 0, f"{words}: postqueue -s succeeds")
        arrived = wait_until(lambda: len(second.queue_files()) == 2, 20)
        recipients = sorted(recipient for message in sink.messages for recipient in message.recipients)
        checks.ok(arrived, f"{words}: the site's mail is delivered", second.log()[-2000:])
        checks.equal(recipients, ["a@relay.test", "b@RELAY.test", "c@other.test", "g@relay.test"], f"{words}: no other mail is")


def main(checks):
    reference_root()
    if os.geteuid() != 0:
        raise Skip("the reference's daemon needs root")
    results = []
    for kind in (Reference, Mtad):
        with kind(dict(PARAMETERS, default_transport="smtp:[127.0.0.1]:1", relay_transport="smtp:[127.0.0.1]:1")) as system:
            results.append(behaviour(Site(system)))
    for (what, theirs), (_, ours) in zip(*results):
        checks.equal(ours, theirs, f"{what}")
    hand_over(checks, Reference, Mtad, "mtad after the reference")
    hand_over(checks, Mtad, Reference, "the reference after mtad")


run(main)
