"""ldap: beside the reference's, on the same slapd with the same .cf files: templates, attributes of every kind, recursion by DN
and URL, limits, binds, several servers, TLS; keys that try to get out of a filter or a name; a server that dies and comes back."""
import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import build_root
from databases import OpenLdap
from tables import Session, Tables, stays_right

LDIF = """\
dn: dc=test
objectClass: domain
dc: test

dn: ou=people,dc=test
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=test
objectClass: organizationalUnit
ou: groups

dn: ou=closed,dc=test
objectClass: organizationalUnit
ou: closed

dn: ou=example.com,dc=test
objectClass: organizationalUnit
ou: example.com
"""


def entry(name, under="people", **attributes):
    lines = [f"dn: cn={name},ou={under},dc=test", "objectClass: mailthing", f"cn: {name}"]
    for attribute, values in attributes.items():
        lines += [f"{attribute}: {value}" for value in ([values] if isinstance(values, str) else values)]
    return "\n" + "\n".join(lines) + "\n"


PEOPLE = "ou=people,dc=test"
GROUPS = "ou=groups,dc=test"
ENTRIES = "".join((
    entry("joe", mail="joe@example.com", maildrop="joe", mailacceptinggeneralid=["joe", "joe@example.com"], userPassword="joepw"),
    entry("ann", mail=["ann@example.com", "a.nn@example.com"], maildrop=["ann", "ann@home.test"], mailacceptinggeneralid="ann@example.com"),
    entry("kim", mail="kim@example.com", mailacceptinggeneralid="kim@example.com", description="no maildrop"),
    entry("star", mail="*@example.com", maildrop="starred", mailacceptinggeneralid="*"),
    entry("odd", mail="o(d)d\\x@example.com", maildrop="o, dd", mailacceptinggeneralid=["o(d)d\\x", "a*b", "#lead", "c,d=e"]),
    entry("twin1", mail="twin@example.com", maildrop="twin1"),
    entry("twin2", mail="twin@example.com", maildrop="twin2"),
    entry("team", "groups", mail="team@example.com", member=[f"cn=joe,{PEOPLE}", f"cn=ann,{PEOPLE}", f"cn=kim,{PEOPLE}"]),
    entry("both", "groups", mail="both@example.com", maildrop="extra@example.com", member=[f"cn=joe,{PEOPLE}"]),
    entry("nest", "groups", mail="nest@example.com", member=[f"cn=team,{GROUPS}", f"cn=twin1,{PEOPLE}"]),
    entry("gone", "groups", mail="gone@example.com", member=[f"cn=nobody,{PEOPLE}", f"cn=joe,{PEOPLE}"]),
    entry("loop", "groups", mail="loop@example.com", member=[f"cn=loop,{GROUPS}"]),
    entry("host", "groups", mail="host@example.com", maildrop="team@lists.test", member=[f"cn=joe,{PEOPLE}"]),
    entry("url", "groups", mail="url@example.com", memberurl=[
        f"ldap:///{PEOPLE}?maildrop?sub?(mail=twin@example.com)", f"ldap:///{PEOPLE}??one?(cn=joe)",
        f"ldap:///{PEOPLE}?description?sub?(cn=kim)", f"ldap:///cn=ann,{PEOPLE}?mail"]),
    entry("badurl", "groups", mail="badurl@example.com", memberurl="ldap:///x?y?nosuchscope?z"),
    entry("emptyurl", "groups", mail="emptyurl@example.com", memberurl=f"ldap:///{PEOPLE}?mail?sub?(mail=nobody@example.com)"),
    entry("hidden", "closed", mail="hidden@example.com", maildrop="hidden"),
    "\ndn: cn=local,ou=example.com,dc=test\nobjectClass: mailthing\ncn: local\nmail: local@example.com\nmaildrop: by base\n"))
