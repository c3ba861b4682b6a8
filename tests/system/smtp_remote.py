"""What becomes of a recipient for each answer of a remote server at each stage, and for each answer of
DNS: the log line's dsn=, status= and text. The expected lines are the reference's; with MTAD_ORACLE=1 the script runs the
reference instead of our daemon, which is how they were made."""
import os
import re
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from dns_server import NXDOMAIN, NODATA, SERVFAIL, DnsServer  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference  # noqa: E402
from server import free_port  # noqa: E402


class Peer:
    """A server that answers each stage as told: bytes to send, or DROP to close. What is not told is success."""
    DROP = object()
    DEFAULT = {"banner": b"220 peer.test ESMTP\r\n", "EHLO": b"250-peer.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
               "HELO": b"250 peer.test\r\n", "MAIL": b"250 2.1.0 Ok\r\n", "RCPT": b"250 2.1.5 Ok\r\n",
               "DATA": b"354 go\r\n", ".": b"250 2.0.0 kept\r\n", "QUIT": b"221 bye\r\n", "RSET": b"250 ok\r\n"}

    def __init__(self, script=None, host="127.0.0.1", port=0):
        self.script = {**self.DEFAULT, **(script or {})}
        self.count = {}
        self.kept = 0
        self.sessions = 0
        self.commands = []
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self.session, args=(peer,), daemon=True).start()

    def reply(self, peer, stage):
        told = self.script.get(stage, b"502 5.5.2 what\r\n")
        if isinstance(told, list):
            n = self.count.get(stage, 0)
            self.count[stage] = n + 1
            told = told[min(n, len(told) - 1)]
        if told is self.DROP:
            raise OSError("dropped")
        peer.sendall(told)
        return told

    def session(self, peer):
        try:
            stream = peer.makefile("rb")
            self.reply(peer, "banner")
            while line := stream.readline():
                self.commands.append(line.decode("latin-1").strip())
                verb = line.split()[0].decode("latin-1").upper() if line.split() else ""
                told = self.reply(peer, verb)
                if verb == "QUIT":
                    return
                if verb == "DATA" and told.startswith(b"354"):
                    while (content := stream.readline()) not in (b".\r\n", b""):
                        pass
                    if b"2" == self.reply(peer, ".")[:1]:
                        self.kept += 1
        except (OSError, IndexError):
            pass
        finally:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            peer.close()


