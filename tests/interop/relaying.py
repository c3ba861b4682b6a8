"""Who may send to whom: RCPT commands to the reference's smtpd and to ours, for addresses that hide another host behind
one of our domains, and for addresses that no table of ours knows.

One server of each kind runs all configurations: each is a port of its own, with a rewriting service of its own beside
the reference's. With arguments only the configurations of those names are compared."""
import re
import socket
import sys

from checks import run
from mtad import Mtad
from reference import Reference
from server import free_port

STRANGER, FRIEND = "127.0.0.1", "127.0.0.2"

PARAMETERS = {
    "smtputf8_enable": "no",
    "mynetworks": FRIEND + "/32",
    "virtual_alias_domains": "alias.test",
    "virtual_alias_maps": "inline:{al@alias.test=bob@example.test, joe%far.test@example.test=bob@example.test}",
    "virtual_mailbox_domains": "box.test",
    "virtual_mailbox_maps": "inline:{bob@box.test=bob/}",
    "relay_domains": "relay.test",
    "relay_recipient_maps": "inline:{bob@relay.test=x, kim@relay.test=x, kim%far.test@relay.test=x}",
    "local_recipient_maps": "inline:{bob=x, kim@mx.example.test=x}",
    "recipient_delimiter": "+",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "smtpd_hard_error_limit": "1000",
    "smtpd_soft_error_limit": "1000",
    "smtpd_client_connection_count_limit": "0",
    "default_transport": "discard:", "relay_transport": "discard:", "local_transport": "discard:",
    "virtual_transport": "discard:",
}

OWN = ["example.test", "mx.example.test", "localhost", "[127.0.0.1]", "box.test", "alias.test", "relay.test"]

RECIPIENTS = [form.format(own=own) for own in OWN for form in (
    "bob@{own}", "bob+x@{own}", "nobody@{own}", "bob%far.test@{own}", "far.test!bob@{own}", '"bob@far.test"@{own}',
    '"bob%far.test"@{own}', '"far.test!bob"@{own}', "bob%relay.test@{own}", "relay.test!far.test!bob@{own}",
    "bob%far.test%{own}@{own}", "{own}!bob@far.test", "@{own}:bob@far.test", "@far.test:bob@{own}",
    '"bob x@far.test"@{own}', '"bob\\"@far.test"@{own}', "bob@{own}.")
    # A literal stands in brackets only right behind the "@".
    if own[0] != "[" or form.startswith("@") or form.endswith("@{own}") and form.count("{own}") == 1] + """\
bob
bob%far.test
far.test!bob
bob%example.test
bob@far.test
bob@far.test@example.test
bob%far.test@relay.test@example.test
kim@mx.example.test
kim@example.test
al@alias.test
joe%far.test@example.test
postmaster
postmaster@example.test
postmaster@box.test
Postmaster%far.test@example.test
mailer-daemon@example.test
double-bounce@example.test
double-bounce+x@example.test
double-bounce@far.test
double-bounce
mailer-daemon@far.test
postmaster@far.test
code10@example.test
code11@example.test
code12@example.test
code13@example.test
code14@example.test
code15@example.test
code16@example.test
code17@example.test
code18@example.test
code19@example.test
code22@example.test
code71@example.test
code42@example.test
postmaster+x@example.test
moved@example.test
moved@box.test
moved@relay.test
moved@far.test
gone@example.test
gone@far.test
later@example.test
later@far.test
canon@example.test
same@example.test
bob@[127.0.0.9]
bob@sub.relay.test
bob@origin.test
""".splitlines()

CODED = ["5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.5", "5.1.6", "5.1.7", "5.1.8", "5.1.9", "5.2.2", "5.7.1", "4.4.2"]
CODES = "inline:{" + ", ".join(f"{{code{code[2]}{code[4]}@example.test = error:{code} because}}" for code in CODED) + "}"