KEYS = ["joe", "joe@example.com", "JOE@Example.COM", "ann@example.com", "a.nn@example.com", "kim@example.com", "twin@example.com",
        "nobody@example.com", "local@example.com", "*", "*@example.com", "j*", "o(d)d\\x", "o(d)d\\x@example.com", "a*b", "a?b", "#lead",
        "c,d=e", ")(mail=*", "joe)(|(mail=*", "\\2a", "@example.com", "joe@", "example.com", "a b", " joe", "joe ", "%s", "\u00e9@example.com",
        b"\xff@example.com"]
GROUP_KEYS = [f"{name}@example.com" for name in ("team", "both", "nest", "gone", "host", "url", "emptyurl", "joe", "twin", "nobody")]
BY_MAIL = "query_filter = (mail=%s)\n"
BY_ID = "query_filter = mailacceptinggeneralid=%s\n"


def plain(checks, tables, access):
    bodies = ["", BY_ID, BY_MAIL, BY_MAIL + "result_attribute = mail\n", BY_MAIL + "result_attribute = mail, maildrop\n",
              BY_MAIL + "result_attribute = maildrop mail description\n", BY_MAIL + "result_attribute = nosuch\n",
              BY_MAIL + "result_attribute =\n", "query_filter = (&(mail=%u@%d)(maildrop=%u))\n", "query_filter = (mail=%U@%D)\n",
              "query_filter = (cn=%u)\n", "query_filter = (mail=%u@%2.%1)\n", "query_filter = (|(cn=%s)(mail=%s))\nscope = one\n",
              BY_MAIL + "scope = base\n", BY_MAIL + "scope = one\n", BY_MAIL + "scope = sub\n", BY_MAIL + "result_format = <%s>\n",
              BY_MAIL + "result_format = %u\n", BY_MAIL + "result_format = %d\n", BY_MAIL + "result_format = %U:%s\n",
              BY_MAIL + "result_format = %1-%s\n", BY_MAIL + "result_filter = [%s]\n",
              BY_MAIL + "result_filter = [%s]\nresult_format = {%s}\n", BY_MAIL + "domain = example.com\n",
              BY_MAIL + "domain = example.org\n", BY_MAIL + "version = 2\n", BY_MAIL + "bind = no\n", BY_MAIL + "dereference = 3\n",
              BY_MAIL + "chase_referrals = yes\n", BY_MAIL + "cache = yes\n", BY_MAIL + "timeout = 3\n"]
    for body in bodies:
        tables.compare(body, "ldap:" + tables.write("plain.cf", f"{access}search_base = dc=test\n{body}"), KEYS)
    for base in ("ou=%d,dc=test", "ou=people,dc=test", "cn=%u,ou=people,dc=test", "ou=nosuch,dc=test", "ou=%1,dc=test", "cn=%s,ou=people,dc=test"):
        tables.compare(base, "ldap:" + tables.write("base.cf", f"{access}search_base = {base}\nquery_filter = (objectclass=mailthing)\n"), KEYS)
    tables.report(checks, "ldap: filters, bases and formats")
    for body in (BY_MAIL + "expansion_limit = 1\n", BY_MAIL + "expansion_limit = 2\n", BY_MAIL + "size_limit = 1\n",
                 BY_MAIL + "size_limit = 2\n", BY_MAIL + "expansion_limit = 1\nsize_limit = 5\n"):
        tables.compare(body, "ldap:" + tables.write("limit.cf", f"{access}search_base = dc=test\n{body}"),
                       ["joe@example.com", "ann@example.com", "twin@example.com", "nobody@example.com"], True)
    for body in ("query_filter = (mail=%x)\n", "query_filter = (mail=%s\n", "scope = x\nquery_filter = cn=joe\n", "bind = x\n",
                 "expansion_limit = x\n", "search_base = %q\n", "version = 9\n", "recursion_limit = 0\n", "result_format = %q\n",
                 "server_host = \n", "chase_referrals = 1\n", "bind = yes\nbind_dn = cn=admin,dc=test\nbind_pw = wrong\n", "search_base = nonsense\n"):
        tables.compare(body, "ldap:" + tables.write("wrong.cf", f"{access}search_base = dc=test\n{body}"), ["joe"], True)
    tables.report(checks, "ldap: limits and mistakes")


