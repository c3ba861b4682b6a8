"""The proxymap services: the same requests, byte by byte, to the reference's and to ours; the reference's postmap against our
daemon; a database behind our service that dies and comes back; which tables may be asked."""
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command, wait_until
from mtad import Mtad
from reference import Reference, library_path, tool
from senders import Session

READ = "inline:{a=b,joe=jane} static:all fail:x regexp:$config_directory/re hash:$config_directory/known btree:$data_directory/bt " \
       "lmdb:$data_directory/lm hash:$config_directory/none unix:passwd.byname"
WRITTEN = ("btree:$data_directory/bt", "lmdb:$data_directory/lm")
KEYS = ["a", "zz", "", "A", "joe", "xY", "x", "root", b"\xff", "a b", "k" * 3000]
PARAMETERS = {"proxy_read_maps": " ".join("proxy:" + name for name in READ.split()),
              "proxy_write_maps": "proxy:btree:$data_directory/bt proxy:lmdb:$data_directory/lm"}


def request(**fields):
    return b"".join(name.encode() + b"\0" + (value if isinstance(value, bytes) else str(value).encode()) + b"\0"
                    for name, value in fields.items()) + b"\0"


def talk(server, service, requests):
    """The greeting and an answer for each request, as they came."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(os.path.join(server.spool, "private", service))
        answers = [link.recv(1000)]
        for one in requests:
            link.sendall(one)
            got = link.recv(65536)
            answers.append(got)
            if not got:
                break
        return answers


def pattern_bits(answer):
    """Of an open table's flags only these two mean something to clients; the rest is the reference's inner business."""
    parts = answer.split(b"\0")
    if b"flags" in parts:
        at = parts.index(b"flags") + 1
        parts[at] = str(int(parts[at]) & (16 | 32)).encode()
    return b"\0".join(parts)


def requests_for(server):
    for name in [*READ.replace("$config_directory", server.config).replace("$data_directory", server.data).split(), "static:other",
                 "nosuch:x", "proxy:static:all", "", "proxy:", f"hash:{server.config}/../etc/known"]:
        missing = "none" in name or name.startswith(("btree:", "lmdb:"))
        # static: and fail: know every key: whether parts of an address are asked for is told in another way than the reference's.
        if not missing and "static:all" not in name and "fail" not in name:
            yield "proxymap", [request(request="open", table=name, flags=0)]
        yield "proxymap", [request(request="lookup", table=name, flags=524353, key=key) for key in KEYS]
        yield "proxymap", [request(request="lookup", table=name, flags=524353)]
    for written in WRITTEN:
        yield from changes_of(written.replace("$data_directory", server.data))
    yield "proxymap", [request(request="nonsense", table="x", flags=0)]
    yield "proxywrite", [request(request="lookup", table="static:all", flags=64, key="a")]
    yield "proxywrite", [request(request="update", table="static:all", flags=64, key="a", value="v")]
    yield "proxywrite", [request(request="delete", table="inline:{a=b}", flags=64, key="a")]


def changes_of(written):
    for what in ("update", "delete"):
        yield "proxymap", [request(request=what, table=written, flags=64, key="a", **({"value": "v"} if what == "update" else {}))]
    walk = [request(request="sequence", table=written, flags=64, function=n) for n in (0, 1, 1)]
    update = lambda key, value: request(request="update", table=written, flags=64, key=key, value=value)
    look = lambda key: request(request="lookup", table=written, flags=64, key=key)
    delete = lambda key: request(request="delete", table=written, flags=64, key=key)
    yield "proxywrite", [look("a"), update("a", "v"), look("a"), update("a", "new"), look("a"), update("b", "w w"), look("b"), *walk,
                         delete("a"), delete("a"), look("a"), look("b"), *walk[:2], *([update("", "v")] if "btree" in written else []),
                         delete("nosuch")]
    # Another client sees what was written.
    yield "proxywrite", [look("b")]


def same_bytes(checks, sides):
    equal = total = 0
    different = []
    pairs = list(zip(*(list(requests_for(server)) for server in sides)))
    for pair in pairs:
        answers = [[pattern_bits(one) for one in talk(server, service, requests)]
                   for server, (service, requests) in zip(sides, pair)]
        for asked, theirs, ours in zip([b"", *pair[0][1]], *answers):
            total += 1
            equal += theirs == ours
            if theirs != ours:
                different.append(f"{pair[0][0]} {asked[:200]!r}: reference {theirs[:200]!r} ours {ours[:200]!r}")
    checks.ok(equal == total, f"answers of proxymap and proxywrite: {equal}/{total} equal", "\n".join(different[:20]))
    # The other service notices it in a second; until then it may say "try again", as Postfix's does at times.
    for written in WRITTEN:
        look = request(request="lookup", table=written.replace("$data_directory", sides[1].data), flags=64, key="b")
        checks.ok(wait_until(lambda: b"w w" in talk(sides[1], "proxymap", [look])[-1], 20, 0.3),
                  f"what proxywrite wrote to {written} is what proxymap reads")
    wanted = {line.split("warning: ", 1)[1].replace(sides[0].directory, "") for line in sides[0].log().splitlines()
              if "unapproved" in line or "to approve" in line or "refusing" in line or "unrecognized" in line}
    seen = {line.split("warning: ", 1)[1].replace(sides[1].directory, "") for line in sides[1].log().splitlines() if "warning: " in line}
    checks.ok(len(wanted) >= 8 and wanted <= seen, f"{len(wanted)} kinds of refusals are logged in the same words", repr(sorted(wanted - seen)))


def postmap_through_us(checks, server):
    """The program of the reference, with our daemon behind the socket; and ours."""
    equal = total = 0
    for name in ("inline:{a=b,joe=jane}", f"hash:{server.config}/known", f"regexp:{server.config}/re", "unix:passwd.byname", "fail:x",
                 f"hash:{server.config}/none", "static:other"):
        for words, data in ((["-q", "-"], b"a\nA\nroot\nxY\n\n"), (["-q", "joe"], b""), (["-fq", "A"], b"")):
            direct = []
            for program, table in ((tool("postmap"), "proxy:" + name), (command("postmap"), "proxy:" + name)):
                done = subprocess.run([program, *words, table], input=data, capture_output=True, timeout=60,
                                      env={**server.environment(), "LD_LIBRARY_PATH": library_path(), "MTAD_NO_FATAL_DELAY": "1"})
                direct.append((done.returncode, done.stdout))
            total += 1
            equal += direct[0] == direct[1]
            if direct[0] != direct[1]:
                checks.note(f"{words} {name}: {direct}")
    checks.ok(equal == total, f"postmap of both sides through our service: {equal}/{total} equal")
    done = subprocess.run([tool("postmap"), "-q", "joe", f"proxy:hash:{server.config}/known"], capture_output=True,
                          env={**server.environment(), "LD_LIBRARY_PATH": library_path()})
    checks.equal(done.stdout, b"known\n", "the reference's postmap gets a value out of our service")
    gone = subprocess.run([tool("postmap"), "-d", "b", f"proxy:btree:{server.data}/bt"], capture_output=True,
                          env={**server.environment(), "LD_LIBRARY_PATH": library_path()})
    checks.equal((gone.returncode, talk(server, "proxywrite", [request(request="lookup", table=f"btree:{server.data}/bt", flags=64,
                                                                        key="b")])[1]), (0, b"status\x001\0value\0\0\0"),
                 "and deletes a key through proxywrite")


def refused_names(checks, server):
    """What is long, half or strange gets no answer out of it, and costs nobody else anything."""
    path = os.path.join(server.spool, "private", "proxymap")
    for what, data in (("endless", b"request\0lookup\0table\0" + b"x" * 400_000), ("no list", b"\0" * 10), ("half", b"request\0open")):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(path)
            link.recv(100)
            try:
                link.sendall(data)
                link.shutdown(socket.SHUT_WR)
                while link.recv(65536):
                    pass
                ended = True
            except (BrokenPipeError, ConnectionResetError):
                ended = True
            except socket.timeout:
                ended = False
        good = talk(server, "proxymap", [request(request="lookup", table="static:all", flags=0, key="a")])[1]
        checks.ok(ended and good == b"status\x000\0value\0all\0\0", f"a client whose request is {what} is cut off, others are served")


def inside(checks, server):
    """Recipients and aliases of the daemon itself, by proxy:."""
    def reply(address):
        with Session(server.port) as link:
            link.command("MAIL FROM:<from@example.test>")
            code, text = link.command(f"RCPT TO:<{address}>")
            return code, text
    checks.equal([reply(name)[0] for name in ("joe@known.test", "nosuch@known.test", "joe@denied.test")], [250, 550, 250],
                 "smtpd looks recipients up through the service")
    pids = [pid for pid in server.workers() if "--worker=tables" in open(f"/proc/{pid}/cmdline").read()]
    checks.equal(len(pids), 1, "one worker holds the tables")
    with Session(server.port) as link:
        link.command("MAIL FROM:<from@example.test>")
        replies = [link.command("RCPT TO:<joe@known.test>")[0]]
        os.kill(pids[0], 9)
        while len(replies) < 20 and (len(replies) < 3 or replies[-1] != 250):
            replies.append(link.command("RCPT TO:<joe@known.test>")[0])
        after = [link.command(f"RCPT TO:<{name}@known.test>")[0] for name in ("joe", "nosuch")]
    checks.ok(set(replies) <= {250, 451}, "when it dies: the answer, or try again later", repr(replies))
    checks.ok(wait_until(lambda: reply("joe@known.test")[0] == 250 and reply("nosuch@known.test")[0] == 550, 10),
              "and its successor is asked", repr(after))
    # A table that the service is not to open, until a reload says so.
    server.parameters["relay_recipient_maps"] += ", proxy:inline:{joe@secret.test=x}"
    server.write_configuration()
    server.reload()
    checks.ok(wait_until(lambda: reply("joe@secret.test")[0] == 451, 10), "a table that proxy_read_maps does not name: try again later")
    checks.equal(reply("joe@known.test")[0], 250, "the others go on")
    checks.ok('proxymap service is not configured for table "inline:{joe@secret.test=x}"' in server.log(), "and the log says why")
    server.parameters["proxy_read_maps"] += " proxy:inline:{joe@secret.test=x}"
    server.write_configuration()
    server.reload()
    checks.ok(wait_until(lambda: reply("joe@secret.test")[0] == 250, 10), "once it is named there, a reload is enough", server.log()[-1500:])
    checks.ok(wait_until(lambda: all(not os.path.exists(f"/proc/{pid}") or "--worker=tables" not in open(f"/proc/{pid}/cmdline").read()
                                     for pid in pids), 10), "after a reload the old worker goes, though clients stay connected")
    checks.ok(wait_until(lambda: reply("joe@known.test")[0] == 250, 10), "and the new one answers")


def write_tables(server):
    server.write_configuration()
    with open(os.path.join(server.config, "re"), "w") as file:
        file.write("/^x(.)/ got-$1\n")
    with open(os.path.join(server.config, "known"), "w") as file:
        file.write("a 1\njoe known\njoe@known.test known\n")
    subprocess.run([command("postmap"), f"hash:{server.config}/known"], env={"MAIL_CONFIG": server.config, "PATH": "/usr/bin:/bin"}, check=True)


def main(checks):
    if os.geteuid() != 0:
        raise harness.Skip("the reference's daemon needs root")
    ours = Mtad(parameters={**PARAMETERS, "relay_domains": "known.test, denied.test, secret.test",
                            "relay_recipient_maps": "proxy:hash:$config_directory/known, proxy:inline:{{joe@denied.test=x}}"
                            .replace("{{", "{").replace("}}", "}"),
                            "proxy_read_maps": PARAMETERS["proxy_read_maps"] + " proxy:inline:{joe@denied.test=x}"})
    theirs = Reference(parameters=PARAMETERS)
    for server in (theirs, ours):
        write_tables(server)
    try:
        theirs.start(configure=False)
        ours.start(configure=False)
        same_bytes(checks, (theirs, ours))
        postmap_through_us(checks, ours)
        refused_names(checks, ours)
        inside(checks, ours)
    finally:
        theirs.stop()
        ours.stop()
    theirs.remove()
    ours.remove()


harness.run(main)
