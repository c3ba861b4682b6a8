"""Tables inside the daemon: a database server that dies, hangs and comes back while clients talk; a lock that somebody holds;
a file that changes. What cannot be told is "try again later", in SMTP and in the queue, and nobody else waits for it."""
import fcntl
import os
import pwd
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import command, run, wait_until  # noqa: E402
from databases import MariaDb  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from server import new_directory  # noqa: E402
from sink import Sink  # noqa: E402
from toys import Pulse  # noqa: E402

LATE = "451 4.3.0"


def rcpt(port, address, mail="MAIL FROM:<from@example.test>"):
    """The reply to one recipient on a connection of its own."""
    with Session(port) as link:
        link.command(mail)
        code, text = link.command(f"RCPT TO:<{address}>")
        return f"{code} {text}"


class Clients:
    """Asks for a known and an unknown recipient all the time, on several connections; keeps every reply."""

    def __init__(self, port, threads=4):
        self.port = port
        self.replies = []
        self.done = False
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        for thread in self.threads:
            thread.join()

    def run(self):
        with Session(self.port) as link:
            link.command("MAIL FROM:<from@example.test>")
            while not self.done:
                for name in ("ann", "nosuch"):
                    code, text = link.command(f"RCPT TO:<{name}@sql.test>")
                    self.replies.append((name, f"{code} {text}"))
                link.command("RSET")
                link.command("MAIL FROM:<from@example.test>")
                time.sleep(0.01)

    def wrong(self):
        return [one for one in self.replies if not one[1].startswith(LATE)
                and (one[0] == "ann") != one[1].startswith("250")]

    def late(self):
        return sum(text.startswith(LATE) for _, text in self.replies)


def dies_and_comes_back(checks, server, database):
    with Clients(server.port) as clients, Pulse(server.port) as pulse:
        checks.ok(wait_until(lambda: len(clients.replies) > 20, 10), "recipients are looked up in the database")
        for turn in range(3):
            before = clients.late()
            database.kill()
            checks.ok(wait_until(lambda: clients.late() > before + 5, 10), f"it dies: {LATE} ({turn})")
            database.start()
            checks.ok(wait_until(lambda: clients.replies[-1][1].startswith("250") or
                                 clients.replies[-1][1].startswith("550"), 10), f"it is back: answers again ({turn})")
    checks.ok(not clients.wrong(), f"{len(clients.replies)} answers, {clients.late()} of them \"try again later\": none is wrong",
              repr(clients.wrong()[:5]))
    checks.ok(pulse.longest < 0.5, f"meanwhile another client waited {pulse.longest * 1000:.0f} ms at most")


def hangs(checks, server, database):
    """A server that is stopped takes connections and answers nothing."""
    database.process.send_signal(signal.SIGSTOP)
    try:
        with Pulse(server.port) as pulse:
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(rcpt(server.port, "ann@sql.test"))) for _ in range(40)]
            for thread in threads:
                thread.start()
            before = time.monotonic()
            other = rcpt(server.port, "kim@hash.test")
            took = time.monotonic() - before
            for thread in threads:
                thread.join()
        checks.ok(all(text.startswith(LATE) for text in answers), f"it hangs: {len(answers)} times {LATE}", repr(answers[:3]))
        checks.ok(other.startswith("250") and took < 5, f"another table answers meanwhile, after {took * 1000:.0f} ms", other)
        checks.ok(pulse.longest < 0.5, f"meanwhile another client waited {pulse.longest * 1000:.0f} ms at most")
    finally:
        database.process.send_signal(signal.SIGCONT)
    checks.ok(wait_until(lambda: rcpt(server.port, "ann@sql.test").startswith("250"), 10), "it goes on: answers again")