def groups(checks, tables, access):
    special = "special_result_attribute = member, memberurl\n"
    for lists in (special, special + "result_attribute = mail\n", special + "result_attribute =\nleaf_result_attribute = mail\n",
                  special + "result_attribute = maildrop\nleaf_result_attribute = mail\n",
                  special + "result_attribute =\nterminal_result_attribute = maildrop\nleaf_result_attribute = mail\n",
                  special + "result_attribute = mail\nterminal_result_attribute = maildrop\n",
                  "special_result_attribute = member\nresult_attribute = mail\n", "leaf_result_attribute = mail\nresult_attribute =\n",
                  special + "result_format = <%s>\n"):
        tables.compare(lists, "ldap:" + tables.write("group.cf", f"{access}search_base = dc=test\n{BY_MAIL}{lists}"), GROUP_KEYS)
    for limits in ("expansion_limit = 2\n", "recursion_limit = 1\n", "recursion_limit = 2\n", "recursion_limit = 3\n"):
        tables.compare(limits, "ldap:" + tables.write("deep.cf", f"{access}search_base = dc=test\n{BY_MAIL}{special}{limits}"),
                       ["team@example.com", "nest@example.com", "loop@example.com", "badurl@example.com"], True)
    tables.report(checks, "ldap: entries that refer to others")


def servers(checks, tables, server, uri):
    host = f"127.0.0.1:{server.port}"
    rest = f"search_base = dc=test\n{BY_MAIL}"
    for hosts in (host, f"ldap://{host}", uri, f"127.0.0.1:1 {host}", f"ldap://127.0.0.1:1 {uri}", "ldap://127.0.0.1:1",
                  "ldapi://%2Fnonexistent", f"127.0.0.1\nserver_port = {server.port}"):
        tables.compare(hosts, "ldap:" + tables.write("host.cf", f"server_host = {hosts}\n{rest}"), ["joe@example.com", "nobody"], "127.0.0.1:1" in hosts)
    closed = f"server_host = {host}\n{rest}"
    for bind in ("", "bind = yes\nbind_dn = cn=joe,ou=people,dc=test\nbind_pw = joepw\n", "bind_dn = cn=admin,dc=test\nbind_pw = s3cret\n", "bind = none\n"):
        tables.compare(bind, "ldap:" + tables.write("bind.cf", closed + bind), ["hidden@example.com", "joe@example.com"])
    lines = f"server_host = {host}\n{rest}result_attribute = mail\nresult_format = <%s>\n".splitlines()
    tables.add_parameters("".join(f"people_{line}\n" for line in lines))
    tables.compare("main.cf", "ldap:people", KEYS)
    tables.compare("no such name", "ldap:nosuchname", ["joe"], True)
    tables.compare("no such file", "ldap:/nonexistent.cf", ["joe"], True)
    tables.report(checks, "ldap: servers, binds, parameters in main.cf")


def encrypted(checks, tables, server, ca):
    port = f"server_host = ldap://localhost:{server.port}\nsearch_base = dc=test\n{BY_MAIL}start_tls = yes\n"
    for body in ("", f"tls_require_cert = yes\ntls_ca_cert_file = {ca}\n", "tls_require_cert = yes\ntls_ca_cert_file = /etc/hostname\n"):
        tables.compare(body, "ldap:" + tables.write("tls.cf", port + body), ["joe@example.com"], True)
    tables.report(checks, "ldap: STARTTLS, with the certificate checked or not")


def hostile_keys():
    draw = random.Random(5)
    pieces = ["*", "(", ")", "\\", "\\2a", "\\28", "&", "|", "!", "=", "~=", ">=", "(mail=*)", ")(|(mail=*", "#", " ", ",", "+", '"', "<", ">",
              ";", "/", "joe", "x", "%", "\u00e9", "\U0001f600", "\n", "\x01", "@", ":dn:=", "?"]
    return ["".join(draw.choices(pieces, k=draw.randint(1, 10))) for _ in range(300)] + ["(" * 65536, "\\" * 65536, "*" * 65536]