# Each row: label, parameters beside those above.
CONFIGURATIONS = [
    ("defaults", {}),
    ("relaying of routed addresses", {"allow_untrusted_routing": "yes"}),
    ("no operators", {"swap_bangpath": "no", "allow_percent_hack": "no"}),
    ("no operators, relaying of routed addresses", {"swap_bangpath": "no", "allow_percent_hack": "no",
     "allow_untrusted_routing": "yes"}),
    ("quotes stay closed", {"resolve_dequoted_address": "no"}),
    ("numbers and nothing", {"resolve_numeric_domain": "yes", "resolve_null_domain": "yes", "allow_min_user": "yes"}),
    ("permit_auth_destination", {"smtpd_relay_restrictions": "permit_auth_destination, reject"}),
    ("defer_unauth_destination", {"smtpd_relay_restrictions": "defer_unauth_destination"}),
    ("permit_auth_destination, relaying of routed addresses",
     {"smtpd_relay_restrictions": "permit_auth_destination, reject", "allow_untrusted_routing": "yes"}),
    ("unknown recipients wait", {"unknown_local_recipient_reject_code": "450", "unknown_virtual_alias_reject_code": "451",
                                 "unknown_virtual_mailbox_reject_code": "452",
                                 "unknown_relay_recipient_reject_code": "450"}),
    ("nobody is asked about recipients", {"smtpd_reject_unlisted_recipient": "no"}),
    ("behind a filter", {"receive_override_options": "no_unknown_recipient_checks no_address_mappings"}),
    ("relocated", {"relocated_maps": "inline:{{moved = the moon}, {moved@box.test = new@box.test}, {moved@far.test = there}, "
                                     "{moved@relay.test = elsewhere}}"}),
    ("error transports", {"transport_maps": "inline:{{gone@example.test = error:5.2.1 gone away}, {gone@far.test = error:no more}, "
                                            "{later@example.test = retry:4.2.1 come back}, {later@far.test = retry:soon}}",
                          "unknown_virtual_alias_reject_code": "553"}),
    ("error transports, softly",
     {"transport_maps": "inline:{{gone@example.test = error:5.2.1 gone away}, {moved@example.test = error:4.3.2 soon}}",
                                  "soft_bounce": "yes"}),
    ("canonical", {"canonical_maps": "inline:{canon@example.test=nobody@example.test, same@example.test=same@example.test}",
                   "sender_canonical_maps": "inline:{gone@example.test=bob@example.test}"}),
    ("classes without canonical", {"canonical_maps": "inline:{canon@example.test=nobody@example.test}",
                                   "canonical_classes": "header_sender"}),
    ("no tables of recipients", {"local_recipient_maps": "", "relay_recipient_maps": "", "virtual_mailbox_maps": ""}),
    ("a list without an answer", {"relay_domains": "fail:down"}),
    ("a route without an answer", {"transport_maps": "fail:down"}),
    ("recipients without an answer", {"local_recipient_maps": "fail:down", "virtual_alias_maps": ""}),
    ("origin elsewhere", {"myorigin": "origin.test"}),
    ("host without mail", {"mydestination": "example.test"}),
    ("status codes", {"transport_maps": CODES, "smtpd_reject_unlisted_sender": "yes"}),
    ("status codes, softly", {"transport_maps": CODES, "smtpd_reject_unlisted_sender": "yes", "soft_bounce": "yes"}),
    ("unknown senders", {"smtpd_reject_unlisted_sender": "yes", "relocated_maps": "inline:{moved=away}",
                         "sender_canonical_maps": "inline:{gone@example.test=bob@example.test}"}),
]

# Where the answers differ, and why.
INTENDED = {
    # The reference asks nothing at all about the address that its own address probes come from.
    ("a route without an answer", "double-bounce@example.test"),
}

SENDERS = ["a@b.test"]
UNLISTED_SENDERS = [f"code{code[2]}{code[4]}@example.test" for code in CODED] + ["", "bob@example.test", "nobody@example.test", "bob%far.test@example.test", "moved@example.test",
                    "gone@example.test", "postmaster@example.test"]


