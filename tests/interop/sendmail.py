"""Local submission beside the reference's: the maildrop records that sendmail and postdrop leave, what they print and
how they exit; then the queue files that pickup and cleanup make of them."""
import glob
import contextlib
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import Skip, build_root, wait_until
from reference import Reference
from server import Server

LONG = b"x" * 5000
MANY = b"To: " + b", ".join(b"u%d@d.test" % number for number in range(2000))
WIDE = b"X-Wide: " + b"\n ".join(b"y" * 97 for _ in range(1100))


def case(*arguments, message=b"Subject: x\n\nhello\n", name=None, environment=None):
    return (name or " ".join(arguments), arguments, message, environment or {})


CASES = [
    case("-f", "alice", "bob"),
    case("bob@far.test", "carl"),
    case("-f", "", "bob"),
    case("-f", "<>", "bob"),
    case("-f", "Foo <a@b> (c)", "bob"),
    case("-f", "alice x", "bob"),
    case("-r", "x@y.test", "-F", 'Full "N', "bob"),
    case("-f", "a", "x y", '"x y"@z', "<foo@bar> (c)", "grp: a,b;", "@r:q@z", "<@r,@s:q@z>", "a@@b"),
    case("-f", "a", "", ",", "x"),
    case("-t", "-f", "a", message=b'To: x, "y z" (c)\nBcc: q@r\nCc: <@a:b@c>\n\nbody\n', name="-t"),
    case("-t", "-f", "a", "b", "c", message=b"To: x\nCc: x, y\n\nbody\n", name="-t with operands"),
    case("-t", message=b"Resent-To: x, g:y,z;\nBcc: q@r\nCc: <@a:b@c>\n\nTo: body\n", name="-t resent"),
    case("-t", "-f", "a", message=b"Foo : x\nTo :  z\nnothdr\n", name="-t odd header"),
    case("-t", "-f", "a", message=b"To: x\n y,\n\tz\nX: " + LONG + b"\n folded\n\n" + LONG + b"\n", name="-t long lines"),
    case("-t", "-f", "a", message=b"Foo: x\n\nbody\n", name="-t without recipients"),
    case("-t", "-f", "a", message=b"To: a, <>, b\nCc: x <>\n\nbody\n", name="-t empty addresses"),
    case("-t", "-f", "a", message=b"To: <>\n\nbody\n", name="-t nothing but an empty address"),
    case("-t", "-f", "a", message=MANY + b"\n\nbody\n", name="-t two thousand recipients"),
    case("-t", "-f", "a", message=MANY.replace(b", ", b",\n ") + b"\nCc: c\n\nbody\n", name="-t two thousand recipients, folded"),
    case("-t", "-f", "a", message=b"To: b\n" + WIDE + b"\n\nbody\n", name="-t a header over the limit"),
    case("-t", "-f", "a", message=b"To: b\n" + WIDE[:102401] + b"\n\nbody\n", name="-t a header at the limit"),
    case("-f", "a", "b", message=b"To: b\n" + WIDE + b"\n\nbody\n", name="a header over the limit, which nobody looks at"),
    case("-t", "-f", "a", message=b"To: b\n\n" + WIDE + b"\n", name="-t a long text that looks like a header"),
    case("-f", "a", message=b"x\n", name="no recipients"),
    case("-i", "b", message=b"To: x\n\na\n.\n..\nb\n", name="-i dots"),
    case("-oi", "b", message=b"To: x\n\na\n.\n", name="-oi dots"),
    case("b", message=b"To: x\n\na\n..\n.\nnever\n", name="dot ends"),
    case("b", message=b"To: x\r\n\r\na\r\nb\rc\r\n", name="CR LF"),
    case("b", message=b"To: x\n\nno end", name="no last line end"),
    case("b", message=b"", name="empty input"),
    case("b", message=b"\n\n", name="two empty lines"),
    case("b", message=b"From x\n>From y\nTo: z\n\nFrom b\n>From c\n", name="From_ lines"),
    case("b", message=b"x\n" + LONG + b"\n" + b"y" * 2048 + b"\n" + b"z" * 2049 + b"\n", name="lines about the limit"),
    case("b", message=b"Subject: b\xe9\n\nhell\xe9\n", name="8 bit"),
    case("-B", "8BITMIME", "b"),
    case("-B", "7BIT", "b"),
    case("-G", "-f", "a", "b"),
    case("-N", "success,failure", "-R", "full", "-V", "env+20x", "b"),
    case("-N", "never", "-R", "hdrs", "b"),
    case("-N", "foo", "-R", "bar", "b"),
    case("-XV", "-f", "a", "b"),
    case("-XV-=", "-f", "a", "b"),
    case("-V+=", "-f", "a", "b"),
    case("-V", "ab", "-f", "b"),
    case("-v", "-f", "a", "b"),
    case("-bv", "-f", "a", "b", "c@d", "e f"),
    case("-om", "-oem", "-o7", "-U", "-c", "-m", "-e", "x", "-L", "y", "-h", "3", "-p", "x", "-A", "c", "-O", "foo=bar", "b"),
    case("--", "-b", message=b"x\n"),
    case("b", environment={"NAME": "Joe (a) \\ U"}, name="NAME quoted"),
    case("b", environment={"NAME": "a.b"}, name="NAME with a dot"),
    case("b", environment={"NAME": ""}, name="NAME empty"),
    # What is refused
    case("-bs", "b"), case("-N", "never,success", "b"),
    case("-n", "b"), case("-XF", "b"), case("-Z", "b"), case("-qS", "b"), case("-bx", "b"), case("-B", "foo", "b"),
    case("-bv", "-t"), case("-bp", "-t"), case("-bv", "-N", "never", "b"), case("-f"), case("-XVab", "b"),
    case("-XV", "-f", "", "b"), case("-bp", "foo"), case("-bi", "foo"), case("-q", "foo"), case("-bd", "foo"),
    case("-qRfoo", "bar"), case("-bh", "b"), case("-q1h"),
]