def hostile(checks, tables, access):
    """Whatever a key holds, only an entry with that very value may be found."""
    known = {"joe": b"joe", "*": b"starred"}
    for body, sentence in ((f"search_base = dc=test\nquery_filter = (|(mailacceptinggeneralid=%s)(cn=zz%s))\n", "a filter"),
                           (f"search_base = cn=%s,{PEOPLE}\nscope = base\nquery_filter = (objectclass=*)\n", "a name")):
        session = Session(tables.config, "ldap:" + tables.write("hostile.cf", access + body))
        alive = session.ask("joe")
        wrong = []
        for key in hostile_keys():
            seen = session.ask(key)
            stripped = key.strip().lower()
            # A name may be too long for the server: no answer then, but none that is wrong.
            if seen[0] == "temporary" and len(key) > 60000 and sentence == "a name":
                continue
            if seen != ("absent", b"") and seen != ("found", known.get(stripped, b"")):
                wrong.append((key[:60], seen))
        never = [session.ask(key) for key in (b"joe\0", b"\xff", b"*\0)")]
        again = session.ask("joe")
        session.close()
        checks.ok(not wrong and alive == again == ("found", b"joe") and set(never) == {("absent", b"")},
                  f"ldap: 303 hostile keys find nothing that is not theirs by {sentence}", f"{alive} {again} {wrong[:4]!r:.800} {never}")


def recovers(checks, tables, server, uri):
    path = tables.write("dies.cf", f"server_host = {uri}\nsearch_base = dc=test\n{BY_MAIL}timeout = 2\n")
    session = Session(tables.config, f"ldap:{path}")
    seen = [session.ask("joe@example.com"), session.ask("nobody")]
    server.kill()
    for _ in range(5):
        seen += [session.ask("joe@example.com"), session.ask("nobody")]
    checks.equal([word for word, _ in seen], ["found", "absent"] + ["temporary"] * 10,
                 "ldap: while the server is dead every key is asked for again later")
    server.start()
    deadline = time.monotonic() + 10
    answers = []
    while time.monotonic() < deadline and (not answers or answers[-1][0] == "temporary"):
        answers.append(session.ask("joe@example.com"))
        time.sleep(0.05)
    checks.ok(answers[-1] == ("found", b"joe") and session.ask("nobody")[0] == "absent", "ldap: it is asked again when the server is back",
              repr(answers[-3:]))
    server.stop()
    server.start()
    checks.equal(session.ask("joe@example.com"), ("found", b"joe"), "ldap: a connection that a restart closed is opened anew at once")
    session.close()


def keeps_asking(checks, tables, server, uri):
    path = tables.write("shaken.cf", f"server_host = {uri}\nsearch_base = dc=test\n{BY_MAIL}timeout = 1\n")
    session = Session(tables.config, f"ldap:{path}")
    stays_right(checks, "ldap", session, server, ("joe@example.com", b"joe"), "nobody")
    session.close()


def make_certificate(directory):
    """A certificate for localhost that is its own authority."""
    import subprocess
    key, certificate = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True, timeout=60)
    os.chmod(key, 0o644)
    return key, certificate


def main(checks):
    if not os.path.exists(os.path.join(build_root(), "modules", "table_ldap.so")):
        raise harness.Skip("the ldap module is not built")
    tables = Tables()
    server = None
    try:
        key, certificate = make_certificate(tables.directory)
        server = OpenLdap(tables.directory, ldif=LDIF + ENTRIES,
                          tls=f"TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n").start()
        uri = f"ldapi://{server.socket.replace('/', '%2F')}"
        access = f"server_host = {uri}\n"
        plain(checks, tables, access)
        groups(checks, tables, access)
        servers(checks, tables, server, uri)
        encrypted(checks, tables, server, certificate)
        hostile(checks, tables, access)
        recovers(checks, tables, server, uri)
        keeps_asking(checks, tables, server, uri)
    finally:
        if server:
            server.stop()
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(tables.directory, ignore_errors=True)


harness.run(main)