def routes(checks, server, database, sink):
    """The queue: a route that cannot be told defers, and mail goes out when it can."""
    database.kill()
    checks.equal(rcpt(server.port, "ann@routed.test")[:9], LATE, "a dead transport_maps: try again later")
    checks.equal(server.sendmail(b"Subject: x\n\nbody\n", "ann@routed.test").returncode, 0, "mail from here is taken")
    checks.ok(wait_until(lambda: "status=deferred (address resolver failure)" in server.log(), 10), "and deferred",
              server.log()[-1500:])
    checks.equal(len(sink.messages), 0, "nothing goes anywhere")
    database.start()
    time.sleep(1)
    subprocess.run([server.command("postqueue"), "-f"], env=server.environment(), check=True)
    checks.ok(sink.wait_count(1, 15) and server.wait_empty(10), "when it is back the mail goes where the table says", server.log()[-1500:])


def held_lock(checks, server, path):
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(rcpt(server.port, "kim@hash.test")))
        with Pulse(server.port) as pulse:
            waiting.start()
            time.sleep(1)
            checks.equal(answers, [], "a client whose table is locked waits")
            fcntl.flock(file, fcntl.LOCK_UN)
            waiting.join()
        checks.ok(answers[0].startswith("250"), "and gets its answer when the lock goes", answers[0])
        checks.ok(pulse.longest < 0.5, f"meanwhile another client waited {pulse.longest * 1000:.0f} ms at most")


def postmap(server, table, text):
    path = table.split(":", 1)[1]
    with open(path, "w") as file:
        file.write(text)
    subprocess.run([command("postmap"), table], env=server.environment(), check=True)


def changed_file(checks, server, table):
    path = table.split(":", 1)[1] + ".db"
    postmap(server, table, "kim@hash.test x\nnew@hash.test x\n")
    before = time.monotonic()
    checks.ok(wait_until(lambda: rcpt(server.port, "new@hash.test").startswith("250"), 5), "a changed file is noticed")
    checks.ok(time.monotonic() - before < 2, f"after {time.monotonic() - before:.1f} s")
    if os.geteuid() != 0:
        return
    # Only root may read the next one: the worker has given that up, its successor opens it first.
    postmap(server, table, "kim@hash.test x\nroot@hash.test x\n")
    os.chmod(path, 0o600)
    os.chown(path, 0, 0)
    checks.ok(wait_until(lambda: rcpt(server.port, "root@hash.test").startswith("250"), 10), "one that only root may read, too",
              server.log()[-1500:])
    checks.ok("replacing the receive worker" in server.log(), "by a successor", server.log()[-1500:])
    checks.equal(server.log().count("replacing the receive worker"), 1, "one successor")


def main(checks):
    directory = new_directory()
    database = MariaDb(directory).start().prepare()
    with Sink() as sink:
        # What the server forgets when it is killed it rightly calls unknown afterwards.
        database.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1; CREATE TABLE t (k VARCHAR(100) PRIMARY KEY, v TEXT);"
                         "INSERT INTO t VALUES ('ann@sql.test', 'x'), "
                         f"('ann@routed.test', 'smtp:[127.0.0.1]:{sink.port}');")
        cf = os.path.join(directory, "t.cf")
        for path, more in ((cf, ""), (cf + ".routes", "domain = routed.test\n")):
            with open(path, "w") as file:
                file.write(f"hosts = unix:{database.socket}\nuser = mail\npassword = s3cret\ndbname = mail\ntimeout = 2\n"
                           f"query = SELECT v FROM t WHERE k = '%s'\n{more}")
            os.chmod(path, 0o600)
        table = f"hash:{directory}/known"
        server = Mtad({"relay_domains": "sql.test, hash.test, routed.test", "mydestination": "localhost",
                       "relay_recipient_maps": f"{table} mysql:{cf}", "transport_maps": f"mysql:{cf}.routes",
                       "smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "100000", "smtpd_soft_error_limit": "100000",
                       "smtpd_client_connection_count_limit": "200"})
        server.write_configuration()
        postmap(server, table, "kim@hash.test x\n")
        try:
            server.start(configure=False)
            dies_and_comes_back(checks, server, database)
            hangs(checks, server, database)
            routes(checks, server, database, sink)
            held_lock(checks, server, f"{directory}/known.db")
            changed_file(checks, server, table)
        finally:
            server.stop()
            database.stop()


run(main)