DROP = Peer.DROP
PEER = "127.0.0.1[127.0.0.1]"
# name: (script, recipients, expected lines without addresses: (dsn, status, text))
CASES = {
    "plain": ({}, 1, [("2.0.0", "sent", "250 2.0.0 kept")]),
    "noenhanced": ({".": b"250 kept\r\n"}, 1, [("2.0.0", "sent", "250 kept")]),
    "manylines": ({".": b"250-2.0.0 one\r\n250 2.0.0 two\r\n"}, 1, [("2.0.0", "sent", "250-2.0.0 one 250 2.0.0 two")]),
    "banner4": ({"banner": b"421 4.3.2 busy\r\n"}, 1,
                [("4.3.2", "deferred", f"host {PEER} refused to talk to me: 421 4.3.2 busy")]),
    "banner5": ({"banner": b"554 5.7.1 away\r\n"}, 1,
                [("4.7.1", "deferred", f"host {PEER} refused to talk to me: 554 5.7.1 away")]),
    "bannerdrop": ({"banner": DROP}, 1,
                   [("4.4.2", "deferred", f"lost connection with {PEER} while receiving the initial server greeting")]),
    "helo5": ({"EHLO": b"502 no\r\n", "HELO": b"550 5.7.0 never\r\n"}, 1,
              [("5.7.0", "bounced", f"host {PEER} refused to talk to me: 550 5.7.0 never")]),
    "helo4": ({"EHLO": b"502 no\r\n", "HELO": b"450 wait\r\n"}, 1,
              [("4.0.0", "deferred", f"host {PEER} refused to talk to me: 450 wait")]),
    "oldserver": ({"EHLO": b"502 no\r\n"}, 1, [("2.0.0", "sent", "250 2.0.0 kept")]),
    "ehlodrop": ({"EHLO": DROP}, 1, [("4.4.2", "deferred", f"lost connection with {PEER} while performing the EHLO handshake")]),
    "mail4": ({"MAIL": b"451 4.3.0 later\r\n"}, 2,
              [("4.3.0", "deferred", f"host {PEER} said: 451 4.3.0 later (in reply to MAIL FROM command)")] * 2),
    "mail5": ({"MAIL": b"550 no\r\n"}, 1, [("5.0.0", "bounced", f"host {PEER} said: 550 no (in reply to MAIL FROM command)")]),
    "maildrop": ({"MAIL": DROP}, 1, [("4.4.2", "deferred", f"lost connection with {PEER} while sending MAIL FROM")]),
    "rcpt4": ({"RCPT": b"450 4.2.2 full\r\n"}, 1,
              [("4.2.2", "deferred", f"host {PEER} said: 450 4.2.2 full (in reply to RCPT TO command)")]),
    "rcpt5": ({"RCPT": b"550-5.1.1 a\r\n550 5.1.1 b\r\n"}, 1,
              [("5.1.1", "bounced", f"host {PEER} said: 550-5.1.1 a 550 5.1.1 b (in reply to RCPT TO command)")]),
    "rcpt552": ({"RCPT": b"552 5.2.2 over\r\n"}, 1,
                [("5.2.2", "bounced", f"host {PEER} said: 552 5.2.2 over (in reply to RCPT TO command)")]),
    "rcptwrongclass": ({"RCPT": b"550 4.7.1 x\r\n"}, 1,
                       [("5.0.0", "bounced", f"host {PEER} said: 550 4.7.1 x (in reply to RCPT TO command)")]),
    "rcptmixed": ({"RCPT": [b"250 2.1.5 Ok\r\n", b"550 5.1.1 no\r\n", b"450 4.2.1 later\r\n"]}, 3,
                  [("2.0.0", "sent", "250 2.0.0 kept"),
                   ("5.1.1", "bounced", f"host {PEER} said: 550 5.1.1 no (in reply to RCPT TO command)"),
                   ("4.2.1", "deferred", f"host {PEER} said: 450 4.2.1 later (in reply to RCPT TO command)")]),
    "rcptdrop": ({"RCPT": DROP}, 1, [("4.4.2", "deferred", f"lost connection with {PEER} while sending RCPT TO")]),
    "data4": ({"DATA": b"451 4.5.0 wait\r\n"}, 1,
              [("4.5.0", "deferred", f"host {PEER} said: 451 4.5.0 wait (in reply to DATA command)")]),
    "data5": ({"DATA": b"554 no\r\n"}, 1, [("5.0.0", "bounced", f"host {PEER} said: 554 no (in reply to DATA command)")]),
    "data2": ({"DATA": b"250 sure\r\n"}, 1,
              [("4.5.0", "deferred", f"Protocol error: host {PEER} said: 250 sure (in reply to DATA command)")]),
    "datadrop": ({"DATA": DROP}, 1, [("4.4.2", "deferred", f"lost connection with {PEER} while sending DATA command")]),
    "dot4": ({".": b"452 4.3.1 space\r\n"}, 1,
             [("4.3.1", "deferred", f"host {PEER} said: 452 4.3.1 space (in reply to end of DATA command)")]),
    "dot5": ({".": b"554 5.7.1 spam\r\n"}, 1,
             [("5.7.1", "bounced", f"host {PEER} said: 554 5.7.1 spam (in reply to end of DATA command)")]),
    "dotdrop": ({".": DROP}, 1, [("4.4.2", "deferred", f"lost connection with {PEER} while sending end of data -- message "
                                  "may be sent more than once")]),
    "dotcodeonly": ({".": b"250\r\n"}, 1, [("2.0.0", "sent", "250")]),
    "garbagebanner": ({"banner": b"HTTP/1.1 400 Bad\r\n"}, 1, None),
    "garbagercpt": ({"RCPT": b"what?\r\n"}, 1, None),
    "garbagedot": ({".": b"what?\r\n"}, 1, None),
    "toobig": ({"EHLO": b"250-peer.test\r\n250 SIZE 50\r\n"}, 1, None),
}
# name: (table, port is the peer's, expected (dsn, status, text) with {port}, or None when several are right)
DNS_CASES = {
    "nxdomain.test": ({}, ("5.4.4", "bounced", "Host or domain name not found. Name service error for name=nxdomain.test type=A: "
                           "Host not found")),
    "nodata.test": ({("nodata.test", "TXT"): ["x"]},
                    ("5.4.4", "bounced", "Host or domain name not found. Name service error for name=nodata.test type=A: Host "
                     "found but no data record of requested type")),
    "servfail.test": ({("servfail.test", "MX"): SERVFAIL},
                      ("4.4.3", "deferred", "Host or domain name not found. Name service error for name=servfail.test type=MX: "
                       "Host not found, try again")),
    "afail.test": ({("afail.test", "MX"): NODATA, ("afail.test", "A"): SERVFAIL},
                   ("4.4.3", "deferred", "Host or domain name not found. Name service error for name=afail.test type=A: Host "
                    "not found, try again")),
    "nullmx.test": ({("nullmx.test", "MX"): [(0, "")]},
                    ("5.1.0", "bounced", "Domain nullmx.test does not accept mail (nullMX)")),
    "mxgone.test": ({("mxgone.test", "MX"): [(10, "gone.mxgone.test")], ("gone.mxgone.test", "A"): NXDOMAIN},
                    ("5.4.4", "bounced", "Host or domain name not found. Name service error for name=gone.mxgone.test type=A: "
                     "Host not found")),
    "mxtrouble.test": ({("mxtrouble.test", "MX"): [(10, "a.mxtrouble.test"), (20, "b.mxtrouble.test")],
                        ("a.mxtrouble.test", "A"): SERVFAIL},
                       ("4.4.4", "deferred", "Host or domain name not found. Name service error for name=b.mxtrouble.test "
                        "type=A: Host not found")),
    "direct.test": ({("direct.test", "A"): ["127.0.0.1"]}, ("2.0.0", "sent", "250 2.0.0 kept")),
    "mx.test": ({("mx.test", "MX"): [(10, "one.mx.test")], ("one.mx.test", "A"): ["127.0.0.1"]},
                ("2.0.0", "sent", "250 2.0.0 kept")),
    "alias.test": ({("alias.test", "CNAME"): ["mx.test"]}, ("2.0.0", "sent", "250 2.0.0 kept")),
    # The best one refuses the connection, the next one takes the message.
    "second.test": ({("second.test", "MX"): [(20, "good.second.test"), (10, "dead.second.test")],
                     ("good.second.test", "A"): ["127.0.0.1"], ("dead.second.test", "A"): ["127.0.0.9"]},
                    ("2.0.0", "sent", "250 2.0.0 kept")),
    "dead.test": ({("dead.test", "MX"): [(10, "dead.dead.test")], ("dead.dead.test", "A"): ["127.0.0.9"]},
                  ("4.4.1", "deferred", "connect to dead.dead.test[127.0.0.9]:{port}: Connection refused")),
    "many.test": ({("many.test", "MX"): [(n, f"host-with-a-long-name-{n}.many.test") for n in range(30)],
                   **{(f"host-with-a-long-name-{n}.many.test", "A"): ["127.0.0.1"] for n in range(30)}},
                  ("2.0.0", "sent", "250 2.0.0 kept")),
}