def conversation(port, source, senders, recipients):
    out = []
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0)) as client:
        stream = client.makefile("rb")

        def reply():
            while True:
                line = stream.readline().decode("latin-1").rstrip("\r\n")
                if line[3:4] != "-":
                    return line
        greeting = reply()
        if not greeting.startswith("220"):
            raise RuntimeError(f"{source}: {greeting!r}")
        client.sendall(b"EHLO c.test\r\n")
        reply()
        for sender in senders:
            client.sendall(f"MAIL FROM:<{sender}>\r\n".encode())
            out.append((source, f"MAIL FROM:<{sender}>", reply()))
            for recipient in recipients:
                client.sendall(f"RCPT TO:<{recipient}>\r\n".encode())
                out.append((source, f"{sender} RCPT TO:<{recipient}>", reply()))
            client.sendall(b"RSET\r\n")
            reply()
    return out


def replies(port, label):
    out = conversation(port, STRANGER, SENDERS, RECIPIENTS) + conversation(port, FRIEND, SENDERS, RECIPIENTS)
    if "smtpd_reject_unlisted_sender" in dict(CONFIGURATIONS)[label]:
        out += conversation(port, STRANGER, UNLISTED_SENDERS, ["bob@example.test"])
    return out


# Taken by the rules above: where the mail goes must be what the rules judged.
DELIVERED = [(STRANGER, "bob%relay.test@example.test"), (STRANGER, "bob%mx.example.test@localhost"),
             (STRANGER, "joe%far.test@example.test"), (FRIEND, "far.test!relay.test!kim@example.test"),
             (FRIEND, '"kim@far.test"@example.test'), (FRIEND, "kim%far.test@relay.test"), (FRIEND, "kim@FAR.test."),
             (FRIEND, "bob@[127.0.0.1]")]


def deliveries(server):
    """What became of mail for DELIVERED: recipient, original recipient and answer of each delivery."""
    for source, recipient in DELIVERED:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30, source_address=(source, 0)) as client:
            stream = client.makefile("rb")
            for line in ("", "HELO c.test", "MAIL FROM:<a@b.test>", f"RCPT TO:<{recipient}>", "DATA", "Subject: x\r\n\r\nx\r\n.", "QUIT"):
                if line:
                    client.sendall(line.encode() + b"\r\n")
                if line.startswith("RCPT") and stream.readline().startswith(b"5"):
                    break
                if not line.startswith("RCPT"):
                    stream.readline()
    server.wait_empty()

    def plain(text):  # of names that differ in case, a queue has the one that came first
        return re.sub(r"sent \(.*", lambda found: found.group(0).lower(), re.sub(r" delays?=[^ ]+", "", text))

    return sorted(plain(found) for found in re.findall(r" (to=<.*)", server.log()) if "status=" in found)


def services(ports, compared, rewriting):
    text = ""
    for number, (_, parameters) in enumerate(compared):
        options = "".join(f"    -o {{ {name} = {value} }}\n" for name, value in parameters.items())
        text += f"127.0.0.1:{ports[number]} inet n - n - - smtpd\n{options}"
        if rewriting:
            text += f"    -o rewrite_service_name=rewrite{number}\n"
            text += f"rewrite{number} unix - - n - - trivial-rewrite\n{options}"
    return text


def main(checks):
    compared = [row for row in CONFIGURATIONS if not sys.argv[1:] or row[0] in sys.argv[1:]]
    theirs, mine = [free_port() for _ in compared], [free_port() for _ in compared]
    equal = total = 0
    with Reference(parameters=PARAMETERS, services=services(theirs, compared, True)) as reference, \
            Mtad(parameters=PARAMETERS, services=services(mine, compared, False)) as ours:
        for number, (label, _) in enumerate(compared):
            expected, seen = replies(theirs[number], label), replies(mine[number], label)
            different = [f"{source} {line}\n  reference {one}\n  ours      {two}"
                         for (source, line, one), (_, _, two) in zip(expected, seen)
                         if one != two and (label, line.partition("TO:<")[2].rstrip(">")) not in INTENDED]
            total += len(expected)
            equal += len(expected) - len(different)
            checks.ok(not different, f"{label}: {len(expected)} replies are the reference's",
                      f"{len(different)} differ\n" + "\n".join(different))
        if not sys.argv[1:]:
            checks.equal(deliveries(ours), deliveries(reference), "what was let in goes where the reference sends it")
    checks.note(f"{equal}/{total} replies are equal")


run(main)
