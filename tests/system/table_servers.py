"""Servers of tables inside the daemon, each table behind an smtpd of its own: servers that answer byte by byte, garbage, half an
answer, more than was asked, or nothing; real ones that die and come back; two hosts of which one is no good; recipients that are
made to be something else than a key. What cannot be told is "try again later", and the loop goes on meanwhile."""
import os
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from databases import MariaDb, Memcached, OpenLdap, PostgreSql, Redis  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from server import free_port, new_directory  # noqa: E402
from toys import Pulse, ToyServer  # noqa: E402

LATE = "451 4.3.0"
KNOWN, UNKNOWN = "ann@sql.test", "nosuch@sql.test"
LDIF = "dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: test\n\n" \
       "dn: cn=ann,dc=test\nobjectClass: mailthing\ncn: ann\nmail: ann@sql.test\nmaildrop: x\n\n"


class Toy(ToyServer):
    """A server on a Unix socket and a port that behaves as mode says. answer(question) is the right answer; garbage is none.
    One that greets speaks first."""

    def __init__(self, path, answer, garbage=b"\xffjunk\r\n\n", greets=False):
        self.right, self.garbage, self.greets = answer, garbage, greets
        self.mode = "good"
        self.asked = 0
        self.release = threading.Event()
        super().__init__(path)

    def talk(self, link):
        if self.greets and not self.reply(link, b""):
            return
        while data := link.recv(65536):
            self.asked += 1
            if not self.reply(link, self.right(data)):
                return

    def reply(self, link, right):
        mode = self.mode
        if mode == "slow":
            for at in range(len(right)):
                link.sendall(right[at:at + 1])
                time.sleep(0.005)
        elif mode == "garbage":
            link.sendall(self.garbage)
        elif mode == "silent":
            self.release.wait(60)
            return False
        elif mode in ("half", "closed"):
            link.sendall(right[:len(right) // 2] if mode == "half" else b"")
            return False
        else:
            link.sendall(right)
        if mode == "chatty":  # what nobody asked for, in a packet of its own
            link.sendall(self.right(None))
        return True



# The right answer to a question; None asks for what is always found.
def tcp(data):
    return b"200 x\n" if data is None or KNOWN.encode() in data else b"500 no\n"


def socketmap(data):
    return b"4:OK x," if data is None or KNOWN.encode() in data else b"9:NOTFOUND ,"


def memcache(data):
    return b"VALUE %s 0 1\r\nx\r\nEND\r\n" % KNOWN.encode() if data is None or KNOWN.encode() in data else b"END\r\n"


def redis(data):
    return b"$1\r\nx\r\n" if data is None or KNOWN.encode() in data else b"$-1\r\n"


class Place:
    """The daemon, with an smtpd for each table."""

    def __init__(self):
        self.directory = new_directory()
        self.ports = {}
        self.services = ""

    def add(self, label, table):
        self.ports[label] = free_port()
        self.services += f"127.0.0.1:{self.ports[label]} inet n - n - - smtpd\n  -o {{ relay_recipient_maps = {table} }}\n"

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self):
        self.server = Mtad({"relay_domains": "sql.test", "mydestination": "localhost", "smtpd_error_sleep_time": "0",
                            "smtpd_hard_error_limit": "100000", "smtpd_soft_error_limit": "100000",
                            "smtpd_client_connection_count_limit": "200"}, services=self.services).start()

    def rcpt(self, label, address=KNOWN):
        with Session(self.ports[label]) as link:
            link.command("MAIL FROM:<from@example.test>")
            code, text = link.command(b"RCPT TO:<" + (address if isinstance(address, bytes) else address.encode()) + b">\r\n")
            return f"{code} {text}"

    def answers(self, label):
        return self.rcpt(label)[:3] + self.rcpt(label, UNKNOWN)[:4].strip()

    def right(self, label):
        return self.answers(label) == "250550"


def misbehaviour(checks, place, label, toy, pulse):
    """Each way of a bad answer, then a good one."""
    wrong = []
    modes = ["slow", "garbage", "half", "closed", "chatty", "silent"]
    for mode in modes:
        toy.mode = mode
        toy.release.clear()
        beats = pulse.beats
        if mode == "silent" and label in ("tcp", "socketmap"):  # their limit is 100 seconds
            seen = []
            asking = threading.Thread(target=lambda s=seen: s.append(place.rcpt(label)))
            asked = toy.asked
            asking.start()
            wait_until(lambda a=asked: toy.asked > a, 10)
            went_on = wait_until(lambda b=beats: pulse.beats > b + 5, 10)
            toy.mode = "closed"
            toy.release.set()
            asking.join()
            good = seen[0].startswith(LATE) and went_on
        elif mode == "slow":
            seen = [place.answers(label) for _ in range(3)]
            good = set(seen) == {"250550"}
        elif mode == "chatty":
            seen = []
            for _ in range(4):
                seen.append(place.rcpt(label, UNKNOWN)[:3])
                time.sleep(0.2)  # it has come when the next question goes out
            good = set(seen) <= {"550", "451"}
        else:
            seen = [place.rcpt(label), place.rcpt(label, UNKNOWN)]
            good = all(text.startswith(LATE) for text in seen)
        toy.mode = "good"
        toy.release.set()
        if not (good and wait_until(lambda: place.right(label), 15)):
            wrong.append((mode, seen, place.answers(label)))
    checks.ok(not wrong, f"{label}: {len(modes)} ways of a bad server, and each time it is asked again when it is good", repr(wrong))


def dies_and_comes_back(checks, place, label, database, fill, pulse):
    checks.ok(wait_until(lambda: place.right(label), 15), f"{label}: a real server answers", place.answers(label))
    beats = pulse.beats
    database.kill()
    dead = place.answers(label)
    went_on = wait_until(lambda: pulse.beats > beats, 10)
    database.start()
    fill()
    checks.ok(wait_until(lambda: place.right(label), 15) and dead == "451451" and went_on,
              f"{label}: killed, it is \"try again later\"; started again, it answers", f"{dead} {place.answers(label)}")
    # The connection that was open then is of no use any more, and nobody notices.
    database.stop()
    database.start()
    fill()
    checks.ok(wait_until(lambda: place.right(label), 15), f"{label}: a restart while nobody asks is forgotten", place.answers(label))


HOSTILE = [b"\"' or '1'='1\"", b"\"ann' -- \"", b"\"ann\\\\' or 1=1 #\"", b"\"\\\\\"", b"\"%\"", b"\"_nn\"", b"*", b"\"*)(mail=*\"",
           b"\"ann)(|(cn=*\"",
           b"\"\\\\2a\"", b"\"a\\\\00b\"", b"\"ann\\\"\"", b"a\xff", b"\xc3\x28", b"\"a\tb\"", b"$1", b"\"$(id)\"", b"`id`", b"a" * 900,
           b"\"'; drop table t; -- \"", b"%s", b"%27", b"\"E'x\"", b"\"x\r\nget y\"", b"ann\0x"]


def hostile_recipients(checks, place, labels):
    for label in labels:
        taken = [name for name in HOSTILE if place.rcpt(label, name + b"@sql.test")[:1] not in ("4", "5")]
        checks.ok(not taken and place.right(label),
                  f"{label}: {len(HOSTILE)} hostile recipients are refused, and the table is as it was", f"{taken} {place.answers(label)}")


def main(checks):
    place = Place()
    path = lambda name: os.path.join(place.directory, name)  # noqa: E731
    toys = {name: Toy(path("toy-" + name), answer) for name, answer in
            (("tcp", tcp), ("socketmap", socketmap), ("memcache", memcache), ("redis", redis))}
    place.add("tcp", f"tcp:127.0.0.1:{toys['tcp'].port}")
    place.add("socketmap", f"socketmap:unix:{toys['socketmap'].path}:map")
    once = "max_try = 1\ntimeout = 1\n"
    place.add("memcache", "memcache:" + place.file("toy-m.cf", f"memcache = unix:{toys['memcache'].path}\n{once}"))
    place.add("redis", "redis:" + place.file("toy-r.cf", f"hosts = unix:{toys['redis'].path}\ntimeout = 1\n"))
    real = {"mysql": MariaDb(place.directory).start().prepare(), "pgsql": PostgreSql(place.directory).start().prepare(),
            "ldap": OpenLdap(place.directory, ldif=LDIF).start(), "real memcache": Memcached(place.directory, "memcached").start(),
            "real redis": Redis(place.directory).start()}
    for kind in ("mysql", "pgsql"):
        real[kind].execute("CREATE TABLE t (k VARCHAR(255) PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('ann@sql.test', 'x');"
                           + ("GRANT ALL ON t TO mail;" if kind == "pgsql" else ""))
    real["mysql"].execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1; INSERT INTO t VALUES ('other@sql.test', 'x');")
    sql = "user = mail\npassword = s3cret\ndbname = mail\ntimeout = 1\nquery = SELECT v FROM t WHERE k = '%s'\nretry_interval = 1\n"
    search = "search_base = dc=test\nquery_filter = (mail=%s)\nbind = no\ntimeout = 1\nretry_interval = 1\n"
    fakes = {name: Toy(path("fake-" + name), lambda data: b"", b"\x0a\0\0\0junk\0junk" * 20, name == "mysql")
             for name in ("mysql", "pgsql", "ldap")}
    hosts = {kind: f"hosts = 127.0.0.1:{real[kind].port}" for kind in ("mysql", "pgsql")} | \
        {"ldap": f"server_host = ldap://127.0.0.1:{real['ldap'].port}"}
    for kind, rest in (("mysql", sql), ("pgsql", sql), ("ldap", search)):
        fake = f"127.0.0.1:{fakes[kind].port}"
        place.add(kind, f"{kind}:" + place.file(kind + ".cf", f"{hosts[kind]}\n{rest}"))
        fake = ("ldap://" if kind == "ldap" else "") + fake
        place.add("fake " + kind, f"{kind}:" + place.file(f"fake-{kind}.cf", hosts[kind].split(" = ")[0] + f" = {fake}\n{rest}"))
        place.add("both " + kind, f"{kind}:" + place.file(f"both-{kind}.cf", hosts[kind].replace(" = ", f" = {fake} ") + f"\n{rest}"))
    place.add("real memcache", "memcache:" + place.file("m.cf", f"memcache = inet:127.0.0.1:{real['real memcache'].port}\n{once}"))
    place.add("real redis", "redis:" + place.file("r.cf", f"hosts = unix:{real['real redis'].socket}\ntimeout = 1\n"))
    fill = {"real memcache": lambda: real["real memcache"].ask(b"set ann@sql.test 0 0 1\r\nx\r\n"),
            "real redis": lambda: real["real redis"].run("redis-cli", "-s", real["real redis"].socket, "set", "ann@sql.test", "x")}
    for one in fill.values():
        one()
    try:
        place.start()
        with Pulse(place.server.port) as pulse:
            for label, toy in toys.items():
                misbehaviour(checks, place, label, toy, pulse)
            for kind, fake in fakes.items():
                for mode in ("silent", "garbage", "closed"):
                    fake.mode = mode
                    beats = pulse.beats
                    alone = place.answers("fake " + kind)
                    went_on = mode != "silent" or pulse.beats > beats  # the others are over at once
                    checks.ok(alone == "451451" and went_on, f"{kind}: a server that is {mode}: try again later", alone)
                    seen = {place.answers("both " + kind) for _ in range(4)}
                    checks.equal(seen, {"250550"}, f"{kind}: of two hosts one is {mode}: the other answers")
                    fake.release.set()
            hostile_recipients(checks, place, [*real, *toys])
            for label, database in real.items():
                dies_and_comes_back(checks, place, label, database, fill.get(label, lambda: None), pulse)
    finally:
        place.server.stop()
        for database in real.values():
            database.stop()
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(place.directory, ignore_errors=True)


run(main)
