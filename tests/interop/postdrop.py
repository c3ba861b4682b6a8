"""postdrop beside the reference's: what it lets through and refuses, limits, signals and callers that leave, by the same bytes
on standard input: answer, exit status, what is said, the records in maildrop/, and what is left there."""
import concurrent.futures
import os
import re
import resource
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks as harness  # noqa: E402
from queue_records import record  # noqa: E402
from sendmail import normal, records, side_by_side  # noqa: E402


def stream(*words):
    """Records by their letter and text: "Sjoe" is a sender."""
    return b"".join(record(word[0], word[1:].encode("latin-1")) for word in words)


HEAD = ("Arewrite_context=local", "Sjoe", "Rbob")
TAIL = ("M", "NSubject: x", "N", "Ntext", "X", "E")
ATTRIBUTES = ["encoding=8bit", "encoding=7bit", "encoding=", "encoding=binary", "envelope_id=a", "notify_flags=3", "notify_flags=x",
              "ret_flags=2", "dsn_orig_rcpt=rfc822;a", "create_time=1", "rewrite_context=remote", "rewrite_context=x", "trace_flags=512",
              "trace_flags=1024", "client_name=x", "sasl_username=x", "log_ident=x", "=x", "x=", "x", "", "encoding =8bit", "ENCODING=8bit"]
STREAMS = {
    "plain": stream(*HEAD, *TAIL),
    "recipients after the text": stream("Arewrite_context=local", "Sjoe", "M", "Nx", "X", "Rbob", "Rcarl", "E"),
    "recipients in both": stream(*HEAD, "M", "Nx", "X", "Rcarl", "E"),
    "the null sender": stream("S", "Rbob", *TAIL),
    "the null recipient": stream("Sjoe", "R", *TAIL),
    "full name and VERP": stream("FJoe", "Sjoe", "V+=", "Rbob", *TAIL),
    "size and time": stream("C1 2 3 4", "T1 2", "Sjoe", "Rbob", *TAIL),
    "long and short lines": stream(*HEAD, "M", "L" + "x" * 2048, "Nend", "L", "N", "Lno end", "X", "E"),
    "any byte in the text": stream(*HEAD, "M", "N" + "".join(map(chr, range(256))), "X", "E"),
    "no sender": stream("Rbob", *TAIL),
    "no sender at all": stream("M", "Nx", "X", "E"),
    "two senders": stream("Sjoe", "Sjoe", "Rbob", *TAIL),
    "no recipient": stream("Sjoe", *TAIL),
    "no text": stream(*HEAD, "X", "E"),
    "no text records": stream(*HEAD, "M", "X", "E"),
    "no extracted segment": stream(*HEAD, "M", "Nx", "E"),
    "text in the envelope": stream(*HEAD, "Nx", *TAIL),
    "text twice": stream(*HEAD, "M", "Nx", "M", "X", "E"),
    "a sender after the text": stream(*HEAD, "M", "Nx", "X", "Sann", "E"),
    "a sender after a recipient": stream("Rbob", "Sjoe", *TAIL),
    "more after the end": stream(*HEAD, *TAIL) + b"garbage" * 100,
    "the end at once": stream("E"),
    "nothing": b"",
    "cut in a header": stream(*HEAD, *TAIL)[:-10],
    "cut in a record": stream(*HEAD, *TAIL)[:12],
    "cut in a length": b"S\x80",
    "cut before the end": stream(*HEAD, *TAIL[:-1]),
    "a length beyond all": b"S\xff\xff\xff\xff\x7f",
    "a length over the limit": stream(*HEAD, "M", "N" + "x" * 2049, "X", "E"),
    "an address over the limit": stream("S" + "x" * 3000, "Rbob", *TAIL),
    "an empty length byte": b"S\x80\x80\x00",
    "garbage": bytes(range(256)) * 10,
    **{f"record {letter} in the envelope": stream("Sjoe", letter + "x", "Rbob", *TAIL) for letter in "DOWLI>/KrePpwfdmion<BZ"},
    **{f"record {letter} in the text": stream(*HEAD, "M", letter + "x", "X", "E") for letter in "AEFSRDwpPW"},
    **{f"record {letter} after the text": stream(*HEAD, "M", "X", letter + "x", "E") for letter in "ADEFILMNOPVWep>KXron"},
    **{f"attribute {text!r}": stream("A" + text, *HEAD[1:], *TAIL) for text in ATTRIBUTES},
    **{f"attribute {text!r} after the text": stream(*HEAD, "M", "Nx", "X", "A" + text, "Rann", "E") for text in ATTRIBUTES[::3]},
}
# Refused by recent releases of the reference, let through by this one: a line end or NUL in the envelope is how a second
# record is smuggled in. Ours refuses them too.
STRICTER = {"a line end in an address": stream("Sjoe\nx", "Rbob", *TAIL), "NUL in an address": stream("Sjoe", "Rbob\0x", *TAIL),
            "CR in a name": stream("FJoe\rx", "Sjoe", "Rbob", *TAIL),
            "a line end in an attribute": stream("Aenvelope_id=a\nb", *HEAD, *TAIL)}
