"""A reload that cannot succeed changes nothing: the log says why, and the workers that serve go on. One that can takes
over without refusing a connection. A spawner that ends again and again is not started in a tight loop."""
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402
from server import free_port, is_listening, kill_quietly  # noqa: E402

STAYS = "; the old configuration stays"


def path(server, name):
    return os.path.join(server.config, name)


def append(server, name, text):
    with open(path(server, name), "a") as file:
        file.write(text)


def deliver(server, count):
    with Session(server.port) as client:
        client.send("from@example.test", "box@box.test", b"Subject: x\r\n\r\nbody\r\n")
    return wait_until(lambda: len(server.maildir("box")) == count, 10)


def workers_of(server, kind):
    found = []
    for pid in server.workers():
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if kind in file.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def refused(checks, server, name, text, wanted):
    """Appends to a file, reloads, and looks that nothing has come of it but a line in the log."""
    with open(path(server, name)) as file:
        good = file.read()
    wait_until(lambda: len(workers_of(server, "--worker=")) == 5, 10)  # an earlier reload has come to its end
    before, workers, mails = server.log().count(STAYS), workers_of(server, "--worker="), len(server.maildir("box"))
    append(server, name, text)
    server.reload()
    said = wait_until(lambda: server.log().count(STAYS) > before, 10)
    line = [one for one in server.log().splitlines() if STAYS in one][-1:]
    checks.ok(said and wanted in line[0], f"reload is refused: {wanted}", line or server.log()[-800:])
    checks.ok(deliver(server, mails + 1), "mail flows as before", server.log()[-800:])
    checks.ok(wait_until(lambda: workers_of(server, "--worker=") == workers, 5), "by the same workers",
              f"{workers} {workers_of(server, '--worker=')}")
    with open(path(server, name), "w") as file:
        file.write(good)


def bad_reloads(checks, server):
    lines = sum(1 for _ in open(path(server, "master.cf")))
    refused(checks, server, "main.cf", "no equals sign\n", "main.cf, line ")
    refused(checks, server, "main.cf", "message_size_limit = many\n", "message_size_limit = many")
    refused(checks, server, "main.cf", "mail_owner = nobody-of-that-name\n" if server.root else "inet_interfaces =\n$x {\n",
            "unknown user name value" if server.root else "main.cf, line ")
    if server.root:
        refused(checks, server, "main.cf", "setgid_group = no-such-group\n", "setgid_group: unknown group name: no-such-group")
    refused(checks, server, "master.cf", f"127.0.0.1:{free_port()} inet n - n - - smtpd\n -o message_size_limit=many\n",
            f"master.cf: line {lines + 1}: service ")
    refused(checks, server, "master.cf", f"127.0.0.1:{free_port()} inet n - n - - smtpdd\n", "unknown program \"smtpdd\"")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other, port = free_port(), taken.getsockname()[1]
        refused(checks, server, "master.cf", f"127.0.0.1:{other} inet n - n - - smtpd\n127.0.0.1:{port} inet n - n - - smtpd\n",
                f"master.cf: line {lines + 2}: bind 127.0.0.1:{port}")
    checks.ok(not is_listening(other), "what was opened for it is closed again")


