"""Trivial rewriting and routing: the answers of the reference's trivial-rewrite beside ours, question by question.

One reference runs all configurations: each is a service of its own in master.cf. With arguments only the configurations
of those names are compared.

Intended differences: of an address that is refused for its syntax only this is compared, not what is left of it;
the reference puts a blank behind the comma of a source route that it hands on; what begins with "@" is a source route
here even when it stood in quotes."""
import os
import re
import socket
import subprocess
import sys

import checks as harness
from checks import Skip, build_root, wait_until
from reference import Reference

# Bits of the service's flags attribute: what became of the question, and the class of the address.
ROUTED = 1 << 1
MALFORMED = 1 << 2
NO_ANSWER = 1 << 3
CLASSES = {1 << 8: "local", 1 << 9: "virtual_alias", 1 << 10: "virtual_mailbox", 1 << 11: "relay", 1 << 12: "default"}

ADDRESSES = """\
joe
joe+ext
Joe.User
joe doe
postmaster
joe@example.test
Joe@EXAMPLE.test
joe+ext@example.test
joe@mx.example.test
joe@localhost
joe@host
joe@host.
joe@example.test.
joe@example.test..
joe@far.test
joe+ext@far.test
JOE@Far.Test
kim@far.test
joe@sub.far.test
joe@a.sub.far.test
joe@alias.test
joe@sub.alias.test
joe@box.test
kim@box.test
joe@relay.test
joe@sub.relay.test
joe@moved.test
joe@[127.0.0.1]
joe@[127.0.0.2]
joe@[192.0.2.1]
joe@[IPv6:::1]
joe@[ipv6:2001:db8::1]
joe@127.0.0.1
joe@[far.test]
joe@
@
@far.test
@far.test:joe@relay.test
@a.test,@b.test:joe@c.test
@a.test:joe
far.test!joe
far.test!host!joe
host!joe
!joe
far.test!
a!b@far.test
joe%far.test
joe%far.test%relay.test
joe%host
%far.test
joe%
joe%far.test@example.test
joe%far.test@relay.test
far.test!joe@example.test
joe@far.test@example.test
joe%relay.test@far.test@example.test
"joe"@example.test
"joe doe"@example.test
"joe@far.test"@example.test
joe doe@far.test
-joe@far.test
joe@-far.test
joe@far..test
.joe@far.test
joe@.far.test
joe@far_test
joe@far test
joe\\doe@far.test
joe"doe@far.test
joe(doe)@far.test
joe<doe>@far.test
joe,doe@far.test
joe:doe@far.test
jos\u00e9@far.test
joe@f\u00e4r.test
MAILER-DAEMON
double-bounce@example.test
+ext@far.test
joe++ext@far.test
joe+@far.test
joe@origin.test
a!b@example.test
a%b!c@example.test
far.test!joe%relay.test@example.test
joe%[127.0.0.1]@example.test
joe%127.0.0.1@example.test
@example.test
joe@far.test@
joe@far.test@example.test.
@@
joe%far..test@example.test
joe%relay.test@example.test
joe%box.test@example.test
joe%alias.test@example.test
kim!joe@box.test
kim%far.test@alias.test
""".splitlines() + [""]

SENDERS = ["", "joe@example.test", "ann@far.test", "ann+x@far.test", "ann"]

BASE = {
    "virtual_alias_domains": "alias.test", "virtual_mailbox_domains": "box.test", "relay_domains": "relay.test",
    "recipient_delimiter": "+", "local_header_rewrite_clients": "permit_inet_interfaces",
}