# What cleanup makes of it: more headers, fewer options.
CLEANED = [
    case("-f", "alice", "bob", message=b"X: y\n\nhello\n", name="missing headers"),
    case("-f", "", "bob", message=b"X: y\n\nhello\n", name="null sender"),
    case("bob", message=b"", name="cleaned empty"),
    case("bob", message=b"no header\n\nbody\n", name="no header"),
    case("bob", message=b"To: a, b@bbbbbbbbbbbbbbbbbbbbbbbb.test, c@ccccccccccccccccccccccccccc.test, "
         b"d@ddddddddddddddddd.test, eeeeeeeeeeeeee@eeeeeeeee.test, ffffffffffff@fffffffffffffffff.test,\n\tg@g.test\n"
         b"From: (cmt) x (foo\n bar) \nSender:   foo\nErrors-To: q\nDelivered-To: q\nApparently-To: q\nX-To: q\n"
         b"Content-Length: 12\nReturn-Path: <z>\nDate: foo\nReceived: by x\nMessage-ID: <foo@bar> (x)\n\nhello\n",
         name="many headers"),
    case("-t", message=b"to: a\nFROM:b\nreSent-sender: x\nresent-Bcc: y\nBcc: r\nresent-date: Fri\n\nhello\n", name="resent"),
    case("bob", message=b"Message-ID: <foo\n bar>\nResent-Message-Id: <x>\nMessage-ID: <two>\nFrom: a\nFrom: b\nDate:\n\nf\n",
         name="message IDs"),
    case("bob", message=b"Content-Transfer-Encoding: 8bit\n\nhell\n", name="CTE 8bit"),
    case("-B", "7BIT", "bob", message=b"Content-Transfer-Encoding: 8bit\n\nhell\n", name="CTE 8bit in a 7bit envelope"),
    case("bob", message=b"Content-Transfer-Encoding: 7bit\n\nhell\xe9\n", name="CTE 7bit"),
    case("bob", message=b"Mime-Version: 1.0\nContent-Type: multipart/mixed; boundary=foo\n\nhell\xe9\n--foo\n"
         b"Content-Transfer-Encoding: 8bit\n\nfoo\n--foo--\n", name="CTE 8bit in a part"),
    case("bob", message=b"Mime-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"f o\"\n\nhell\n--f o\n"
         b"Content-Type: message/rfc822\n\nContent-Transfer-Encoding: binary\n\nx\n--f o--\n", name="CTE in a message part"),
    case("-t", message=b"To: a,a, A\nCc: a@example.test\nContent-Transfer-Encoding: 8bit\n\nx\n", name="duplicates"),
    case("-f", "a", "Alias", "alias+ext", "list", "bob", name="virtual aliases"),
    case("-f", "a", "-N", "never", "list", name="notify and aliases"),
    case("bob", message=b"Subject: b\xe9\n\nhell\xe9\n", name="8 bit header"),
    case("\xe9", message=b"Subject: b\n\nhell\n", name="8 bit recipient"),
    case("bob", message=b"To: a\n  \n foo\nx: b\nFoo :bar\nCc: \nFrom:\nx y: z\n\nx", name="odd folding"),
    case("bob", message=b"X: y\n\na\rb\n", name="stray CR"),
    case("bob", message=b"X-Foo: " + b"y" * 2050 + b"\n" + (b" " + b"z" * 1000 + b"\n") * 110 + b"To: a\n\nbody\n",
         name="huge header"),
    *(case("bob", message=b"X-Foo: " + b"y" * 985 + b"\n" + (b" " + b"z" * 1000 + b"\n") * 101 + b" " + b"w" * more + b"\nTo: a\n\nbody\n",
           name=f"a header at its limit, {more}") for more in range(198, 210)),
    case("bob", message=b"To: " + b"y" * 2500 + b"@foo, z\n\nbody\n", name="huge address"),
    case("-G", "-f", "a", "bob", message=b"To: bob, Carl <carl>\nBcc: x\nReturn-Path: z\n\nx\n", name="remote context"),
    case("-f", "alice", "-v", "-N", "delay", "-V", "id", "-R", "hdrs", "-XV", "-B", "8BITMIME", "bob", name="all attributes"),
]


