"""ETRN and postqueue -s: the same replies, messages and log lines as the reference's, and the site's mail is tried again."""
import concurrent.futures
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference, reference_root  # noqa: E402

PARAMETERS = {
    "smtputf8_enable": "no", "smtpd_peername_lookup": "no", "mynetworks": "127.0.0.2/32", "smtpd_junk_command_limit": "5",
    "smtpd_soft_error_limit": "40", "smtpd_hard_error_limit": "30", "relay_domains": "relay.test, sub.test",
    "fast_flush_domains": "$relay_domains, far.test, 127.0.0.9", "parent_domain_matches_subdomains": "fast_flush_domains",
    "relay_transport": "smtp:[127.0.0.1]:1", "default_transport": "smtp:[127.0.0.1]:1", "local_transport": "discard",
    "queue_run_delay": "36000s", "minimal_backoff_time": "36000s", "maximal_backoff_time": "72000s"}

FEW = ["EHLO c.test", "ETRN relay.test", "ETRN Far.Test", "ETRN #relay.test", "ETRN ##relay.test", "ETRN other.test", "QUIT"]
FORMS = ["EHLO c.test"] + ["ETRN " + word for word in (
    "@relay.test", "a.relay.test", "a_b.relay.test", "relay.test.", "[127.0.0.9]", "[127.0.0.300]", "127.0.0.9", "#", "@", "a..b",
    ".relay.test", "-a.relay.test", "r\u00e9lay.test", "<relay.test>", '"relay.test"', "relay.test x", "relay", "a" * 64 + ".test")]
CONVERSATIONS = {
    "few": FEW, "forms": FORMS + ["ETRN", "QUIT"],
    "before a greeting": ["ETRN relay.test", "ETRN a b", "ETRN", "ETRN other.test", "HELO c.test", "ETRN relay.test", "QUIT"],
    "in a transaction": ["EHLO c.test", "MAIL FROM:<a@b.test>", "ETRN relay.test", "ETRN", "RSET", "ETRN relay.test", "QUIT"],
    "often": ["EHLO c.test"] + ["ETRN relay.test"] * 40,
    "pipelined": ["EHLO c.test", b"ETRN relay.test\r\nETRN far.test\r\nETRN other.test\r\n", "QUIT"]}
CASES = (
    ({}, list(CONVERSATIONS)),
    ({"smtpd_helo_required": "yes"}, ["before a greeting"]),
    ({"smtpd_client_restrictions": "reject"}, ["few"]),
    ({"smtpd_helo_restrictions": "reject", "smtpd_sender_restrictions": "reject"}, ["few"]),
    ({"smtpd_helo_restrictions": "reject", "smtpd_delay_reject": "no"}, ["few"]),
    ({"smtpd_etrn_restrictions": "permit_mynetworks, reject"}, ["few"]),
    ({"smtpd_etrn_restrictions": "warn_if_reject reject, permit_auth_destination, reject_unauth_destination, "
                                 "reject_unknown_client_hostname"}, ["few"]),
    ({"smtpd_etrn_restrictions": "permit_auth_destination, defer_if_permit", "defer_code": "451",
      "access_map_defer_code": "452"}, ["few", "in a transaction"]),
    ({"fast_flush_domains": ""}, ["few"]))

SITES = ("relay.test", "Relay.TEST", "other.test", "[127.0.0.1]", "127.0.0.1", "a b", "", "x" * 99 + "!", "x" * 100 + "!", "x" * 101 + "!",
         "@relay.test", "relay.test.", "a_b.relay.test", "-a.relay.test", "[x]", "[IPv6:::1]", "[ipv6:::1]", "[::1]", "[1.2.3]", "[]",
         "1.2", "1.2.a", "a..b", "\u00e9.test", "a-.test", "_a.test", "host", "host-", "\tx", "x\n", "[127.0.0.1", "a" * 64 + ".test")


def replies(port, steps):
    out = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        stream = client.makefile("rb")

        def reply():
            line = b"-" * 4
            while line[3:4] == b"-":
                try:
                    line = stream.readline()
                except ConnectionError:
                    line = b""
            out.append(line.decode("latin-1").rstrip("\r\n") if line else "<closed>")
        reply()
        for step in steps:
            client.sendall(step if isinstance(step, bytes) else step.encode() + b"\r\n")
            for _ in range(step.count(b"\n") if isinstance(step, bytes) else 1):
                reply()
            if out[-1].startswith("421") or out[-1] == "<closed>":
                break
    return out