def reloads_that_workers_refuse(checks, server):
    """What only those find who open tables and read restrictions, and what cannot be handed to them."""
    lines = sum(1 for _ in open(path(server, "master.cf")))
    other = free_port()
    listener = f"127.0.0.1:{other} inet n - n - - smtpd\n"
    for text, wanted in (("smtpd_recipient_restrictions = permit_mynetwork, reject\n", "a receive worker could not start with it"),
                         ("virtual_alias_maps = hsh:/x\n", "worker could not start with it"),
                         ("mynetworks = 127.0.0.1/99\n", "a receive worker could not start with it"),
                         (f"queue_directory = {server.spool}2\n", "to change queue_directory, stop and start"),
                         ("inet_protocols = ipv9\n", "inet_protocols: unknown protocol"), 
                         ("maillog_file = /nowhere/log\n", "/nowhere/log")):
        refused(checks, server, "main.cf", text, wanted)
    refused(checks, server, "master.cf", listener + " -o smtpd_banner=" + "x" * 70000 + "\n", f"master.cf: line {lines + 1}: the -o settings")
    with open(path(server, "master.cf"), "a") as file:
        file.write(listener)
    refused(checks, server, "main.cf", "maillog_file = /nowhere/log\n", "/nowhere/log")
    checks.ok(not is_listening(other), "the new service is as closed as before")
    with open(path(server, "master.cf")) as file:
        good = file.read().replace(listener, "")
    with open(path(server, "master.cf"), "w") as file:
        file.write(good)


def a_pipe_for_a_file(checks, server):
    """master.cf that is a pipe would be waited for."""
    os.rename(path(server, "master.cf"), path(server, "kept"))
    os.mkfifo(path(server, "master.cf"))
    before = server.log().count(STAYS)
    server.reload()
    checks.ok(wait_until(lambda: server.log().count(STAYS) > before, 5) and "it is a pipe" in server.log(), "a pipe is no master.cf")
    os.rename(path(server, "kept"), path(server, "master.cf"))


def broken_files(checks, server):
    """Workers that start after a reload was refused know nothing of what it was refused for."""
    with open(path(server, "main.cf")) as file:
        good = file.read()
    append(server, "main.cf", "no equals sign\n")
    before = server.log().count(STAYS)
    server.reload()
    checks.ok(wait_until(lambda: server.log().count(STAYS) > before, 10), "a reload is refused")
    old = server.workers()
    for pid in old:
        kill_quietly(pid, signal.SIGKILL)
    checks.ok(wait_until(lambda: all(workers_of(server, f"--worker={role}") for role in ("receive", "queue", "deliver")), 10),
              "workers that died are replaced")
    checks.ok(deliver(server, len(server.maildir("box")) + 1), "and serve", server.log()[-800:])
    with open(path(server, "main.cf"), "w") as file:
        file.write(good)


def listener_comes_and_goes(checks, server):
    port = free_port()
    with open(path(server, "master.cf")) as file:
        good = file.read()
    before, refusals = server.log().count("reload -- "), server.log().count(STAYS)
    for text in (f"127.0.0.1:{port} inet n - n - - smtpd\n", "") * 5:
        with open(path(server, "master.cf"), "w") as file:
            file.write(good + text)
        server.reload()
        time.sleep(0.2)
    checks.ok(wait_until(lambda: server.log().count("reload -- ") >= before + 5, 10) and server.log().count(STAYS) == refusals,
              "a service comes and goes", server.log()[-800:])
    append(server, "master.cf", f"127.0.0.1:{port} inet n - n - - smtpd -o smtpd_banner=one\n127.0.0.1:{port} inet n - n - - smtpd\n")
    server.reload()
    checks.ok(server.wait_log(f'duplicate master.cf entry for service "127.0.0.1:{port}" ([127.0.0.1]:{port}) -- using the last entry'),
              "of two lines for one service the last counts", server.log()[-800:])
    with open(path(server, "master.cf"), "w") as file:
        file.write(good)


def good_reload(checks, server):
    """A new listener, an old one gone, while a client sits in a session."""
    first, second = free_port(), free_port()
    with open(path(server, "master.cf")) as file:
        good = file.read()
    append(server, "master.cf", f"127.0.0.1:{first} inet n - n - - smtpd\n")
    server.reload()
    checks.ok(wait_until(lambda: is_listening(first), 10), "a new service is served after a reload")
    with socket.create_connection(("127.0.0.1", first), 10) as client, client.makefile("rwb") as lines:
        checks.ok(lines.readline().startswith(b"220 "), "it greets")
        with open(path(server, "master.cf"), "w") as file:
            file.write(good + f"127.0.0.1:{second} inet n - n - - smtpd\n")
        server.reload()
        checks.ok(wait_until(lambda: is_listening(second) and not is_listening(first), 10), "another takes its place")
        lines.write(b"NOOP\r\n")
        lines.flush()
        checks.ok(lines.readline().startswith(b"250 "), "who was in a session goes on")
    checks.ok(deliver(server, len(server.maildir("box")) + 1), "and mail flows")


