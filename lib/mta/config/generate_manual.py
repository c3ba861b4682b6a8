#!/usr/bin/env python3
"""Makes man/main.cf.5 and docs/parameters.md from the parameter table.

usage: generate_manual.py [--check]   with --check it only compares, and fails when a page is not what the table says
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
TABLE = ROOT / "lib/mta/config/parameters.txt"

# The first group whose pattern a name matches is its own.
GROUPS = [
    ("Parameters of mtad alone", r"mtad_"),
    ("Every service of master.cf", r"\*"),
    ("postscreen", r"postscreen_|dnsblog_"),
    ("TLS for other services (tlsproxy, tlsmgr)", r"tlsproxy_|tlsmgr_|tls_random|tls_daemon"),
    ("SMTP server: TLS", r"smtpd_(tls|starttls|use_tls|enforce_tls)|relay_clientcerts"),
    ("SMTP server: logging in", r"smtpd_sasl|smtpd_sender_login|broken_sasl|cyrus_sasl"),
    ("SMTP server: who may send what", r"smtpd_.*(restrictions|policy|access|reject|restriction)|.*_reject_code$|.*_defer_code$|"
     r"reject_|permit_mx|.*_tempfail_action|maps_rbl|rbl_|unverified|parent_domain"),
    ("SMTP server", r"smtpd_|local_header_rewrite|strict_rfc|disable_vrfy|qmqpd"),
    ("SMTP client: TLS", r"smtp_(tls|starttls|use_tls|enforce_tls)"),
    ("SMTP client: logging in", r"smtp_sasl|send_cyrus"),
    ("SMTP client", r"smtp_|best_mx|fallback_relay|ignore_mx|disable_mime_output"),
    ("LMTP client", r"lmtp_"),
    ("TLS in general", r"tls_|openssl_"),
    ("Address verification", r"address_verify"),
    ("Mail filters", r".*milter|content_filter|.*header_checks|body_checks|receive_override|default_filter|internal_mail"),
    ("Internationalized mail", r".*smtputf8|.*idna"),
    ("Taking mail in", r"header_|message_|mime_|strict_|always_|.*_bcc|cleanup|undisclosed|detect_8bit|disable_mime_input|"
     r"sendmail|allow_untrusted|enable_original|bounce_size|hopcount|line_length|authorized_|local_login|empty_address_local"),
    ("Rewriting and routing", r".*canonical|masquerade|.*_maps$|append_|swap_|allow_percent|recipient_delimiter|rewrite|"
     r"remote_header|resolve|.*relayhost|.*transport|virtual_|propagate|generic|owner_request|expand_owner|relay_domains"),
    ("Local and virtual delivery", r"mailbox|local_|home_|mail_spool|alias|allow_mail|forward|luser|command_|biff|require_home|"
     r"deliver_lock|stale_lock|sun_mail|frozen|prepend|reset_owner|default_privs|execution_dir|newaliases|maildir"),
    ("Notices", r".*bounce|.*notice|notify|delay_|double_|.*verp|confirm_delay"),
    ("Queue and scheduling", r"qmgr|queue|.*concurrency|.*recipient_limit|.*recipient_refill|.*delivery_slot|defer|hash_queue|"
     r"maximal|minimal|.*rate_delay|fast_flush|flush|default_|initial_dest|dont_remove|in_flow|helpful|trace"),
    ("This host", r"my|inet_|proxy_interfaces|mail_name|compatib|alternate_config|multi_instance|syslog|maillog|import_env|export_env"),
    ("Where things are", r".*_directory$|.*_path$|mail_owner|setgid|mail_version|mail_release|process_|stress"),
]
OTHER = "Processes, connections and the rest"
KINDS = {"text": "text", "raw": "text, expanded when used", "yes_no": "yes or no", "integer": "number", "time": "time",
         "list": "list"}


def read_table():
    """Rows as (name, kind and range, users, default, help)."""
    rows = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t":
            rows[-1][4] = (rows[-1][4] + " " + line.strip()).strip()
            continue
        words = line.split(None, 4)
        rows.append([words[0], words[1], words[3], words[4].strip() if len(words) > 4 else "", ""])
    missing = [row[0] for row in rows if not row[4]]
    if missing:
        sys.exit("parameters.txt: no help for " + ", ".join(missing))
    return rows


def grouped(rows):
    groups = {title: [] for title, _ in GROUPS}
    groups[OTHER] = []
    for row in rows:
        title = next((title for title, pattern in GROUPS if re.match(pattern, row[0])), OTHER)
        groups[title].append(row)
    # What is common to everything first, the rest as above.
    first = ["This host", "Where things are"]
    order = first + [title for title in groups if title not in first]
    return [(title, groups[title]) for title in order if groups[title]]


def shown_name(name):
    return "TRANSPORT" + name[1:] if name.startswith("*") else name


def shown_default(text):
    if text == "(computed)":
        return "found out from the host"
    return re.sub(r"@(\w+)@", r"the build's \1", text) or "empty"


def kind_text(spec):
    kind, _, limits = spec.partition(":")
    out = KINDS[kind]
    low, _, high = limits.partition("..")
    high = high.replace("long", "")
    if kind == "text":
        return out + (", not empty" if low else "")
    if low and low != "0":
        out += f", at least {low}"
    if high:
        out += f", at most {high}"
    return out


def mdoc(text):
    """Text as one mdoc line: no macro at its start, backslashes and quotes kept."""
    text = text.replace("\\", "\\e")
    return "\\&" + text if text[:1] in (".", "'") else text


def man_page(rows):
    out = [".\\\" Made by generate_manual.py from parameters.txt; do not edit.", ".Dd November 21, 2026", ".Dt MAIN.CF 5", ".Os",
           ".Sh NAME", ".Nm main.cf", ".Nd parameters of the mail system", ".Sh DESCRIPTION",
           "The file holds settings, one a logical line:", ".Bd -literal -offset indent",
           "# comment", "relayhost = [mail.example.com]:587", "mydestination = $myhostname,", "    localhost", ".Ed", ".Pp",
           "A line that begins with a blank continues the one before it. Empty lines and lines whose first word begins with",
           "# are skipped wherever they stand, also inside a continued value. Of several settings of one name the last",
           "counts. A name that nobody sets has its default; a setting without a value makes it empty.", ".Ss References",
           "A value may refer to others:", ".Bl -tag -width Ds"]
    for form, meaning in (
            ("$name, ${name}, $(name)", "the value of name"),
            ("${name?text}, ${name?{text}}", "text, when name is not empty"),
            ("${name:text}, ${name:{text}}", "text, when name is empty"),
            ("${name?{text}:{other}}", "one or the other"),
            ("${{left} == {right}?{text}:{other}}", "a comparison: == != < <= > >=; numbers compare as numbers"),
            ("${{$compatibility_level} >=level {3.6}?{text}}", "a comparison of compatibility levels: an operator and level"),
            ("$$", "one $")):
        out += [f".It {mdoc(form)}", mdoc(meaning)]
    out += [".El", ".Ss Kinds of values",
            "yes or no; a number; a time, which is a number and s, m, h, d or w; text; a list, whose words stand between",
            "blanks or commas and where {…} keeps words together. Lists of names and addresses may hold /file/names and",
            "tables as",
            ".Ar type:name .", ".Ss A configuration in pieces",
            "mtad_main_cf_directory names a directory whose files with names in .cf are read behind main.cf, in the order of",
            "their names.", ".Sh PARAMETERS"]
    for title, group in grouped(rows):
        out += [f".Ss {title}", ".Bl -tag -width Ds"]
        for name, kind, users, default, text in group:
            out += [
                    f".It {shown_name(name)}", mdoc(text), f"({kind_text(kind)}; default:", mdoc(shown_default(default)) + ")"]
            if users not in ("-", "all"):
                out += [f"Used by {', '.join(users.split(','))}."]
        out += [".El"]
    out += [".Sh EXAMPLES", "A host that sends all mail through its provider:", ".Bd -literal -offset indent",
            "compatibility_level = 3.6", "myhostname = desk.example.com", "inet_interfaces = loopback-only",
            "relayhost = [smtp.example.net]:587", ".Ed", ".Pp", "A host that takes mail for a domain:",
            ".Bd -literal -offset indent", "myhostname = mail.example.org", "mydomain = example.org",
            "mydestination = $mydomain, $myhostname, localhost", "mynetworks = 192.0.2.0/24, 127.0.0.0/8, [::1]/128", ".Ed",
            ".Sh SEE ALSO", ".Xr postconf 1 ,", ".Xr master.cf 5", ""]
    return re.sub(r"(?<=[a-z)])([.:]) (?=[A-Z])", r"\1\n", "\n".join(out))


def cell(text):
    return text.replace("|", "\\|")


def markdown(rows):
    out = ["# Parameters of main.cf", "", "Made by `lib/mta/config/generate_manual.py` from the parameter table. Do not edit.", "",
           "`postconf --explain NAME` tells the same about one parameter, and where it is set. In a default, `@name@` is what",
           "the build was configured with; a name that begins with TRANSPORT is there for every service of master.cf.", ""]
    groups = grouped(rows)
    out += [f"- [{title}](#{re.sub(r'[^a-z0-9 -]', '', title.lower()).replace(' ', '-')}) ({len(group)})" for title, group in groups]
    for title, group in groups:
        out += ["", f"## {title}", "", "| parameter | default | what it is |", "| --- | --- | --- |"]
        for name, kind, users, default, text in group:
            used = "" if users in ("-", "all") else f" Used by {users.replace(',', ', ')}."
            value = f"`{cell(default)}`" if default and default != "(computed)" else shown_default(default)
            out.append(f"| `{shown_name(name)}` | {value} | {cell(text)} {kind_text(kind).capitalize()}.{used} |")
    return "\n".join(out) + "\n"


def main():
    rows = read_table()
    wrong = 0
    for path, text in ((ROOT / "man/main.cf.5", man_page(rows)), (ROOT / "docs/parameters.md", markdown(rows))):
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            wrong += 1
            print(f"{path.relative_to(ROOT)} is not what the table says: run lib/mta/config/generate_manual.py")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