def address_cases():
    """The address corpus, each row a header of one message."""
    path = os.path.join(harness.project_root(), "testdata/address/corpus.txt")
    with open(path, "rb") as file:
        rows = [line.rstrip(b"\n") for line in file if line.strip() and not line.startswith(b"#")]
    head = b"".join(b"X-Row: %d\nReply-To: %s\n" % (n, row) for n, row in enumerate(rows))
    return case("bob", message=head + b"X-Row: end\n\nbody\n", name="address corpus"), rows


def records(path):
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 0
    while at < len(data):
        kind, at = chr(data[at]), at + 1
        length = shift = 0
        while True:
            byte, at = data[at], at + 1
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        found.append((kind, data[at:at + length]))
        at += length
    return found


DATE = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [ \d]\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4} \(\w+\)"


def normal(items, identity):
    """Without what must differ: times, queue IDs, and the sizes that follow from the length of an ID."""
    out = []
    arrival = sum(len(data) for kind, data in items[:3] if kind == "T")
    for kind, data in items:
        if kind == "C":
            fields = data.split()
            data = b" ".join([fields[0], str(int(fields[1]) - arrival).encode(), *fields[2:]])
        data = data.replace(identity.encode(), b"ID")
        data = re.sub(DATE, b"DATE", data)
        data = re.sub(rb"\d{14}\.ID@", b"STAMP.ID@", data)
        if kind == "T":
            data = b"TIME"
        if kind == "A" and data.startswith(b"create_time="):
            data = b"create_time=TIME"
        out.append((kind, data))
    return out


class RefereeWithoutQueueManager(Reference):
    """Cleaned files stay in incoming/, where they can be read."""

    def write_configuration(self):
        super().write_configuration()
        path = os.path.join(self.config, "master.cf")
        with open(path) as file:
            lines = [line for line in file if not line.startswith("qmgr")]
        with open(path, "w") as file:
            file.writelines(lines)
        with open(os.path.join(self.config, "virtual"), "w") as file:
            file.write("alias@example.test x1@far.test\nlist@example.test m1@far.test, m2@far.test m1@far.test\n")


class Ours(Server):
    """Our commands and the maildrop reader, without a daemon."""

    def __init__(self, **kind):
        super().__init__(**kind)
        self.parameters["command_directory"] = os.path.join(build_root(), "bin", "postdrop")

    def command(self, name):
        return harness.command(name)

    def environment(self):
        return {"MAIL_CONFIG": self.config, "PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC",
                "MTAD_NO_FATAL_DELAY": "1"}

    def prepare(self, like):
        self.write_configuration()
        with open(os.path.join(like.config, "virtual")) as file, open(os.path.join(self.config, "virtual"), "w") as copy:
            copy.write(file.read())
        for name in ("incoming", "active", "maildrop", "corrupt", "public", "deferred", "hold"):
            os.makedirs(os.path.join(self.spool, name), exist_ok=True)

    def clean(self):
        tool = os.path.join(build_root(), "tests/intake/clean_maildrop")
        if not os.access(tool, os.X_OK):
            raise Skip("tests/intake/clean_maildrop is not built")
        return subprocess.run([tool, self.config], capture_output=True, timeout=60, env=self.environment())


@contextlib.contextmanager
def side_by_side(*commands):
    """Ours and the reference's, prepared and not running."""
    for name in commands:
        harness.command(name)
    theirs, ours = Reference(), Ours()
    if not theirs.root:
        raise Skip("the reference's programs need root here")
    try:
        theirs.write_configuration()
        ours.prepare(theirs)
        theirs.run("postfix", "check")
        yield ours, theirs
    finally:
        ours.remove()
        theirs.remove()


