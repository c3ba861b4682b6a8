"""tcp:, socketmap: and memcache: beside the reference's, against servers that answer well, badly, late and not at all; memcache:
on a real memcached; redis: on a real Redis; proxy: through the reference's own proxymap."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command
from databases import Memcached, Redis
from reference import Reference, tool
from tables import Session, Tables, stays_right
from toys import ToyServer

KEYS = ["a", "A", "b", "Joe@Example.COM", "@example.com", "a b", "100%", "%41", "\u00e9@example.com", "tab\tbed", b"\xff", "x" * 3000,
        "quote'\"\\"]


class Toy(ToyServer):
    """answer(bytes) gives what goes back, None hangs up, and so does a NUL at the end of it."""

    count = 0

    def __init__(self, directory, answer):
        self.answer = answer
        self.seen = []
        Toy.count += 1
        super().__init__(os.path.join(directory, f"toy{Toy.count}"))

    def talk(self, link):
        while data := link.recv(262144):
            while not data.endswith((b",", b"\n")) and (more := link.recv(262144)):
                data += more
            self.seen.append(data)
            reply = self.answer(data)
            if reply is None:
                return
            link.sendall(reply.rstrip(b"\0"))
            if reply.endswith(b"\0"):
                return


TABLE = {b"a": b"1", b"b": b"two words", b"100%": b"per%cent", b"%41": b"lit", "\u00e9@example.com".encode(): "\u00fcber".encode(),
         b"Joe@Example.COM": b"case kept", b"a b": b"blank"}


def percent(data):
    return b"".join(b"%%%02X" % c if c <= 32 or c >= 127 or c == 37 else bytes([c]) for c in data)


def unpercent(data):
    parts = data.split(b"%")
    return parts[0] + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in parts[1:])


def tcp_server(data):
    value = TABLE.get(unpercent(data[4:-1]))
    return b"500 no such key\n" if value is None else b"200 " + percent(value) + b"\n"


def netstring(data):
    return b"%d:%s," % (len(data), data)


def socketmap_server(data):
    name, _, key = data[data.index(b":") + 1:-1].partition(b" ")
    value = TABLE.get(key)
    return netstring(b"NOTFOUND " if value is None or name != b"map" else b"OK " + value)


# What a server may do wrong.
TCP_FAULTS = [b"400 later\n", b"200 a%\n", b"200 %4\n", b"200\n", b"junk\n", b"\n", b"600 x\n", b"200 " + b"x" * 5000 + b"\n", None, b"200 half\0",
              b"2000 x\n"]
SOCKETMAP_FAULTS = [netstring(b"TEMP later"), netstring(b"TIMEOUT x"), netstring(b"PERM never"), netstring(b"MAYBE x"), b"junk\0", b"4:OK a;",
                    b"x:OK a,", b"999999999:OK a,", b"100001:" + b"x" * 100001 + b",", None, netstring(b""), b"-1:x,", b"3:OK\0", b"\0"]


def asks_well(checks, tables, directory):
    for kind, server, names in (("tcp", tcp_server, lambda toy: [f"127.0.0.1:{toy.port}", f"localhost:{toy.port}"]),
                                ("socketmap", socketmap_server,
                                 lambda toy: [f"inet:127.0.0.1:{toy.port}:map", f"unix:{toy.path}:map", f"unix:{toy.path}:other"])):
        toy = Toy(directory, server)
        for name in names(toy):
            tables.compare(name, f"{kind}:{name}", KEYS)
        tables.report(checks, f"{kind}: keys and values")
        sent = []
        for side in (0, 1):
            toy.seen.clear()
            for key in KEYS:
                tables.postmap(side, ["-q", key if isinstance(key, bytes) else key.encode(), f"{kind}:{names(toy)[0]}"])
            sent.append(b"".join(toy.seen))
        checks.equal(sent[1], sent[0], f"{kind}: the server sees the same bytes from both sides")
        toy.close()
    for name in ("nohost", "inet:127.0.0.1:1", "unix:/x", "inet:127.0.0.1::x", ":"):
        tables.compare(name, f"socketmap:{name}", ["a"], True)
    tables.report(checks, "socketmap: names that are none")


def asked_badly(checks, directory, config):
    """Whatever a server does wrong is an answer that could not be given."""
    for kind, faults, good in (("tcp", TCP_FAULTS, tcp_server), ("socketmap", SOCKETMAP_FAULTS, socketmap_server)):
        wrong = []
        for fault in faults:
            toy = Toy(directory, lambda data, f=fault: f)
            table = f"tcp:127.0.0.1:{toy.port}" if kind == "tcp" else f"socketmap:unix:{toy.path}:map"
            session = Session(config, table)
            seen = session.ask("a")
            toy.answer = good
            deadline = time.monotonic() + 10
            back = session.ask("a")
            while back[0] != "found" and time.monotonic() < deadline:
                time.sleep(0.05)
                back = session.ask("a")
            session.close()
            toy.close()
            if seen[0] not in ("temporary", "permanent") or back != ("found", b"1"):
                wrong.append((fault if fault is None else fault[:40], seen, back))
        checks.ok(not wrong, f"{kind}: {len(faults)} ways of a bad answer are \"try again later\", and the next good one counts", repr(wrong))


def memcache(checks, tables, directory, config):
    server = Memcached(directory, "memcached").start()
    try:
        for key, value in ((b"a", b"1"), (b"b", b"two words"), (b"p:a", b"prefixed"), (b"joe/example.com", b"parts"), (b"100%", b"x"),
                           ("\u00e9@example.com".encode(), "\u00fc".encode())):
            server.ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
        access = f"memcache = inet:127.0.0.1:{server.port}\n"
        for body in ("", "key_format = p:%s\n", "key_format = %u/%d\n", "key_format = %%%s\n", "domain = example.com\n", "key_format = x y\n",
                     "key_format = %x\n", "ttl = x\n", "max_try = 0\n", "data_size_limit = 4\n"):
            tables.compare(body, "memcache:" + tables.write("m.cf", access + body), [key for key in KEYS if len(key) < 200],
                           "= x" in body or "= %x" in body or "= 0" in body or "= 4" in body)
        tables.compare("backup", "memcache:" + tables.write("m.cf", access + "key_format = back:%s\nbackup = inline:{a=kept,z=y}\n"), ["a", "b", "z"])
        tables.report(checks, "memcache: keys, formats and a backup table")
        checks.ok(b"kept" in server.ask(b"get back:a\r\n"), "memcache: what the backup table knew is stored")
        for name, text in (("refused", "memcache = inet:127.0.0.1:1\n"), ("no address", "memcache = foo\n"),
                           ("backup alone", "memcache = inet:127.0.0.1:1\nbackup = inline:{a=b}\n")):
            tables.compare(name, "memcache:" + tables.write("m.cf", text), ["a"], True)
        tables.report(checks, "memcache: without a server")
        session = Session(config, "memcache:" + tables.write("m.cf", access + "max_try = 1\n"))
        seen = [session.ask("a"), session.ask("nosuch")]
        server.kill()
        seen += [session.ask("a"), session.ask("nosuch")]
        checks.equal([word for word, _ in seen], ["found", "absent", "temporary", "temporary"], "memcache: a dead server is asked again later")
        server.start()
        server.ask(b"set a 0 0 3\r\nnew\r\n")
        time.sleep(1.1)
        checks.equal(session.ask("a"), ("found", b"new"), "memcache: it is asked again when it is back")
        session.close()
        session = Session(config, "memcache:" + tables.write("m.cf", access + "max_try = 1\ntimeout = 1\n"))
        stays_right(checks, "memcache", session, server, ("a", b"new"), "nosuch", lambda: server.ask(b"set a 0 0 3\r\nnew\r\n"))
        session.close()
    finally:
        server.stop()
    bad = [b"VALUE a 0 3\r\nabcd\r\nEND\r\n", b"VALUE other 0 1\r\nx\r\nEND\r\n", b"ERROR\r\n", b"SERVER_ERROR x\r\n", b"junk\r\n", None,
           b"VALUE a 0 30000\r\n", b"VALUE a 0 -1\r\n\r\nEND\r\n", b"VALUE a 0 3\nabc\nEND\n", b"VALUE a 0 1\r\nx\r\nEND\r\nVALUE"]
    words = []
    for fault in bad:
        toy = Toy(directory, lambda data, f=fault: f)
        session = Session(config, "memcache:" + tables.write("m.cf", f"memcache = unix:{toy.path}\nmax_try = 1\ntimeout = 1\n"))
        words.append(session.ask("a")[0])
        session.close()
        toy.close()
    checks.equal(words, ["temporary"] * len(bad), f"memcache: {len(bad)} ways of a bad answer are \"try again later\"")


def redis(checks, tables, directory, config):
    server = Redis(directory, password="s3cret").start()
    try:
        def execute(*words):
            done = server.run("redis-cli", "-s", server.socket, "-a", "s3cret", "--no-auth-warning", *words)
            return done.stdout
        hostile = ["a b", "x\r\nSET a hacked\r\n", "$3\r\nabc\r\n", "*", "'\"\\", "\u00e9", "k" * 65536]
        execute("-n", "2", "set", "a", "1")
        execute("-n", "2", "set", "empty", "")
        execute("-n", "2", "set", "alias:joe@example.com", "joe")
        execute("-n", "2", "hset", "people", "joe@example.com", "hashed")
        execute("-n", "2", "rpush", "list", "x", "y@z", "w")
        execute("-n", "2", "sadd", "set", "one")
        access = f"hosts = unix:{server.socket}\npassword = s3cret\ndbname = 2\n"
        rows = [("", "a", ("found", b"1")), ("", "nosuch", ("absent", b"")), ("", "empty", ("absent", b"")), ("", "list", "temporary"),
                ("key_format = alias:%s\n", "joe@example.com", ("found", b"joe")), ("hash = people\n", "joe@example.com", ("found", b"hashed")),
                ("hash = people\n", "ann@example.com", ("absent", b"")), ("command = lrange\n", "list", ("found", b"x,y@z,w")),
                ("command = lrange\nresult_format = %u\n", "list", ("found", b"x,y,w")), ("command = lrange\nexpansion_limit = 2\n", "list", "temporary"),
                ("command = smembers\n", "set", ("found", b"one")), ("command = smembers\n", "nosuch", ("absent", b"")),
                ("domain = example.org\n", "joe@example.com", ("absent", b"")), ("key_format = %d\n", "a", ("absent", b""))]
        for body, key, expected in rows:
            session = Session(config, "redis:" + tables.write("r.cf", access + body))
            seen = session.ask(key)
            session.close()
            checks.equal(seen[0] if isinstance(expected, str) else seen, expected, f"redis: {body.strip() or 'plain'!r} {key}")
        session = Session(config, "redis:" + tables.write("r.cf", access))
        before = [session.ask(key) for key in hostile + ["a\0b", b"\xff"]]
        for key in hostile:
            execute("-n", "2", "set", key, "own " + key[:20])
        after = [session.ask(key) for key in hostile]
        checks.ok({word for word, _ in before} == {"absent"} and [value for _, value in after] == [("own " + key[:20]).encode() for key in hostile]
                  and session.ask("a") == ("found", b"1"), "redis: hostile keys are keys", f"{before} {after}"[:600])
        server.kill()
        dead = [session.ask("a")[0] for _ in range(3)]
        server.start()
        execute("-n", "2", "set", "a", "again")
        deadline = time.monotonic() + 10
        back = session.ask("a")
        while back[0] == "temporary" and time.monotonic() < deadline:
            time.sleep(0.05)
            back = session.ask("a")
        checks.equal((dead, back), (["temporary"] * 3, ("found", b"again")), "redis: a dead server is asked again later, and answers when it is back")
        session.close()
        session = Session(config, "redis:" + tables.write("r.cf", access + "timeout = 1\n"))
        stays_right(checks, "redis", session, server, ("a", b"again"), "nosuch", lambda: execute("-n", "2", "set", "a", "again"))
        session.close()
        for body in ("password = wrong\n", "", "dbname = 999\n"):
            session = Session(config, "redis:" + tables.write("r.cf", f"hosts = 127.0.0.1:{server.port}\n{body}"))
            checks.equal(session.ask("a")[0], "temporary", f"redis: {body.strip() or 'no password'!r} gives no answer")
            session.close()
    finally:
        server.stop()
    bad = [b"$5\r\nabcdefg\r\n", b"$-2\r\n", b"*1\r\n*1\r\n$1\r\na\r\n", b"junk\r\n", b"\r\n", None, b"$99999999\r\n", b"*999999999\r\n", b"$1\r\na\r\n$1\r\nb\r\n"]
    words = []
    for fault in bad:
        toy = Toy(directory, lambda data, f=fault: f)
        session = Session(config, "redis:" + tables.write("r.cf", f"hosts = unix:{toy.path}\ntimeout = 1\n"))
        words.append(session.ask("a")[0])
        session.close()
        toy.close()
    checks.equal(words, ["temporary"] * len(bad), f"redis: {len(bad)} ways of a bad answer are \"try again later\"")


def proxy(checks):
    if os.geteuid() != 0:
        checks.note("proxy: needs the reference's daemon, and that needs root")
        return
    server = Reference(parameters={"proxy_read_maps": "proxy:inline:{a=b,joe@example.com=joe} proxy:static:all proxy:fail:x proxy:regexp:$config_directory/re "
                                                      "inline:{a=b,joe@example.com=joe} static:all fail:x regexp:$config_directory/re"})
    server.write_configuration()
    with open(os.path.join(server.config, "re"), "w") as file:
        file.write("/^x(.)/ got-$1\n")
    try:
        server.start(configure=False)
        equal = total = 0
        for name in ("inline:{a=b,joe@example.com=joe}", "static:all", "fail:x", f"regexp:{server.config}/re", "static:other", "nosuch:x"):
            for words, data in ((["-q", "-"], b"a\nA\nb\nxY\nJoe@Example.com\n\n"), (["-q", "a"], b""), (["-q", "xY"], b""), (["-fq", "A"], b"")):
                seen = [subprocess.run([program, *words, "proxy:" + name], input=data, capture_output=True, timeout=60,
                                       env={**server.environment(), "MTAD_NO_FATAL_DELAY": "1"}) for program in (tool("postmap"), command("postmap"))]
                total += 1
                same = (seen[0].returncode, seen[0].stdout) == (seen[1].returncode, seen[1].stdout)
                equal += same
                if not same:
                    checks.note(f"{words} {name}: {seen[0]} {seen[1]}")
        checks.ok(equal == total, f"proxy: through the reference's proxymap: {equal}/{total} equal")
        session = Session(server.config, "proxy:inline:{a=b,joe@example.com=joe}")
        first = session.ask("a")
        checks.equal((first, session.ask("zz")), (("found", b"b"), ("absent", b"")), "proxy: a session through it")
        server.stop()
        checks.equal(session.ask("a")[0], "temporary", "proxy: when the service goes, keys are asked for again later")
        session.close()
    finally:
        server.stop()
    session = Session(server.config, "proxy:inline:{a=b}")
    checks.equal(session.ask("a"), ("found", b"b"), "proxy: where no service runs the table is opened by the program itself")
    session.close()
    shutil.rmtree(server.directory, ignore_errors=True)


def main(checks):
    tables = Tables()
    try:
        asks_well(checks, tables, tables.directory)
        asked_badly(checks, tables.directory, tables.config)
        memcache(checks, tables, tables.directory, tables.config)
        redis(checks, tables, tables.directory, tables.config)
        proxy(checks)
    finally:
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(tables.directory, ignore_errors=True)


harness.run(main)