def logged(system, sessions):
    """What the smtp server says of refusals in so many sessions; their own lines are in the order of their ends."""
    wait_until(lambda: len(re.findall(r"disconnect from .*ehlo=|disconnect from .*helo=", system.log())) >= sessions, 10)
    found = re.findall(r"postfix/smtpd\[\d+\]: (.*)", system.log())
    return sorted(line for line in found if re.match(r"warning|NOQUEUE|disconnect.*etrn|too many", line))


def conversations(kind, settings, names):
    with kind(dict(PARAMETERS, **settings)) as system:
        seen = {name: replies(system.port, CONVERSATIONS[name]) for name in names}
        lines = logged(system, len(names))
        # Without the service; what is not eligible is known without it.
        os.rename(os.path.join(system.spool, "public", "flush"), os.path.join(system.spool, "public", "flush.away"))
        seen["without the service"] = replies(system.port, FEW)
        return seen, lines, logged(system, len(names) + 1)


def asked(system):
    """postqueue -s and -i, by their answers."""
    names = ("x" * 100 + "!", "A" * 101, "", "\u00e9", "ABCDEF0123")

    def ask(words):
        done = system.run("postqueue", *words)
        return words, done.returncode, done.stdout, done.stderr
    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # a fatal error takes a second
        return list(pool.map(ask, [("-s", site) for site in SITES] + [("-i", name) for name in names]))


def commands(kind):
    with kind(PARAMETERS) as system:
        seen = {"running": asked(system), "sendmail -bs": system.run(
            "sendmail", "-bs", input=b"EHLO c\r\nETRN relay.test\r\nETRN other.test\r\nETRN a..b\r\nQUIT\r\n").stdout}
        system.stop()
        seen["stopped"] = asked(system)
        for name in ("flush", "qmgr"):
            os.unlink(os.path.join(system.spool, "public", name))
        seen["without sockets"] = asked(system)
        seen["sendmail -qR"] = [(done.returncode, done.stderr) for done in (
            system.run("sendmail", "-qRrelay.test"), system.run("sendmail", "-qRother.test"), system.run("sendmail", "-q"))]
        return seen


def tried_again(checks, kind):
    """The site's mail is, and no other."""
    with kind(PARAMETERS) as system:
        for recipient in ("a@relay.test", "b@other.test"):
            system.sendmail(b"Subject: x\n\nx\n", recipient)
        wait_until(lambda: len([1 for queue, _ in system.queue_files() if queue == "deferred"]) == 2, 20)
        wait_until(lambda: os.path.getsize(os.path.join(system.spool, "flush", "relay_test")) > 0
                   if os.path.exists(os.path.join(system.spool, "flush", "relay_test")) else False, 10)
        answer = replies(system.port, ["EHLO c.test", "ETRN Relay.test", "ETRN other.test"])
        again = wait_until(lambda: system.log().count("to=<a@relay.test>") > 1, 15)
        checks.ok(again, f"{kind.__name__}: the site's mail is tried again", str(answer) + system.log()[-1500:])
        checks.equal(system.log().count("to=<b@other.test>"), 1, f"{kind.__name__}: other mail is not")


def main(checks):
    reference_root()
    if os.geteuid() != 0:
        raise Skip("the reference's daemon needs root")
    for settings, names in CASES:
        theirs, ours = (conversations(kind, settings, names) for kind in (Reference, Mtad))
        for name, expected in theirs[0].items():
            checks.equal(ours[0][name], expected, f"{settings} {name}: the replies are the reference's")
        checks.equal(ours[1], theirs[1], f"{settings}: so are the log lines")
        checks.equal(ours[2], theirs[2], f"{settings}: without the service, too")
    theirs, ours = commands(Reference), commands(Mtad)
    for when, expected in theirs.items():
        checks.equal(ours[when], expected, f"{when}: the commands say what the reference's say")
    for kind in (Reference, Mtad):
        tried_again(checks, kind)


run(main)
