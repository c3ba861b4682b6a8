"""sqlite:, mysql: and pgsql: beside the reference's, on the same servers with the same .cf files; keys that try to get out of
their quotes; a server that dies and comes back while a program goes on asking."""
import os
import random
import shutil
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import build_root
from databases import MariaDb, PostgreSql
from tables import Session, Tables, stays_right

ROWS = [("a", "1", None), ("joe@example.com", "joe", ""), ("joe@example.com", "j2@d.org", "x"), ("multi", "a", "b"),
        ("multi", "c", "d"), ("multi", "e@f.g", "@h"), ("null", None, None), ("empty", "", ""), ("up", "down", None),
        ("o'b", "quote", None), ("d.com", "dd", None), ("@d", "atd", None), ('a"b', "dq", None), ("comma", "a,b", None),
        ("100%", "percent", None), ("back\\slash", "bs", None), ("\u00e9t\u00e9@example.com", "\u00fcnic\u00f6de", None),
        ("x@y@example.com", "twoat", None), ("%s", "format", None), ("it''s", "two quotes", None)]
KEYS = ["a", "A", "b", "joe@example.com", "Joe@Example.COM", "joe", "joe@", "@example.com", "@d", "example.com", "multi",
        "null", "empty", "up", "o'b", "d.com", 'a"b', "comma", "100%", "back\\slash", "x@y@example.com", "%s", "it''s",
        "it's", "_", "%", "a%", "j@a..com", "j@.com", "j@com.", "j@[1.2.3.4]", "j@b.example.com", "j@com", "' or 1=1 -- ",
        '" or 1=1 -- ', "\\' or 1=1 -- ", "joe@example.com'--", "a b", "  a", ";", "a\tb"]
# The Latin-1 connection of this reference's pgsql: garbles these; later ones speak UTF-8 as ours does.
WIDE = ["\u00e9t\u00e9@example.com", "\u0436@example.com", b"\xff", b"a\xc3@example.com"]
SELECT = "SELECT {columns} FROM t WHERE k = '%s' ORDER BY n"
QUERIES = [SELECT, "SELECT v FROM t WHERE k = '%u@%d' ORDER BY n", "SELECT '%u'", "SELECT '%d'", "SELECT '%s'", "SELECT '%S %U %D'",
           "SELECT '%1'", "SELECT '%2-%1-%u'", "SELECT '%3'", "SELECT '100%%-%s'", "SELECT 7", "SELECT v FROM t WHERE 1=0",
           "SELECT v FROM t WHERE k LIKE 'joe%%' AND '%s' <> '' ORDER BY n"]
FORMATS = ["%s", "<%s>", "%u", "%d", "%S:%s", "%U/%D/%s", "%1-%s", "%%%s", "x", "%u@%d", "smtp:[%s]"]
DOMAINS = ["example.com", ".com", "example.com, other.org", "inline:{example.com=x}", "!example.com, inline:{com=1,example.com=2}", "com",
           "/etc/hosts"]
WRONG = ["query = SELECT '%x'\n", "query = SELECT '%", "query = SELECT '%0'\n", "result_format = %q\nquery = SELECT 1\n",
         "query =\n", "result_format =\nquery = SELECT 1\n", "expansion_limit = x\nquery = SELECT 1\n", "junk\n",
         "query = SELEC 1\n", "query = SELECT v FROM nosuch\n", "domain = hash:/nonexistent\nquery = SELECT 1\n"]


class Sqlite:
    kind = "sqlite"

    def __init__(self, tables):
        self.path = os.path.join(tables.directory, "db.sqlite")
        self.access = f"dbpath = {self.path}\n"
        link = sqlite3.connect(self.path)
        link.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, k, v, w)")
        link.executemany("INSERT INTO t (k, v, w) VALUES (?, ?, ?)", ROWS)
        link.commit()
        link.close()

    def rows(self):
        link = sqlite3.connect(self.path)
        count = link.execute("SELECT COUNT(*) FROM t").fetchone()[0]
        link.close()
        return count


def literal(text):
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


class Server:
    def fill(self, create):
        self.database.execute(create + "".join(
            f"INSERT INTO t (k, v, w) VALUES ({literal(k)}, {literal(v)}, {literal(w)});\n" for k, v, w in ROWS))

    def rows(self):
        return int("".join(c for c in self.database.execute("SELECT COUNT(*) AS c FROM t;").split("(")[0] if c.isdigit()))