# Where ours is another on purpose: (exit status, whether a file is kept).
ON_PURPOSE = {
    "size and time": (0, True),  # the next release's sendmail says a size; it is dropped
    "two senders": (1, False), "a sender after a recipient": (1, False),  # pickup would find the file damaged
    "garbage": (1, False),  # type 0 passes for a known one there
    "record E after the text": (0, True),  # the end is written empty
    "attribute 'encoding =8bit'": (0, True), "attribute 'encoding =8bit' after the text": (0, True),  # not tidied up but ignored
}
tally = [0, 0]


def same(checks, sentence, ours, theirs):
    tally[1] += 1
    tally[0] += checks.ok(ours == theirs, sentence, f"reference {theirs!r:.1500}\nours      {ours!r:.1500}")


def said(text):
    """Without argv[0], and without the complaint that no pickup service runs here."""
    lines = re.sub(rb"^\S*postdrop: ", b"postdrop: ", text, flags=re.M).splitlines()
    return [line for line in lines if b"public/pickup" not in line]


def outcome(system, status, out, err):
    """(exit status, answer, what was said, the file's records); the file goes."""
    found = re.match(rb"protocol\0postdrop_protocol\0queue_id\0(\w+)\0\0", out)
    path = os.path.join(system.spool, "maildrop", found.group(1).decode()) if found else ""
    kept = None
    if path and os.path.exists(path):
        mode = oct(os.stat(path).st_mode & 0o7777)
        kept = (mode, normal(records(path), os.path.basename(path)))
        os.unlink(path)
    answer = out.replace(found.group(1), b"ID") if found else out
    return status, answer, said(err), kept


def run(system, text, *words, prepare=None):
    done = subprocess.run([system.command("postdrop"), *words], input=text, capture_output=True, timeout=60,
                          env=system.environment(), cwd="/", preexec_fn=prepare)
    return outcome(system, done.returncode, done.stdout, done.stderr)


def set_limit(number):
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))


