"""Upper and lower case of keys that are not ASCII, and keys that are no UTF-8, in tables that a daemon asks: replies to RCPT beside
the reference's, with smtputf8_enable on and off."""
import itertools
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command
from mtad import Mtad
from reference import Reference
from senders import Session

TABLE = "".join(f"{key} value\n" for key in (
    "j\u00fcrgen@f.test", "stra\u00dfe@f.test", "PLAIN@f.test", "\u0130stanbul@f.test", "\u03c3\u03b1\u03c3@f.test", "@\u00e9cole.test", "\u03a9hm@f.test"))
KEYS = ["j\u00fcrgen@f.test", "J\u00dcRGEN@f.test", "J\u00fcrGEN@F.TEST", "stra\u00dfe@f.test", "STRASSE@f.test", "STRA\u00dfE@f.test", "plain@f.test",
        "Plain@f.test", "\u0130STANBUL@f.test", "i\u0307stanbul@f.test", "\u03a3\u0391\u03a3@f.test", "\u03c3\u03b1\u03c2@f.test", "x@\u00c9COLE.test",
        "x@\u00e9cole.test", "\u2126HM@f.test", "\u03c9hm@f.test", "nosuch@f.test", "n\u00f6such@f.test"]
# Case-sensitive ones: what the daemon asks is in lower case, unlike what postmap -q asks.
RULES = "".join(f"/^{name}@/i value\n" for name in ("j\u00fcrgen", "stra\u00dfe", "strasse", "PLAIN", "i\u0307stanbul", "\u03c3\u03b1\u03c3", "\u03c9hm",
                                                 "\u03a3\u0391\u03a3", "j\u00dcrgen"))
PATTERNS = ("regexp:%-rules", "pcre:%-rules")
TYPES = (*PATTERNS, "hash:%", "texthash:%", "inline:{{j\u00fcrgen@f.test=x},{J\u00d6RG@f.test=y}}", "pipemap:{hash:%,static:x}",
         "unionmap:{hash:%}", "proxy:hash:%")


def replies(server, utf8):
    """Of each table: what is said of each address, and of one that is no UTF-8."""
    found = {}
    for kind in TYPES:
        server.parameters["relay_recipient_maps"] = kind.replace("%", f"{server.config}/t")
        server.parameters["proxy_read_maps"] = f"proxy:hash:{server.config}/t"
        server.parameters["smtputf8_enable"] = "yes" if utf8 else "no"
        server.parameters["relay_domains"] = "f.test, \u00e9cole.test"
        server.write_configuration()
        with open(os.path.join(server.config, "t"), "w", encoding="utf-8") as file:
            file.write(TABLE)
        with open(os.path.join(server.config, "t-rules"), "w", encoding="utf-8") as file:
            file.write(RULES)
        environment = {**server.environment(), "PATH": "/usr/bin:/bin"}
        subprocess.run([server.command("postmap"), f"hash:{server.config}/t"], env=environment, check=True)
        if kind in PATTERNS:
            done = subprocess.run([server.command("postmap"), "-q", "-", server.parameters["relay_recipient_maps"]], env=environment,
                                  input="".join(key + "\n" for key in KEYS).encode(), capture_output=True)
            found[f"postmap -q - {kind}"] = done.stdout.replace(b"\t", b"\n").splitlines()
        server.start(configure=False)
        with Session(server.port) as link:
            link.command("MAIL FROM:<from@example.test>")
            found[kind] = [link.command(f"RCPT TO:<{key}>".encode() + b"\r\n")[0] for key in KEYS]
            found[kind].append(link.command(b"RCPT TO:<j\xfcrgen@f.test>\r\n")[0])
        server.stop()
    return found


def main(checks):
    if os.geteuid() != 0:
        raise harness.Skip("the reference's daemon needs root")
    command("mtad")
    for utf8 in (True, False):
        servers = [kind() for kind in (Reference, Mtad)]
        theirs, ours = (replies(server, utf8) for server in servers)
        equal = total = 0
        different = []
        for kind in theirs:
            for key, their, our in itertools.zip_longest([*KEYS, "no UTF-8"], theirs[kind], ours[kind]):
                total += 1
                equal += their == our
                if their != our:
                    different.append(f"{kind} {key!a}: reference {their}, ours {our}")
        checks.ok(equal == total, f"replies with smtputf8_enable={'yes' if utf8 else 'no'}: {equal}/{total} equal", "\n".join(different))
        for server in servers:
            server.remove()


harness.run(main)