class MySql(Server):
    kind = "mysql"

    def __init__(self, tables):
        self.database = MariaDb(tables.directory).start().prepare()
        self.hosts = [f"unix:{self.database.socket}", f"inet:127.0.0.1:{self.database.port}"]
        self.account = "user = mail\npassword = s3cret\ndbname = mail\n"
        self.access = f"hosts = {self.hosts[0]}\n{self.account}"
        self.fill("SET sql_mode='NO_BACKSLASH_ESCAPES'; CREATE TABLE t (n INT AUTO_INCREMENT PRIMARY KEY, "
                  "k VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, v TEXT, w TEXT);\n")


class PgSql(Server):
    kind = "pgsql"

    def __init__(self, tables):
        self.database = PostgreSql(tables.directory).start().prepare()
        port = self.database.port
        # Over TCP this reference waits 40 ms a query. Beside unix: it knows no port, so that its sockets need a URI.
        self.hosts = [f"postgresql:///mail?host={self.database.directory}&port={port}&user=mail&password=s3cret",
                      f"127.0.0.1:{port}"]
        self.account = "user = mail\npassword = s3cret\ndbname = mail\n"
        self.access = f"hosts = {self.hosts[0]}\n{self.account}"
        self.fill("CREATE TABLE t (n SERIAL, k TEXT, v TEXT, w TEXT); GRANT ALL ON t TO mail;\n")


def same_answers(checks, tables, side):
    write = lambda text: f"{side.kind}:" + tables.write(f"{side.kind}.cf", side.access + text)
    wide = [] if side.kind == "pgsql" else WIDE
    for query in QUERIES:
        for columns in ("v", "v, w") if query is SELECT else ("v",):
            text = query.format(columns=columns)
            tables.compare(text, write(f"query = {text}\n"), KEYS + wide)
    select = SELECT.format(columns="v")
    for form in FORMATS:
        tables.compare(form, write(f"query = {select}\nresult_format = {form}\n"), KEYS)
    for limit in ("0", "1", "2", "3"):
        tables.compare(f"limit {limit}", write(f"query = {select}\nexpansion_limit = {limit}\n"), ["a", "multi", "b"], True)
    for domain in DOMAINS:
        tables.compare(domain, write(f"query = SELECT '%s'\ndomain = {domain}\n"), KEYS)
    for text in WRONG:
        tables.compare(text, write(text), ["a"], True)
    tables.compare("listing", write("query = SELECT 1\n"), [""], True)
    older = "select_field = v\ntable = t\nwhere_field = k\n"
    tables.compare("older", write(older), KEYS)
    tables.compare("older", write(older + "additional_conditions = AND v <> '1' ORDER BY n\n"), KEYS)
    for missing in older.splitlines():
        tables.compare(missing, write(older.replace(missing + "\n", "")), ["a"], True)
    tables.report(checks, f"{side.kind}: .cf files")
    # The same under a name in main.cf.
    for name, text in (("new", f"query = {select}\nresult_format = <%s>\n"), ("old", older)):
        lines = (side.access + text).splitlines()
        tables.add_parameters("".join(f"{side.kind}{name}_{line}\n" for line in lines))
        tables.compare("main.cf", f"{side.kind}:{side.kind}{name}", KEYS)
    tables.compare("no such name", f"{side.kind}:nosuchname", ["a"], True)
    tables.compare("no such file", f"{side.kind}:/nonexistent.cf", ["a"], True)
    tables.report(checks, f"{side.kind}: parameters in main.cf")


def wide_answers(checks, tables, side):
    session = Session(tables.config, f"{side.kind}:" + tables.write("wide.cf", side.access + "query = SELECT v FROM t WHERE k = '%s'\n"))
    checks.equal([session.ask(key)[0] for key in WIDE] + [session.ask(WIDE[0])[1]],
                 ["found", "absent", "absent", "absent", "\u00fcnic\u00f6de".encode()],
                 f"{side.kind}: keys and values of UTF-8, and keys that are none")
    session.close()


def hostile_keys():
    draw = random.Random(4)
    pieces = ["'", '"', "\\", "\\'", "''", "%", "_", "%s", "$$", "$1", "--", "/*", "*/", ";", "#", "`", "\n", "\r", "\t", "\x01",
              "\x1a", " or 1=1", "x", "\u00e9", "\u0436", "\U0001f600", "\u02bc", "\uff07", "E'", "&", "(", ")", "*", "=", "@"]
    keys = ["".join(draw.choices(pieces, k=draw.randint(1, 12))) for _ in range(400)]
    return [key.encode() for key in keys + ["'" * 65536, "\\" * 65536, "x" * 65536, "'; DROP TABLE t; -- "]]


