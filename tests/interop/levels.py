"""compatibility_level and what else decides who is trusted: the same clients may relay, the same mail is ours, and the log
tells of the same old defaults, beside the reference."""
import concurrent.futures
import os
import re
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference  # noqa: E402
from server import free_port  # noqa: E402

BASE = {"mynetworks": None, "append_dot_mydomain": None, "smtpd_relay_restrictions": None, "relay_domains": None,
        "mydestination": "dest.test, mx.example.test", "compatibility_level": None, "myorigin": "example.test",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination"}
RECIPIENTS = (b"joe@far.test", b"box@box.test", b"box@sub.dest.test", b"joe@short", b"joe@dest.test", b"joe@[127.0.0.1]",
              b"joe@[192.0.2.9]", b"joe@[IPv6:::1]", b"joe@[127.0.0.5]", b"nobody@box.test", "jürgen@box.test".encode(), "joe@bücher.test".encode())
CASES = {
    "no level at all": {},
    "level 0": {"compatibility_level": "0"},
    "level 0, hosts trusted": {"compatibility_level": "0", "mynetworks_style": "host"},
    "level 0, all is refused": {"compatibility_level": "0", "smtpd_recipient_restrictions": "reject"},
    "level 0, nothing left to defaults": {"compatibility_level": "0", "append_dot_mydomain": "no", "mynetworks": "127.0.0.0/8",
                                          "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
                                          "relay_domains": "sub.dest.test", "smtputf8_enable": "no",
                                          "smtpd_relay_before_recipient_restrictions": "no"},
    "level 1": {"compatibility_level": "1", "smtpd_recipient_restrictions": "permit_mynetworks, reject"},
    "level 2": {"compatibility_level": "2", "smtpd_recipient_restrictions": "permit_mynetworks, defer"},
    "level 3.6": {"compatibility_level": "3.6"},
    "level 3.11": {"compatibility_level": "3.11"},
    "mynetworks_style host": {"compatibility_level": "3.6", "mynetworks_style": "host"},
    "mynetworks_style subnet": {"compatibility_level": "3.6", "mynetworks_style": "subnet"},
    "mynetworks_style class": {"compatibility_level": "3.6", "mynetworks_style": "class"},
    "mynetworks with a table and a negation": {"compatibility_level": "3.6",
                                               "mynetworks": "!127.0.0.9, inline:{127.0.0.1=OK}, 127.0.1.0/24"},
    "behind an address translator": {"compatibility_level": "3.6", "proxy_interfaces": "192.0.2.9"},
    "both protocols": {"compatibility_level": "3.6", "inet_protocols": "all", "inet_interfaces": "127.0.0.1, ::1"},
    "both protocols, hosts trusted": {"compatibility_level": "3.6", "inet_protocols": "all", "mynetworks_style": "host",
                                      "inet_interfaces": "127.0.0.1, ::1"},
    "both protocols, subnets trusted": {"compatibility_level": "3.6", "inet_protocols": "ipv6, ipv4", "mynetworks_style": "subnet",
                                        "inet_interfaces": "loopback-only"},
}


def converse(source, host, port):
    """The reply to each recipient, without what the two name differently."""
    replies = []
    with socket.create_connection((host, port), 20, source_address=(source, 0)) as client, client.makefile("rwb") as lines:
        def ask(line):
            if line:
                lines.write(line + b"\r\n")
                lines.flush()
            answer = lines.readline()
            while answer[3:4] == b"-":
                answer = lines.readline()
            return answer
        for line in (b"", b"EHLO client.test", b"MAIL FROM:<ann@short>", *(b"RCPT TO:<%s>" % one for one in RECIPIENTS),
                     b"RSET", "MAIL FROM:<jürgen@far.test>".encode(), b"RSET", b"MAIL FROM:<>", b"RCPT TO:<joe@far.test>", b"QUIT"):
            answer = ask(line)
            replies.append((line, answer if line and not line.startswith(b"EHLO") else answer[:4]))
    return replies


def notes(server):
    """What the log says of old defaults, each thing once: how often a server looks at an address is its own affair."""
    lines = set()
    for line in server.log().splitlines():
        if "backwards" in line:
            line = line.split("]: ", 1)[1] if re.search(r"postfix/\S+\[", line) else line.split(" mx ")[-1].split(" vm ")[-1]
            lines.add(re.sub(r"^.*/master\.cf", "master.cf", re.sub(r"^.*postfix\[\d+\]", "postfix", line)))
    return lines


def compare(checks, name, parameters):
    seen = []
    for kind in (Reference, Mtad):
        other, both = free_port(), "inet_protocols" in parameters
        with kind({**BASE, **parameters}, services=f"127.0.0.1:{free_port()} inet n - - - - smtpd\n"
                  + both * f"[::1]:{other} inet n - n - - smtpd\n") as server:
            replies = [converse(source, "127.0.0.1", server.port) for source in ("127.0.0.1", "127.0.0.9", "127.0.1.1")]
            replies += [converse("::1", "::1", other)] if both else []
            server.run("postfix", "reload")
            server.run("sendmail", "-f", "joe@short", "box@box.test", input=b"To: kim@short\n\nx\n")
            server.wait_log("postfix/qmgr", 10)
            seen.append((replies, notes(server)))
    differing = [pair for ones, twos in zip(seen[0][0], seen[1][0]) for pair in zip(ones, twos) if pair[0] != pair[1]]
    checks.ok(not differing, f"{name}: {sum(map(len, seen[0][0]))} replies are the reference's", differing[:6])
    checks.ok(seen[0][1] == seen[1][1], f"{name}: the log tells of {len(seen[0][1])} old defaults",
              f"only the reference: {sorted(seen[0][1] - seen[1][1])}\nonly ours: {sorted(seen[1][1] - seen[0][1])}")


def side_by_side(checks):
    """Sessions whose tables have to wait are answered on several threads, each with notes of its own."""
    wrong = []

    def session(server):
        for _ in range(25):
            with socket.create_connection(("127.0.0.1", server.port), 20, source_address=("127.0.0.9", 0)) as client, \
                    client.makefile("rwb") as lines:
                client.sendall(b"HELO x\r\nMAIL FROM:<a@b.test>\r\n" + b"RCPT TO:<box@box.test>\r\n" * 40 + b"QUIT\r\n")
                wrong.extend(line for line in list(lines) if not line.startswith(b"2"))
    with Mtad({**BASE, "smtpd_recipient_restrictions": "permit_mynetworks, reject", "smtpd_client_connection_count_limit": "0",
               "smtpd_recipient_limit": "100"}) as server:
        # The tables worker answers: what it is asked for has to be waited for.
        server.parameters["virtual_mailbox_maps"] = f"proxy:texthash:{server.config}/boxes"
        server.stop()
        server.start()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(session, server) for _ in range(8)]:
                done.result(120)
        checks.ok(not wrong and "killed by signal" not in server.log(), "8,000 recipients side by side, at level 0", wrong[:3])


def main(checks):
    side_by_side(checks)
    ipv6 = False
    if os.path.exists("/proc/net/if_inet6"):
        with open("/proc/net/if_inet6") as file:
            ipv6 = "00000000000000000000000000000001" in file.read()
    for name, parameters in CASES.items():
        if "inet_protocols" in parameters and not ipv6:
            checks.note(f"{name}: left out, this host has no ::1")
            continue
        compare(checks, name, parameters)


run(main)
