"""Start, stop, reload, a worker that dies, and the control commands of either system on the other's daemon."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, command, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference  # noqa: E402
from senders import Session  # noqa: E402
from server import is_listening, kill_quietly, wait_gone  # noqa: E402

MESSAGE = b"Subject: hello\n\nhello\n"


def sends(server, to="box@box.test", timeout=20):
    """Whether a message goes in and out now."""
    before = len(server.maildir("box"))
    try:
        with Session(server.port, timeout=timeout) as session:
            session.send("a@example.test", to, MESSAGE)
            session.quit()
    except Exception as error:
        return False if str(error) else False
    return wait_until(lambda: len(server.maildir("box")) > before, timeout)


def test_stop(checks):
    with Mtad() as server:
        checks.ok(re.search(r"postfix/master\[\d+\]: daemon started -- version 3\.7\.11, configuration " + re.escape(server.config),
                            server.log()), "the start is logged as log readers know it", server.log()[:600])
        sessions = [Session(server.port) for _ in range(20)]
        pids = server.pids()
        checks.ok(len(pids) > 1, "the supervisor has workers")
        began = time.monotonic()
        status = server.stop(seconds=8)
        seconds = time.monotonic() - began
        checks.equal(status, 0, "TERM ends the daemon with status 0")
        checks.ok(seconds < 5, "with idle sessions it is down in under 5 seconds", f"{seconds:.1f}")
        checks.ok(wait_gone(pids, 0.2), "no worker is left")
        replies = []
        for session in sessions:
            try:
                replies.append(session.command("NOOP")[0])
            except OSError:
                replies.append(0)
            session.close()
        checks.ok(all(code in (421, 0) for code in replies), "idle sessions got 421 or the end", str(replies))
        checks.ok(not is_listening(server.port), "nobody listens any more")
        checks.ok("terminating on signal 15" in server.log(), "the stop is logged", server.log()[-800:])
        server.start(configure=False)
        checks.ok(sends(server), "it starts again at once and works")


def test_second_start(checks):
    with Mtad() as server:
        second = Mtad(directory=server.directory, port=server.port)
        second.owns_directory = False
        second.start(configure=False, wait=False)
        status = wait_until(lambda: second.process.poll() is not None, 15) and second.process.poll()
        checks.ok(status not in (0, False, None), "a second daemon on one spool refuses to start", str(status))
        second.stop()
        checks.ok(sends(server), "the first one goes on")


def test_crash(checks):
    with Mtad() as server:
        sends(server)
        for index in range(len(server.workers())):
            workers = server.workers()
            if index >= len(workers):
                break
            with open(f"/proc/{workers[index]}/cmdline") as file:
                name = " ".join(file.read().split("\0")[1:]).strip()
            kill_quietly(workers[index])
            began = time.monotonic()
            works = wait_until(lambda: sends(server, timeout=5), 30)
            checks.ok(works, f"mail flows after the death of {name or 'a worker'}", server.log()[-1500:])
            checks.ok(time.monotonic() - began < 10, "and soon", f"{time.monotonic() - began:.1f} s")
        checks.ok("killed by signal 9" in server.log(), "the death is logged", server.log()[-1500:])


def test_reload(checks):
    with Mtad({"smtpd_banner": "$myhostname before"}) as server:
        old = Session(server.port)
        checks.ok("before" in old.banner[1], "the banner is as configured", str(old.banner))
        with open(os.path.join(server.config, "main.cf"), "a") as file:
            file.write("smtpd_banner = $myhostname after\n")
        server.reload()

        def changed():
            try:
                with Session(server.port, timeout=5) as session:
                    return "after" in session.banner[1]
            except OSError:
                return False
        checks.ok(wait_until(changed, 15, 0.1), "after HUP new sessions see the new configuration", server.log()[-800:])
        checks.ok("reload -- version 3.7.11, configuration" in server.log(), "the reload is logged", server.log()[-800:])
        try:
            old.send("a@example.test", "box@box.test", MESSAGE)
            old.quit()
            checks.ok(wait_until(lambda: len(server.maildir("box")) == 1, 15), "an old session is served to its end",
                      server.log()[-800:])
        except Exception as error:
            checks.ok(False, "an old session is served to its end", f"{error}\n{server.log()[-800:]}")


def test_mail_waits(checks):
    with Mtad() as server:
        server.stop()
        done = server.sendmail(MESSAGE, "box@box.test")
        checks.ok(done.returncode == 0, "sendmail accepts mail while the daemon is down", done.stderr)
        server.start(configure=False)
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 1, 20), "it is delivered after the start", server.log()[-800:])


def test_control(checks):
    if os.geteuid() != 0:
        raise Skip("the control command is for root")
    command("postfix")
    server = Mtad()
    server.write_configuration()
    try:
        status = server.run("postfix", "status")
        checks.ok(status.returncode == 1 and not status.stderr and "the Postfix mail system is not running" in server.log(),
                  "postfix status: not running", status)
        stop = server.run("postfix", "stop")
        checks.ok(stop.returncode == 1 and b"fatal: the Postfix mail system is not running" in stop.stderr,
                  "postfix stop of nothing", stop)
        start = server.run("postfix", "start")
        checks.ok(start.returncode == 0 and b"starting" not in start.stderr and "starting the Postfix mail system" in server.log(), "postfix start", start)
        checks.ok(wait_until(lambda: is_listening(server.port), 20), "it listens", server.log()[-800:])
        status = server.run("postfix", "status")
        checks.ok(status.returncode == 0 and re.search(r"the Postfix mail system is running: PID: \d+", server.log()),
                  "postfix status: running", status)
        again = server.run("postfix", "start")
        checks.ok(again.returncode == 1 and b"fatal: the Postfix mail system is already running" in again.stderr,
                  "postfix start of a running one", again)
        reload = server.run("postfix", "reload")
        checks.ok(reload.returncode == 0 and not reload.stderr and "refreshing the Postfix mail system" in server.log(),
                  "postfix reload", reload)
        wait_until(lambda: "reload -- " in server.log(), 5)
        unknown = server.run("postfix", "frobnicate")
        checks.ok(unknown.returncode == 1 and b"unknown command: 'frobnicate'. Usage: postfix start (or stop, reload, " in unknown.stderr,
                  "postfix with an unknown command", unknown)
        stop = server.run("postfix", "stop")
        checks.ok(stop.returncode == 0 and not stop.stderr and "stopping the Postfix mail system" in server.log(), "postfix stop", stop)
        checks.ok(wait_until(lambda: not is_listening(server.port), 10), "nobody listens any more")
    finally:
        server.run("postfix", "abort")
        server.remove()


def test_reference_control(checks):
    """Scripts that call the other system's command keep working."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    with Mtad() as server:
        view = Reference({}, directory=server.directory, port=server.port)
        view.owns_directory = False
        view.config = os.path.join(server.directory, "reference-etc")
        view.write_configuration()
        status = view.run("postfix", "status")
        # It says so to a terminal and to the log.
        checks.ok(status.returncode == 0 and "the Postfix mail system is running: PID: " in server.log(),
                  "the reference's postfix status sees our daemon", status)
        checks.ok(sends(server), "and mail flows")
        stop = view.run("postfix", "stop")
        checks.ok(stop.returncode == 0, "the reference's postfix stop stops it", stop)
        checks.ok(wait_until(lambda: server.process.poll() is not None, 10), "it is gone", server.log()[-600:])


def main(checks):
    for part in (test_stop, test_second_start, test_crash, test_reload, test_mail_waits, test_control, test_reference_control):
        try:
            part(checks)
        except Skip as reason:
            checks.note(f"{part.__name__}: {reason}")
            if not checks.passed and not checks.failed:
                raise
        except Exception as error:  # one broken part must not hide the others
            checks.ok(False, f"{part.__name__} runs to its end", repr(error))


run(main)