NEVER = [b"a\0b", b"\0", b"\xbf\x27", b"\xbf\x5c\x27", b"\xff", b"a\xc3", b"\xed\xa0\x80", b"a' OR \0 '1'='1"]


def echo(checks, tables, side, template, extra="", keys=hostile_keys()):
    """A template that gives the key back: whatever got out of its quotes would not come back."""
    before = side.rows()
    session = Session(tables.config, f"{side.kind}:" + tables.write("echo.cf", f"{side.access}{extra}query = {template}\n"))
    wrong = [(key, seen) for key in keys for seen in [session.ask(key)] if seen != ("found", key)]
    never = [(key, seen) for key in NEVER for seen in [session.ask(key)] if seen != ("absent", b"")]
    session.close()
    checks.ok(not wrong and not never and side.rows() == before,
              f"{side.kind}: {len(keys)} hostile keys come back from {template} as they went in; {len(NEVER)} are never sent",
              f"{session.opened} {wrong[:3]!r:.600} {never!r:.600}\n{session.errors[-600:]}")


def bare(checks, tables, side):
    """Outside quotes nothing can be quoted: only plain words pass."""
    session = Session(tables.config, f"{side.kind}:" + tables.write("bare.cf", f"{side.access}query = SELECT v FROM t WHERE n = %s\n"))
    seen = [session.ask(key) for key in ("1", "2", "1 or 1=1", "1;", "0 union select 1", "(1)")]
    session.close()
    checks.equal(seen, [("found", b"1"), ("found", b"joe")] + [("absent", b"")] * 4,
                 f"{side.kind}: outside quotes only letters, digits, '_' and '.' are inserted")


def recovers(checks, tables, side):
    path = tables.write("dies.cf", f"{side.access}query = SELECT v FROM t WHERE k = '%s'\ntimeout = 2\n")
    session = Session(tables.config, f"{side.kind}:{path}")
    seen = [session.ask("a"), session.ask("nosuch")]
    side.database.kill()
    for _ in range(5):
        seen += [session.ask("a"), session.ask("nosuch")]
    checks.equal([word for word, _ in seen], ["found", "absent"] + ["temporary"] * 10,
                 f"{side.kind}: while the server is dead every key is asked for again later")
    side.database.start()
    deadline = time.monotonic() + 10
    answers = []
    while time.monotonic() < deadline and (not answers or answers[-1][0] == "temporary"):
        answers.append(session.ask("a"))
        time.sleep(0.05)
    checks.ok(answers[-1] == ("found", b"1") and {word for word, _ in answers} <= {"temporary", "found"} and
              session.ask("nosuch")[0] == "absent", f"{side.kind}: it is asked again when the server is back",
              repr(answers[-3:]))
    # A restart between two questions costs nothing at all.
    side.database.stop()
    side.database.start()
    checks.equal(session.ask("a"), ("found", b"1"), f"{side.kind}: a connection that a restart closed is opened anew at once")
    session.close()


def keeps_asking(checks, tables, side):
    path = tables.write("shaken.cf", f"{side.access}query = SELECT v FROM t WHERE k = '%s'\ntimeout = 1\n")
    session = Session(tables.config, f"{side.kind}:{path}")
    stays_right(checks, side.kind, session, side.database, ("a", b"1"), "nosuch")
    session.close()


def fails_over(checks, tables, side):
    dead = "unix:/nonexistent/socket inet:127.0.0.1:1"
    path = tables.write("two.cf", f"hosts = {dead} {' '.join(side.hosts)}\n{side.account}query = SELECT v FROM t WHERE k = '%s'\n")
    tables.compare("fail-over", f"{side.kind}:{path}", ["a", "b", "up"])
    path = tables.write("none.cf", f"hosts = {dead}\n{side.account}query = SELECT v FROM t WHERE k = '%s'\n")
    tables.compare("nobody there", f"{side.kind}:{path}", ["a"], True)
    path = tables.write("wrong.cf", f"hosts = {side.hosts[-1]}\n{side.account.replace('s3cret', 'x')}query = SELECT 1\n")
    tables.compare("wrong password", f"{side.kind}:{path}", ["a"], True)
    tables.report(checks, f"{side.kind}: hosts that do not answer")