# Each row: label, parameters beside BASE.
CONFIGURATIONS = [
    ("classes", {}),
    ("append_dot_mydomain", {"append_dot_mydomain": "yes"}),
    ("nothing is appended", {"append_at_myorigin": "no", "append_dot_mydomain": "no"}),
    ("remote clients have a domain", {"remote_header_rewrite_domain": "r.test"}),
    ("origin elsewhere", {"myorigin": "origin.test", "relocated_maps": "inline:{{joe = elsewhere}}",
                          "transport_maps": "inline:{origin.test=o:r}"}),
    ("no bang paths, no percent hack", {"swap_bangpath": "no", "allow_percent_hack": "no"}),
    ("numeric and null domains", {"resolve_numeric_domain": "yes", "resolve_null_domain": "yes"}),
    ("quoted local parts as they are", {"resolve_dequoted_address": "no"}),
    ("minus in front", {"allow_min_user": "yes"}),
    ("relaying of routed addresses", {"allow_untrusted_routing": "yes"}),
    ("another empty recipient", {"empty_address_recipient": "nobody"}),
    ("relayhost", {"relayhost": "[relay.example]:26"}),
    ("relayhost and relay_transport", {"relayhost": "gw.example", "relay_transport": "relay:[inner.example]"}),
    ("transports of the classes", {"local_transport": "lmtp:unix:box", "virtual_transport": "lmtp:[::1]:24",
                                   "default_transport": "smtp:[gw.example]", "relay_transport": "relay"}),
    ("transports without a nexthop", {"local_transport": "lmtp", "virtual_transport": "v:", "default_transport": "d:",
                                      "relay_transport": "r", "relayhost": "gw.example"}),
    ("an error transport", {"default_transport": "error:5.7.1 not from here"}),
    ("subdomains", {"parent_domain_matches_subdomains": "relay_domains, transport_maps, virtual_alias_domains",
                    "transport_maps": "inline:{far.test=slow:, relay.test=:[x.example]}"}),
    ("no subdomains", {"parent_domain_matches_subdomains": "",
                       "transport_maps": "inline:{.far.test=slow:, .relay.test=:[x.example]}"}),
    ("transport_maps, addresses", {"transport_maps": "inline:{joe@far.test=a:x, joe+ext@far.test=b:y, "
                                                     "kim@box.test=c:, joe@example.test=:z, far.test=d:w}"}),
    ("transport_maps, catch-all",
     {"transport_maps": "inline:{*=slow:, example.test=:, far.test=local:, box.test=:[n.example]}"}),
    ("transport_maps, colon alone", {"transport_maps": "inline:{*=:, far.test=smtp:}", "relayhost": "[relay.example]"}),
    ("transport_maps, no colon", {"transport_maps": "inline:{far.test=slow, relay.test=smtp}"}),
    ("transport_maps, quoted keys", {"transport_maps": "texthash:{config}/quoted"}),
    ("transport_maps, literals",
     {"transport_maps": "inline:{[192.0.2.1]=l:one, [127.0.0.2]=:two, 0.0.1]=l:odd, alias.test=l:alias}"}),
    ("transport_maps, only nexthop", {"transport_maps": "inline:{*=:[n.example]:2525}", "relayhost": "[relay.example]"}),
    ("transport_maps, error", {"transport_maps": "inline:{{far.test = error:5.1.2 no such place}, "
                                                 "{relay.test = error:gone away}, {box.test = retry:4.2.0 later}}"}),
    ("transport_maps of patterns", {"transport_maps": "regexp:{config}/patterns"}),
    ("transport_maps without an answer", {"transport_maps": "fail:down"}),
    ("transport_maps, null recipient",
     {"transport_maps": "inline:{mailer-daemon@mx.example.test=x:y, mailer-daemon=v:w, example.test=ex:}"}),
    ("transport_maps, bare user", {"transport_maps": "inline:{joe=x:y, joe@example.test=v:w, @far.test=p:q}"}),
    ("relayhost by sender", {"sender_dependent_relayhost_maps": "inline:{ann@far.test=[ann.example], @example.test=[ex.example], <>=[null.example]}"}),
    ("relayhost by sender beside relayhost",
     {"sender_dependent_relayhost_maps": "inline:{ann@far.test=DUNNO, @far.test=[far.example]}",
                                              "relayhost": "gw.example"}),
    ("transport by sender", {"sender_dependent_default_transport_maps": "inline:{ann@far.test=slow:, @example.test=ex:[y.example], <>=null:z}"}),
    ("keys of the null sender", {"sender_dependent_relayhost_maps": "inline:{nobody=[n.example], <>=[wrong.example], ann=[bare.example]}",
                                 "empty_address_relayhost_maps_lookup_key": "nobody",
                                 "sender_dependent_default_transport_maps": "inline:{void=null:, <>=wrong:, ann=bare:}",
                                 "empty_address_default_transport_maps_lookup_key": "void"}),
    ("both by sender", {"sender_dependent_relayhost_maps": "inline:{ann@far.test=[ann.example], @example.test=dunno}",
                        "sender_dependent_default_transport_maps": "inline:{ann@far.test=slow:, @example.test=dunno, <>=s:n}",
                        "relayhost": "[gw.example]", "default_transport": "deft:there"}),
    ("by patterns of senders", {"sender_dependent_relayhost_maps": "regexp:{config}/patterns"}),
    ("transport by sender beside relayhost",
     {"sender_dependent_default_transport_maps": "inline:{ann@far.test=slow:, @example.test=ex:[y.example]}",
                                              "relayhost": "[gw.example]"}),
    ("a sender's table without an answer", {"sender_dependent_relayhost_maps": "fail:down"}),
    ("a sender's transport without an answer", {"sender_dependent_default_transport_maps": "fail:down"}),
    ("relocated", {"relocated_maps": "inline:{{joe@far.test = joe@new.example}, {@moved.test = the moon}, {joe = elsewhere}}"}),
    ("relocated, pattern", {"relocated_maps": "regexp:{config}/moved"}),
    ("relocated without an answer", {"relocated_maps": "fail:down"}),
    ("a class list without an answer", {"relay_domains": "fail:down"}),
    ("mydestination without an answer", {"mydestination": "fail:down"}),
    ("class lists of tables", {"mydestination": "inline:{example.test=x}",
     "relay_domains": "inline:{relay.test=x, .sub.far.test=y}",
                               "virtual_mailbox_domains": "regexp:{config}/boxdomains",
                               "virtual_alias_domains": "static:all"}),
    ("class lists of files", {"mydestination": "{config}/ours", "relay_domains": "!sub.relay.test, relay.test",
                              "virtual_mailbox_domains": "box.test, .sub.far.test", "virtual_alias_domains": ".alias.test"}),
    ("class lists, no subdomains", {"parent_domain_matches_subdomains": "",
     "relay_domains": "inline:{.sub.far.test=y}, .relay.test",
                                    "virtual_mailbox_domains": "inline:{.far.test=x}",
                                    "mydestination": "inline:{.alias.test=x}"}),
    ("two classes", {"virtual_alias_domains": "example.test, box.test", "relay_domains": "box.test, far.test, alias.test"}),
    ("all interfaces", {"proxy_interfaces": "192.0.2.1", "inet_protocols": "all"}),
    ("no table names", {"show_user_unknown_table_name": "no"}),
    ("default delimiter", {"recipient_delimiter": "", "transport_maps": "inline:{joe@far.test=a:x}"}),
    ("delimiter minus", {"recipient_delimiter": "-", "transport_maps": "inline:{joe@far.test=a:x}"}),
    ("origin by file", {"myorigin": "{config}/mailname"}),
]

