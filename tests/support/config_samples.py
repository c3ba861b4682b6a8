"""Makes main.cf and master.cf files by chance, as strange as people write them, for comparing two readers of them.

Everything comes from a random.Random that the caller seeds, so a difference can be seen again.
"""

USER = ["u1", "u2", "u3", "u4", "longer_user_name", "class_a", "class_b", "lx_bind", "lx_server_host", "lx_foo",
        "my_hosts", "my_query", "sq_dbpath", "pg_user", "mc_timeout", "nobody_refers", "U1", "a-b", "x.y", "1st"]
BUILTIN = ["relayhost", "mydestination", "myorigin", "smtpd_banner", "virtual_alias_maps", "mynetworks_style",
           "transport_maps", "smtpd_recipient_restrictions", "smtpd_restriction_classes", "message_size_limit",
           "queue_run_delay", "local_command_shell", "default_rbl_reply", "compatibility_level", "mydomain",
           "myhostname", "soft_bounce", "smtp_tls_policy_maps", "alias_maps", "smtpd_client_restrictions",
           "header_checks", "inet_protocols", "mail_name", "syslog_name", "body_checks", "virtual_mailbox_maps",
           "rbl_reply_maps", "mynetworks", "forward_path", "parent_domain_matches_subdomains", "smtpd_relay_restrictions"]
SERVICE = ["smtp_destination_recipient_limit", "slow_destination_rate_delay", "pipey_time_limit", "relay_initial_destination_concurrency",
           "nosuch_destination_concurrency_limit", "slow_transport_rate_delay", "spawny_time_limit", "smtp_time_limit",
           "local_destination_recipient_limit", "error_delivery_slot_cost", "pipey_minimum_delivery_slots"]
WORDS = ["permit", "reject", "a", "example.test", "[10.0.0.1]:25", "127.0.0.0/8", "[::1]/128", "hash:/etc/x", "yes",
         "no", "3", "10s", "4h", "all", "ipv4", "ldap:lx", "proxy:mysql:my", "sqlite:sq", "pgsql:pg", "memcache:mc",
         "pipemap:{ldap:lx,hash:/y}", "{a b}", "check_client_access", "proxy:ldap:lx", "unionmap:{{ldap:my, sqlite:sq}}",
         "texthash:/z", "#x", "a#b", "=", "x=y", "'q'", '"q q"', "\u00fc", "%s", "!not", "class_a", "class_b", "mysql:/nonexistent",
         "${u1}", "\\", "{", "}", ",", ",,"]
BLANKS = [" ", " ", " ", "  ", "\t", " \t "]


def macro(rng, depth=0):
    name = rng.choice(USER[:8] + BUILTIN[:8] + ["service_name", "undefined_one", "process_name", "stress"])
    inner = lambda: text(rng, depth + 1, 2) if depth < 3 else rng.choice(WORDS[:6])
    blank = lambda: rng.choice(["", "", "", " ", "  "])
    return rng.choice([
        lambda: f"${name}", lambda: f"${{{name}}}", lambda: f"$({name})", lambda: f"${{{name}}}",
        lambda: f"${{{name}?{inner()}}}", lambda: f"${{{name}:{inner()}}}",
        lambda: f"${{{name}{blank()}?{blank()}{{{inner()}}}{blank()}}}",
        lambda: f"${{{name}?{{{inner()}}}:{{{inner()}}}}}",
        lambda: f"${{{name}{blank()}?{blank()}{{{inner()}}}{blank()}:{blank()}{{{inner()}}}{blank()}}}",
        lambda: f"${{{{{inner()}}} {rng.choice(['==', '!=', '<', '<=', '>', '>=', '<level', '>=level'])} {{{rng.choice(['1', '2', '3.6', 'a', inner()])}}}?{{{inner()}}}:{{{inner()}}}}}",
        lambda: "$$", lambda: "$$x"])()


BROKEN = ["${", "${u1", "$", "$ x", "${u1 x}", "$()", "${}", "${{a}={b}?{c}}", "${u1?{a}", "${u1?{a} x}", "${u1?{a}:{b} x}",
          "$(u1", "${{a} == {b} x}", "${{a} foo {b}?c}", "${{a} ==level {x}?{y}}", "${-x}", "${{a} == b}"]


def text(rng, depth=0, most=6, broken=0.0):
    out = []
    for _ in range(rng.randint(0, most)):
        kind = rng.random()
        out.append(rng.choice(BROKEN) if kind < broken else macro(rng, depth) if kind < 0.35 else rng.choice(WORDS[:41]))
    return rng.choice(BLANKS).join(out) if depth else "".join(word + rng.choice(BLANKS + [", ", ","]) for word in out)


def wrapped(rng, line):
    """The line cut at blanks into a few physical ones, now and then with comments or empty lines between."""
    out = []
    for word in line.split(" "):
        if out and rng.random() < 0.15:
            if rng.random() < 0.2:
                out.append("\n" + rng.choice(["# comment", "", "   ", "\t# indented comment", "#"]))
            out.append("\n" + rng.choice([" ", "    ", "\t"]) + word)
        else:
            out.append((" " if out else "") + word)
    return "".join(out)