def addresses(checks, server):
    """An address is the same however it is spelled, and what only a start can change says so."""
    port = free_port()
    with open(path(server, "master.cf")) as file:
        good = file.read()
    for number, name in enumerate((f"127.0.0.1:{port}", f"localhost:{port}", f"{port}")):
        with open(path(server, "master.cf"), "w") as file:
            file.write(good + f"{name} inet n - n - - smtpd\n")
        if number == 2:
            append(server, "main.cf", "inet_interfaces = localhost, 127.0.0.1\n")
        before = server.log().count("reload -- ")
        server.reload()
        checks.ok(wait_until(lambda: server.log().count("reload -- ") > before, 10) and is_listening(port),
                  f"a service is {name} after a reload", server.log()[-600:])
    refused(checks, server, "main.cf", "inet_interfaces = all\n", "is in the way: stop and start it)")
    refused(checks, server, "main.cf", "inet_interfaces =\n", f"service {port} names no address, nor does inet_interfaces")
    for bad in ("0", "99999", ""):
        refused(checks, server, "master.cf", f"127.0.0.1:{bad} inet n - n - - smtpd\n", f"bad port: 127.0.0.1:{bad}")
    with open(path(server, "master.cf"), "w") as file:
        file.write(good)
    append(server, "main.cf", "inet_interfaces =\n")
    before = server.log().count("reload -- ")
    server.reload()
    checks.ok(wait_until(lambda: server.log().count("reload -- ") > before, 10) and is_listening(server.port),
              "services that name their addresses need none of inet_interfaces", server.log()[-600:])


def interrupted_reload(checks, server):
    """Who is told to stop while a reload is under way stops, and starts nothing more."""
    before = server.log().count("reload -- ")
    server.reload()
    server.reload()
    checks.equal(server.stop(), 0, "a reload does not keep the mail system from stopping")
    checks.equal(server.log().count("reload -- "), before, "and does not come to its end")


def spawner_in_trouble(checks, server):
    for _ in range(4):
        for pid in workers_of(server, "--spawner"):
            kill_quietly(pid, signal.SIGSEGV)
        time.sleep(0.3)
    deaths = server.log().count("(spawner) killed by signal 11")
    checks.ok(1 <= deaths <= 3 and "bad command startup -- throttling" in server.log(),
              f"a spawner that ends at once is started with delay ({deaths} ends)", server.log()[-800:])
    checks.ok(wait_until(lambda: workers_of(server, "--spawner"), 15), "and it is started again")


def bad_start(checks):
    with Mtad() as server:
        server.stop()
        append(server, "master.cf", "127.0.0.1:1 inet n - n - - smtpd -o smtpd_timeout=soon\n")
        try:
            server.start(configure=False)
            checks.ok(False, "a bad -o value is fatal at the start")
        except RuntimeError as trouble:
            checks.ok("master.cf: line " in str(trouble) and "smtpd_timeout" in str(trouble), "a bad -o value is fatal at the start", trouble)


def main(checks):
    with Mtad() as server:
        checks.ok(deliver(server, 1), "mail flows")
        bad_reloads(checks, server)
        reloads_that_workers_refuse(checks, server)
        listener_comes_and_goes(checks, server)
        a_pipe_for_a_file(checks, server)
        broken_files(checks, server)
        good_reload(checks, server)
        addresses(checks, server)
        if server.root:
            spawner_in_trouble(checks, server)
        interrupted_reload(checks, server)
    bad_start(checks)


run(main)