def lines_for(log, domain):
    found = re.findall(r"to=<(u\d+)@" + re.escape(domain) + r">, (?:orig_to=<[^>]*>, )?relay=([^,]*), .*dsn=([0-9.]+), "
                       r"status=(\w+) \((.*)\)$", log, re.M)
    return sorted(set(found))


def main(checks):
    oracle = os.environ.get("MTAD_ORACLE") == "1"
    peers = {name: Peer(script) for name, (script, _, _) in CASES.items()}
    closed = free_port()
    relay = Peer()
    table = {}
    for one, _ in DNS_CASES.values():
        table.update(one)
    # The reference asks port 53 only.
    dns = DnsServer(table, host="127.0.0.53" if oracle else "127.0.0.1", port=53 if oracle else 0)
    parameters = {"relay_domains": "", "transport_maps": "texthash:$config_directory/transport", "smtp_host_lookup": "dns",
                  "notify_classes": "", "smtp_tcp_port": str(relay.port), "smtp_connection_cache_on_demand": "no"}
    if not oracle:
        parameters["mtad_dns_servers"] = dns.address
    Reference.nameserver = "127.0.0.53"
    server = (Reference if oracle else Mtad)(parameters)
    os.makedirs(server.config, exist_ok=True)
    with open(os.path.join(server.config, "transport"), "w") as file:
        for name, peer in peers.items():
            file.write(f"{name}.test smtp:[127.0.0.1]:{peer.port}\n")
        file.write(f"closed.test smtp:[127.0.0.1]:{closed}\n")
    with dns, server:
        wanted = {f"{name}.test": count for name, (_, count, _) in CASES.items()}
        wanted["closed.test"] = 1
        wanted.update({name: 1 for name in DNS_CASES})
        for domain, count in wanted.items():
            done = server.sendmail(b"Subject: to " + domain.encode() + b"\n\nbody\n", *[f"u{n}@{domain}" for n in range(count)])
            if done.returncode:
                checks.ok(False, f"{domain}: sendmail takes the message", done.stderr)

        def all_there():
            log = server.log()
            return all(len(lines_for(log, domain)) >= count for domain, count in wanted.items())
        wait_until(all_there, 60)
        log = server.log()
        if oracle:
            for domain in wanted:
                print(domain, lines_for(log, domain))
            print("\n".join(line for line in log.splitlines() if "smtp[" in line and "to=<" not in line))
        for name, (_, count, expected) in CASES.items():
            seen = [line[2:] for line in lines_for(log, f"{name}.test")]
            if expected is None:
                checks.ok(len(seen) == count and all(one[1] != "sent" for one in seen), f"{name}: not sent", seen)
            else:
                checks.equal(seen, [*expected], f"{name}: {expected[0][1]}")
        seen = [line[1:] for line in lines_for(log, "closed.test")]
        checks.equal(seen, [("none", "4.4.1", "deferred", f"connect to {PEER}:{closed}: Connection refused")],
                     "a refused connection defers with relay=none")
        for name, (_, expected) in DNS_CASES.items():
            seen = [line[2:] for line in lines_for(log, name)]
            checks.equal(seen, [(*expected[:2], expected[2].format(port=relay.port))], f"{name}: {expected[1]}")
        checks.ok(f"connect to dead.second.test[127.0.0.9]:{relay.port}: Connection refused" in log,
                  "a dead server is named in the log before the next one is tried")
        relays = [line[1] for line in lines_for(log, "second.test")]
        checks.equal(relays, [f"good.second.test[127.0.0.1]:{relay.port}"], "relay= names the server that took the message")


run(main)