def complete(folder):
    def is_complete(path):
        try:
            return os.stat(path).st_mode & 0o100
        except FileNotFoundError:  # it had another name for a moment
            return False
    return [path for path in glob.glob(os.path.join(folder, "*")) if is_complete(path)]


def take_one(server, queue):
    """The records of the one file in that queue, which then goes; None without one."""
    files = complete(os.path.join(server.spool, queue))
    if not files:
        return None
    found = normal(records(files[0]), os.path.basename(files[0]))
    for path in files:
        os.unlink(path)
    return found


def messages_of(run):
    """Standard error without what depends on a daemon being there."""
    noise = (b"unable to look up public/pickup", b"mail_stream_cleanup: close error")
    return [line for line in run.stderr.splitlines() if not any(word in line for word in noise)]


def difference(ours, theirs):
    if ours is None or theirs is None:
        return f"ours {'none' if ours is None else 'there'}, theirs {'none' if theirs is None else 'there'}"
    lines = []
    for n in range(max(len(ours), len(theirs))):
        a = ours[n] if n < len(ours) else None
        b = theirs[n] if n < len(theirs) else None
        if a != b:
            lines.append(f"{n}: ours   {a!r:.300}")
            lines.append(f"{n}: theirs {b!r:.300}")
    return "\n".join(lines[:24])


def compare_submission(checks, ours, theirs):
    for name, arguments, message, environment in CASES:
        seen = ours.run("sendmail", *arguments, input=message, environment=environment)
        wanted = theirs.run("sendmail", *arguments, input=message, environment=environment)
        checks.equal(seen.returncode, wanted.returncode, f"sendmail {name}: exit status")
        checks.equal(seen.stdout, wanted.stdout, f"sendmail {name}: output")
        checks.equal(messages_of(seen), messages_of(wanted), f"sendmail {name}: messages")
        mine, other = take_one(ours, "maildrop"), take_one(theirs, "maildrop")
        checks.ok(mine == other, f"sendmail {name}: maildrop records", difference(mine, other))


def compare_cleaned(checks, ours, theirs):
    corpus, rows = address_cases()
    for name, arguments, message, environment in [*CLEANED, corpus]:
        theirs.run("sendmail", *arguments, input=message, environment=environment)
        ours.run("sendmail", *arguments, input=message, environment=environment)
        cleaned = ours.clean()
        wait_until(lambda: complete(os.path.join(theirs.spool, "incoming")), 15.0)
        mine, other = take_one(ours, "incoming"), take_one(theirs, "incoming")
        if name == "address corpus" and mine and other:
            compare_rows(checks, mine, other, rows)
            continue
        checks.ok(mine is not None and mine == other, f"cleaned {name}", difference(mine, other) + "\n" + cleaned.stderr.decode(errors="replace"))


# Where we differ on purpose: neither can be delivered or replied to, whatever is made of it.
KNOWN_DIFFERENCES = {b"@", b"a, b>"}


def compare_rows(checks, mine, other, rows):
    def by_row(items):
        found, current = {}, None
        for kind, data in items:
            if data.startswith(b"X-Row: "):
                current = data
                found[current] = []
            elif current and kind in "NL":
                found[current].append(data)
        return found
    a, b = by_row(mine), by_row(other)
    for n, row in enumerate(rows):
        key = b"X-Row: %d" % n
        if row in KNOWN_DIFFERENCES:
            continue
        checks.equal(a.get(key), b.get(key), f"address corpus: {row!r}")


def main(checks):
    harness.command("sendmail"), harness.command("postdrop")
    # Submission first, while nobody picks mail up.
    theirs = RefereeWithoutQueueManager(parameters={"virtual_alias_maps": "texthash:$config_directory/virtual",
                                                    "recipient_delimiter": "+"})
    ours = Ours(parameters={"virtual_alias_maps": "texthash:$config_directory/virtual", "recipient_delimiter": "+"})
    if not theirs.root:
        raise Skip("the reference's daemon needs root")
    theirs.write_configuration()
    ours.prepare(theirs)
    theirs.run("postfix", "check")
    if "--cleaned" not in sys.argv: # a shorter way while working on intake
        compare_submission(checks, ours, theirs)
    try:
        with theirs:
            compare_cleaned(checks, ours, theirs)
    finally:
        ours.remove()


if __name__ == "__main__":
    harness.run(main)