def main_cf(rng, broken=0.0):
    lines = []
    if rng.random() < 0.5:
        lines.append(f"compatibility_level = {rng.choice(['0', '1', '2', '3.6', '3', '9999'])}")
    for _ in range(rng.randint(1, 14)):
        name = rng.choice(BUILTIN + USER + SERVICE)
        equals = rng.choice([" = ", "=", " =", "= ", "\t=\t", "  =  "])
        value = text(rng, 0, rng.choice([1, 3, 6, 20]), broken)
        if name in ("compatibility_level", "myhostname", "mydomain", "inet_protocols", "mail_name", "mynetworks_style"):
            value = {"compatibility_level": "2", "myhostname": "mail.example.test", "mydomain": "example.test",
                     "inet_protocols": rng.choice(["ipv4", "all"]), "mynetworks_style": "host", "mail_name": "Mailer"}[name]
        lines.append(wrapped(rng, name + equals + value))
        if rng.random() < 0.2:
            lines.append(rng.choice(["# a comment", "", "  # indented", "#", "   ", "#" + name + " = 1"]))
    if rng.random() < broken:
        lines.insert(rng.randrange(len(lines)), rng.choice(["no equals", "= x", "two words = 3", "noequals"]))
    if rng.random() < 0.05:
        lines.insert(0, "  begins with a blank = 1")
    return "\n".join(lines) + rng.choice(["\n", "\n", "\n", "", "\n\n", "\n# end\n", "\n# end"])


COMMANDS = ["smtpd", "smtp", "pipe", "local", "error", "virtual", "spawn", "lmtp", "cleanup", "qmgr", "bounce", "discard"]
NAMES = ["smtp", "slow", "relay", "pipey", "spawny", "local", "error", "127.0.0.1:10025", "[::1]:26", "a/b", "x:y", "smtps"]
OPTION_NAMES = USER[:6] + BUILTIN[:6] + ["syslog_name", "smtpd_restriction_classes", "process_id", "service_name", "lx_bind",
                                         "smtp_destination_recipient_limit", "slow_time_limit"]


def option(rng):
    name = rng.choice(OPTION_NAMES)
    value = rng.choice([lambda: rng.choice(["1", "yes", "", "a,b", "x=y"]), lambda: macro(rng, 3).replace(" ", ""),
                        lambda: "class_a", lambda: "ldap:lx"])()
    wide = text(rng, 1, 4).replace("\t", " ")
    if wide.count("{") != wide.count("}"):
        wide = "a  b"
    return rng.choice([lambda: f"-o {name}={value}", lambda: "-ou1=1", lambda: f"-o {{ {name} = {wide} }}",
                       lambda: f"-o {{{name}={wide}}}", lambda: f"-o {name}={value}", lambda: "-v", lambda: "-D",
                       lambda: f"-vo {name}={value}"])()


def service_line(rng, tail=True):
    fields = [rng.choice(NAMES), rng.choice(["inet", "unix", "unix", "unix", "fifo", "pass", "unix-dgram"]),
              rng.choice("-yn"), rng.choice("-yn"), rng.choice("-yn"), rng.choice(["-", "60", "300?", "0", "1000?"]),
              rng.choice(["-", "0", "1", "100"]), rng.choice(COMMANDS)]
    if tail:
        fields += [option(rng) for _ in range(rng.choice([0, 0, 1, 2, 4]))]
        if rng.random() < 0.4:
            fields += rng.sample(["flags=DRhu", "user=vmail:mail", "argv=/bin/x", "${recipient}", "-f", "{two words}",
                                  "argv={a  b}", "-o", "x=y", "--", "{ inner }", "nexthop"], rng.randint(1, 6))
    return rng.choice([" ", "  ", "\t"]).join(fields)


BAD_SERVICES = ["smtp inet n - n - -", "smtp foo n - n - - smtpd", "smtp inet q - n - - smtpd", "smtp inet n x n - - smtpd",
                "smtp inet n - x - - smtpd", "smtp inet n - n ?6 - smtpd", "smtp inet n - n - x smtpd", "short"]


def master_cf(rng, broken=0.0):
    lines = []
    for _ in range(rng.randint(1, 9)):
        name, kind, rest = service_line(rng).split(None, 2)  # the reference wants name and type on one line
        lines.append(name + "\t" + kind + wrapped(rng, " " + rest))
        if rng.random() < 0.25:
            lines.append(rng.choice(["# a comment", "", "  # indented", "#smtp inet n - n - - smtpd"]))
    if rng.random() < broken:
        lines.insert(rng.randrange(len(lines)), rng.choice(BAD_SERVICES))
    return "\n".join(lines) + rng.choice(["\n", "\n", "", "\n\n"])
