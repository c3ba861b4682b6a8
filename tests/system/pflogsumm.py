"""A log reader that joins lines by the number in "postfix/smtpd[N]" counts 100 overlapping sessions as they were."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import need, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session  # noqa: E402

SESSIONS = 100
MESSAGES_EACH = 2
REJECTED = 10


def number(report, pattern):
    found = re.search(pattern, report, re.M)
    return int(found.group(1)) if found else None


def main(checks):
    need("pflogsumm")
    with Mtad({"default_process_limit": "300"}) as server:
        server.wait_log("daemon started")
        probes = server.log().count("connect from")  # the readiness probe's own
        began = time.time()
        sessions = []
        opened = []
        for _ in range(SESSIONS):
            sessions.append(Session(server.port))
            opened.append(time.time())
        overlapping = len(sessions)
        for each in range(MESSAGES_EACH):
            for index, session in enumerate(sessions):
                session.send(f"from{index}@example.test", "box@box.test", b"Subject: count me\n\nonce\n")
        for session in sessions[:REJECTED]:
            session.command("MAIL FROM:<a@example.test>")
            session.command("RCPT TO:<no-such-user@box.test>")
            session.command("RSET")
        time.sleep(1.2)
        seconds = 0.0
        for session, start in zip(sessions, opened):
            session.quit()
            seconds += time.time() - start
        checks.ok(server.wait_empty(30), "all messages are delivered")
        time.sleep(0.3)
        connections = sum(1 for line in server.log().splitlines()
                          if re.search(r"/smtpd\[\d+\]: connect from", line))
        done = subprocess.run(["pflogsumm", "--smtpd-stats", server.log_path], capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/bin:/usr/sbin:/bin", "LC_ALL": "C"})
        report = done.stdout
        checks.ok(done.returncode == 0 and report, "pflogsumm reads the log", done.stderr)
        sent = SESSIONS * MESSAGES_EACH
        bounced_rejects = REJECTED  # the unknown user of the hosted domain
        checks.equal(number(report, r"^\s*(\d+)\s+received"), sent, "messages received")
        checks.equal(number(report, r"^\s*(\d+)\s+delivered"), sent, "messages delivered")
        checks.equal(number(report, r"^\s*(\d+)\s+deferred\b"), 0, "messages deferred")
        checks.equal(number(report, r"^\s*(\d+)\s+bounced\b"), 0, "messages bounced")
        checks.equal(number(report, r"^\s*(\d+)\s+rejected\b"), bounced_rejects, "recipients rejected")
        smtpd = report[report.find("smtpd\n"):]
        checks.equal(number(smtpd, r"^\s*(\d+)\s+connections"), connections,
                     "connections counted, each with its end")
        checks.ok(connections >= overlapping, "every session has its own connect line",
                  f"{connections} of {overlapping + probes}")
        total = re.search(r"^\s*(\d+):(\d+):(\d+)\s+total connect time", smtpd, re.M)
        counted = sum(int(part) * unit for part, unit in zip(total.groups(), (3600, 60, 1))) if total else None
        # The log has whole seconds: each session's time is off by less than one either way, by none on average.
        checks.ok(counted is not None and abs(counted - seconds) <= SESSIONS * 0.6,
                  "the sessions' times add up", f"pflogsumm {counted}, measured {seconds:.1f}\n{smtpd[:600]}")
        numbers = re.findall(r"/smtpd\[(\d+)\]: connect from", server.log())
        lines = server.log().splitlines()
        open_now, reused = set(), 0
        for line in lines:
            found = re.search(r"/smtpd\[(\d+)\]: (connect from|disconnect from)", line)
            if found and found.group(2) == "connect from":
                reused += found.group(1) in open_now
                open_now.add(found.group(1))
            elif found:
                open_now.discard(found.group(1))
        checks.equal(reused, 0, "no number is given to two live sessions")
        checks.ok(len(numbers) and not open_now, "every connect has its disconnect", f"{sorted(open_now)[:5]}")


run(main)