def only_mysql(checks, tables, side):
    side.database.execute(
        "DELIMITER //\nCREATE PROCEDURE find(IN x VARCHAR(200)) BEGIN SELECT v FROM t WHERE k = x COLLATE utf8mb4_bin ORDER BY n; END//\n"
        "CREATE PROCEDURE two() BEGIN SELECT 1; SELECT 2; END//\nCREATE PROCEDURE none() BEGIN SET @x = 1; END//\n")
    for text in ("CALL find('%s')", "CALL two()", "CALL none()", "CALL none()\nrequire_result_set = no", "CALL nosuch()"):
        tables.compare(text, "mysql:" + tables.write("call.cf", f"{side.access}query = {text}\n"), ["a", "multi", "b"], True)
    tables.report(checks, "mysql: stored procedures")
    for mode in ("ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"):
        side.database.execute(f"SET GLOBAL sql_mode = '{mode}'")
        echo(checks, tables, side, "SELECT '%s'")
        if "ANSI" not in mode:
            echo(checks, tables, side, 'SELECT "%s"')
    side.database.execute("SET GLOBAL sql_mode = DEFAULT")
    echo(checks, tables, side, 'SELECT "%s"')


def only_pgsql(checks, tables, side):
    side.database.execute("CREATE FUNCTION find(x TEXT) RETURNS SETOF TEXT AS $$ SELECT v FROM t WHERE k = x ORDER BY n $$ LANGUAGE SQL;")
    tables.compare("function", "pgsql:" + tables.write("function.cf", f"{side.access}select_function = find\n"), KEYS)
    tcp = tables.write("tcp.cf", f"hosts = {side.hosts[1]}\n{side.account}query = {SELECT.format(columns='v')}\n")
    tables.compare("TCP", f"pgsql:{tcp}", KEYS[:12])
    tables.report(checks, "pgsql: functions, and a server by TCP")
    echo(checks, tables, side, "SELECT E'%s'")
    side.database.execute("ALTER ROLE mail SET standard_conforming_strings = off; ALTER ROLE mail SET escape_string_warning = off;")
    echo(checks, tables, side, "SELECT '%s'")
    side.database.execute("ALTER ROLE mail RESET ALL;")


def sqlite_file(checks, tables, side):
    session = Session(tables.config, "sqlite:" + tables.write("file.cf", f"{side.access}query = SELECT v FROM t WHERE k = '%s'\n"))
    first = session.ask("a")
    link = sqlite3.connect(side.path, isolation_level=None)
    link.execute("BEGIN EXCLUSIVE")
    locked = session.ask("a")
    link.execute("COMMIT")
    link.close()
    shutil.copy(side.path, side.path + ".new")
    link = sqlite3.connect(side.path + ".new")
    link.execute("UPDATE t SET v = 'new' WHERE k = 'a'")
    link.commit()
    link.close()
    os.rename(side.path + ".new", side.path)
    time.sleep(1.1)
    checks.equal((first, locked[0], session.ask("a")), (("found", b"1"), "temporary", ("found", b"new")),
                 "sqlite: a locked file is asked again later, a file that was replaced is opened anew")
    session.close()


def main(checks):
    for kind in ("sqlite", "mysql", "pgsql"):
        if not os.path.exists(os.path.join(build_root(), "modules", f"table_{kind}.so")):
            raise harness.Skip(f"the {kind} module is not built")
    tables = Tables()
    started = []
    try:
        for make in (Sqlite, MySql, PgSql):
            if sys.argv[1:] and make.kind not in sys.argv[1:]:
                continue
            side = make(tables)
            started.append(side)
            same_answers(checks, tables, side)
            wide_answers(checks, tables, side)
            echo(checks, tables, side, "SELECT '%s'")
            bare(checks, tables, side)
            if side.kind == "sqlite":
                echo(checks, tables, side, "SELECT '%s', \"%s\"")
                sqlite_file(checks, tables, side)
                continue
            {"mysql": only_mysql, "pgsql": only_pgsql}[side.kind](checks, tables, side)
            fails_over(checks, tables, side)
            recovers(checks, tables, side)
            keeps_asking(checks, tables, side)
    finally:
        for side in started:
            if side.kind != "sqlite":
                side.database.stop()
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(tables.directory, ignore_errors=True)


harness.run(main)