FILES = {
    "patterns": "/^joe@/ pat:one\n/far\\.test$/ :two\n/^far/ three:\n/^\\*$/ star:\n",
    "moved": "/^joe@far/ to the sea\n",
    "quoted": '"joe doe"@far.test quo:ted\n@far.test no:body\nfar.test a:domain\n"joe"@example.test plain:quotes\n',
    "boxdomains": "/^box\\./ x\n/^sub/ y\n",
    "ours": "# ours\nexample.test\n!mx.example.test, .far.test\nlocalhost\n",
    "mailname": "named.test\n",
}


def attributes(*pairs):
    return b"".join(name.encode() + b"\0" + value.encode("utf-8", "surrogateescape") + b"\0" for name, value in pairs) + b"\0"


class Service:
    """A client of one of the reference's rewriting services."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.buffer = b""
        self.receive()

    def receive(self):
        while (end := self._end()) < 0:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError("the reference's rewriting service hung up")
            self.buffer += chunk
        words = self.buffer[:end].split(b"\0")[:-1]
        self.buffer = self.buffer[end + 1:]
        return list(zip(words[::2], words[1::2]))

    def _end(self):
        """Where the list ends: an empty name. An empty value is not the end."""
        at = 0
        while at < len(self.buffer):
            if self.buffer[at:at + 1] == b"\0":
                return at
            for _ in range(2):
                at = self.buffer.find(b"\0", at) + 1
                if at == 0:
                    return -1
        return -1

    def ask(self, question):
        kind, one, two = question
        if kind == "rewrite":
            self.socket.sendall(attributes(("request", "rewrite"), ("rule", one), ("address", two)))
            return dict(self.receive())[b"address"].decode("utf-8", "surrogateescape")
        self.socket.sendall(attributes(("request", "resolve"), ("sender", one), ("address", two)))
        answer = {name.decode(): value.decode("utf-8", "surrogateescape") for name, value in self.receive()[1:]}
        flags = int(answer["flags"])
        if flags & NO_ANSWER:
            return "trouble"
        about = next((name for bit, name in CLASSES.items() if flags & bit), "none")
        about += " routed" if flags & ROUTED else ""
        if flags & MALFORMED:
            return "malformed"
        return "\t".join([about, answer["transport"], answer["nexthop"], answer["recipient"].replace(", @", ",@")])


def external(address):
    """The address as it stands in an SMTP command: the rewriting service is asked, and answers, in this form."""
    if address.startswith("@") and ":" in address:
        return address  # a source route
    local, at, domain = address.rpartition("@") if "@" in address else (address, "", "")
    if address and not re.fullmatch(r"[^\x00-\x20()<>\[\]:;@\\,\"\x7f.]+(\.[^\x00-\x20()<>\[\]:;@\\,\"\x7f.]+)*", local):
        local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
    return local + at + domain


def questions():
    out = [("rewrite", rule, external(address)) for rule in ("local", "remote") for address in ADDRESSES]
    return out + [("resolve", sender, address) for address in ADDRESSES for sender in SENDERS]


def configured(server, parameters):
    return {name: value.replace("{config}", server.config) for name, value in {**BASE, **parameters}.items()}


def ours(server, number, parameters, asked):
    program = os.path.join(build_root(), "tests", "rewrite", "route_addresses")
    if not os.access(program, os.X_OK):
        raise Skip("route_addresses is not built")
    config = os.path.join(server.directory, f"ours{number}")
    os.makedirs(config)
    with open(os.path.join(config, "main.cf"), "w", encoding="utf-8") as file:
        for name, value in {**server.parameters, **configured(server, parameters)}.items():
            file.write(f"{name} = {value}\n")
    text = "".join("\t".join(question) + "\n" for question in asked)
    done = subprocess.run([program, config], input=text.encode("utf-8", "surrogateescape"), capture_output=True, timeout=120)
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]
    if len(lines) != len(asked):
        raise RuntimeError(f"{len(lines)} answers to {len(asked)} questions: {done.stderr.decode()}")
    return ["trouble" if line.startswith("trouble\t") else line for line in lines]


def main(checks):
    only = sys.argv[1:]
    compared = [row for row in CONFIGURATIONS if not only or row[0] in only]
    server = Reference()
    services = ""
    for number, (_, parameters) in enumerate(compared):
        services += f"rewrite{number} unix - - n - - trivial-rewrite\n"
        for name, value in configured(server, parameters).items():
            services += f"    -o {{ {name} = {value} }}\n"
    server.extra_services = services
    os.makedirs(server.config, exist_ok=True)
    for name, text in FILES.items():
        with open(os.path.join(server.config, name), "w", encoding="utf-8") as file:
            file.write(text)
    asked = questions()
    equal = 0
    with server:
        for number, (label, parameters) in enumerate(compared):
            path = f"{server.spool}/private/rewrite{number}"
            wait_until(lambda: os.path.exists(path))
            service = Service(path)
            theirs = [service.ask(question) for question in asked]
            mine = ours(server, number, parameters, asked)
            different = [f"{question}\n  reference {a!r}\n  ours      {b!r}"
                         for question, a, b in zip(asked, theirs, mine) if a != b]
            equal += len(asked) - len(different)
            if only:
                print("\n".join(different))
            checks.ok(not different, f"{label}: {len(asked)} answers are the reference's",
                      f"{len(different)} differ\n" + "\n".join(different))
    checks.note(f"{equal}/{len(asked) * len(compared)} answers are equal")


harness.run(main)