def signalled(system, number, text, prepare=None, close=False):
    """What comes of one that is told to end, or whose caller leaves, in the middle of its input."""
    def usual():  # whatever the one who runs this test ignores
        for one in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(one, signal.SIG_DFL)
    process = subprocess.Popen([system.command("postdrop"), "-r"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=system.environment(), cwd="/", preexec_fn=prepare or usual)
    out = b""
    while not out.endswith(b"\0\0"):
        out += os.read(process.stdout.fileno(), 4096)
    process.stdin.write(text)
    process.stdin.flush()
    path = os.path.join(system.spool, "maildrop", out.split(b"\0")[3].decode())
    there = os.path.exists(path)
    if number:
        process.send_signal(number)
    if close:
        process.stdout.close()
    if prepare or not number:  # it lives on
        process.stdin.write(stream(*HEAD, *TAIL))
    try:
        process.stdin.close()
    except BrokenPipeError:
        pass
    more, err = b"" if close else process.stdout.read(), process.stderr.read()
    status = process.wait(30)
    for file in (process.stdout, process.stderr):
        file.close()
    return there, outcome(system, status, out + more, err)


def ignoring(*numbers):
    def prepare():
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    return prepare


def configured(system, lines):
    path = os.path.join(system.config, "main.cf")
    with open(path) as file:
        before = file.read()
    with open(path, "w") as file:
        file.write(before + lines + "\n")
    os.utime(path, (1, 1))
    return lambda: open(path, "w").write(before)


def streams(checks, ours, theirs):
    # Each fatal error of the reference's takes a second: many at once.
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        expected = dict(zip(STREAMS, pool.map(lambda text: run(theirs, text, "-r"), STREAMS.values())))
    for name, text in STREAMS.items():
        seen, wanted = run(ours, text, "-r"), expected[name]
        if name in ON_PURPOSE:
            checks.equal((seen[0], seen[3] is not None), ON_PURPOSE[name], f"postdrop -r: {name}, in our own way")
            continue
        if wanted[0] and wanted[3]:  # it leaves a file that it has refused
            wanted = (*wanted[:3], None)
        same(checks, f"postdrop -r: {name}", seen, wanted)
    for name, text in STRICTER.items():
        status, answer, words, kept = run(ours, text, "-r")
        checks.ok(status == 1 and kept is None and words == [b"postdrop: fatal: uid=0: malformed input"], f"postdrop -r refuses {name}",
                  f"{status} {answer} {words} {kept}")
    for words in ([], ["-v"], ["-x"], ["-r", "operand"], ["-c"], ["-c", "/nonexistent"]):
        results = [run(system, STREAMS["plain"], *words) for system in (ours, theirs)]
        if words == ["-v"]:  # the reference shows its workings
            results = [(status, answer, [], kept) for status, answer, _, kept in results]
        same(checks, f"postdrop {' '.join(words)}", *results)


def limits(checks, ours, theirs):
    for lines in ("message_size_limit = 5000", "message_size_limit = 0", "line_length_limit = 1000"):
        undo = [configured(system, lines) for system in (ours, theirs)]
        for length in (1, 60, 4000, 6000, 300000):
            text = stream(*HEAD, "M", *["N" + "x" * 59] * (length // 60), "X", "E")
            same(checks, f"{lines}: {length} bytes of text", run(ours, text, "-r"), run(theirs, text, "-r"))
        line = stream(*HEAD, "M", "N" + "x" * 1001, "X", "E")
        same(checks, f"{lines}: a line of 1001", *(run(system, line, "-r") for system in (ours, theirs)))
        for back in undo:
            back()
    big = stream(*HEAD, "M", *["N" + "x" * 999] * 50, "X", "E")
    for most in (0, 10, 4096, 20000, 100000):
        same(checks, f"a caller's limit of {most} bytes a file",
             *(run(system, big, "-r", prepare=lambda: set_limit(most)) for system in (ours, theirs)))
    for lines in ("authorized_submit_users = !root, static:all", "authorized_submit_users = bob", "authorized_submit_users = root",
                  "authorized_submit_users =", "authorized_submit_users = /nonexistent", "authorized_submit_users = hash:/nonexistent"):
        undo = [configured(system, lines) for system in (ours, theirs)]
        mine, other = (run(system, STREAMS["plain"], "-r") for system in (ours, theirs))
        if "nonexistent" in lines:  # in words of our own
            mine, other = ((one[0], one[1], bool(one[2]), one[3]) for one in (mine, other))
        same(checks, lines, mine, other)
        for back in undo:
            back()


def signals(checks, ours, theirs):
    half = stream(*HEAD, "M", *["N" + "x" * 100] * 500)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        for label, prepare in (("in the middle of the input", None), ("which the caller ignores", ignoring(number))):
            mine, other = (signalled(system, number, half if not prepare else b"", prepare) for system in (ours, theirs))
            if other[1][0]:  # the reference may leave the file behind
                other = (other[0], (*other[1][:3], None))
            same(checks, f"{number.name} {label}", mine, other)
            if not prepare:
                checks.ok(mine[0] and mine[1][0] and mine[1][3] is None, f"{number.name}: the file was there and is gone", str(mine)[:500])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        same(checks, f"{number.name} is ignored", *(signalled(system, number, b"", ignoring()) for system in (ours, theirs)))
    same(checks, "a caller that leaves in the middle", *(run(system, half, "-r") for system in (ours, theirs)))
    same(checks, "a caller that does not read the answer", *(signalled(system, 0, b"", close=True) for system in (ours, theirs)))


def main(checks):
    with side_by_side("postdrop") as (ours, theirs):
        streams(checks, ours, theirs)
        limits(checks, ours, theirs)
        signals(checks, ours, theirs)
        checks.equal(os.listdir(os.path.join(ours.spool, "maildrop")), [], "nothing is left behind")
        checks.note(f"postdrop: {tally[0]} of {tally[1]} equal")


if __name__ == "__main__":
    harness.run(main)
