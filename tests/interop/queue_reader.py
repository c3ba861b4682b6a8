"""Random queue files: the independent reader (written from docs/queue-format.md), our postcat and postqueue, and the
reference's agree on every one of them."""
import base64
import glob
import itertools
import json
import os
import random
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import checks as harness  # noqa: E402
import queue_reader  # noqa: E402
from checks import Skip, command, project_root  # noqa: E402
from queue_records import record  # noqa: E402
from reference import Reference, library_path, tool  # noqa: E402

FILES = 150
SEED = int(os.environ.get("MTAD_TEST_SEED", "20261121"))


def word(dice, letters="abcdefghijklmnopqrstuvwxyz0123456789", most=12):
    return "".join(dice.choice(letters) for _ in range(dice.randint(1, most)))


def address(dice):
    local = dice.choice([word(dice), word(dice) + "+" + word(dice), "two words", 'quo"ted', "back\\slash", "ü.é", "x" * 64,
                         word(dice) + "=" + word(dice)])
    return f"{local}@{word(dice)}.{dice.choice(['test', 'example.test', 'bücher.test'])}".encode()


def line(dice):
    return dice.choice([
        lambda: b"", lambda: word(dice, most=70).encode(), lambda: b"." + word(dice).encode(), lambda: b"\tfolded",
        lambda: "umläut ☃".encode(), lambda: bytes(dice.randrange(1, 256) for _ in range(dice.randint(1, 40))).replace(b"\n", b""),
        lambda: b"nul\0inside", lambda: b"x" * 2000, lambda: b"From here"])()


def make_records(dice):
    """The records of a message, in logical order."""
    head = [record("T", f"{1795000000 + dice.randrange(200000)} {dice.randrange(1000000)}".encode()),
            record("A", b"create_time=1795000000"), record("A", b"rewrite_context=" + dice.choice([b"local", b"remote"]))]
    for chance, one in ((.3, record("A", b"envelope_id=" + word(dice).encode())), (.3, record("A", b"ret_flags=2")),
                        (.3, record("F", "Full Näme".encode())), (.3, record("A", b"log_client_name=" + word(dice).encode()))):
        if dice.random() < chance:
            head.append(one)
    head.append(record("S", dice.choice([b"", address(dice), address(dice)])))
    for chance, one in ((.5, record("A", b"encoding=8bit")), (.2, record("V", b"+=")), (.2, record("L", b"smtp:[127.0.0.1]:1")),
                        (.2, record("W", b"%15d" % 1795009999)), (.2, record("A", b"trace_flags=1024")),
                        (.2, record("K", b"trace_flags=1024")), (.1, record("I", b"inspect:me"))):
        if dice.random() < chance:
            head.append(one)

    def recipients(most):
        found = []
        for _ in range(dice.randint(0, most)):
            to = address(dice)
            if dice.random() < .4:
                found.append(record("A", b"notify_flags=%d" % dice.choice([1, 2, 4, 8, 14])))
            if dice.random() < .6:
                found.append(record("A", b"dsn_orig_rcpt=rfc822;" + word(dice).encode()))
            if dice.random() < .7:
                found.append(record("O", to if dice.random() < .5 else address(dice)))
            found.append(record(dice.choice("RRRRD/"), to))
        return found
    head += recipients(dice.choice([3, 3, 3, 60]))
    text = [record("N", b"Subject: " + line(dice).replace(b"\0", b"")), record("N", b"X-Long: " + b"y" * 100), record("N", b"")]
    for _ in range(dice.randint(0, 30)):
        if dice.random() < .2:
            text += [record("L", b"z" * 2048)] * dice.randint(1, 3)
        text.append(record("N", line(dice)))
    if dice.random() < .1:
        text[-1:] = [record("L", b"no line end")]
    tail = recipients(2)
    if len([1 for one in head + tail if one[:1] in b"RD"]) == 0:
        tail.append(record("R", address(dice)))
    return head, text, tail


def pointer(target):
    return record("p", b"%15d" % target)


def make_file(dice):
    """The bytes of a queue file; every third is as filters leave it, with detours to a heap behind its end."""
    data_offset = content_end = 0
    head, text, tail = make_records(dice)
    order = [*head, record("M"), *text, record("X"), *tail, record("E")]
    size = record("C", b"%15d %15d %15d %15d %15d %15d" % (0, 0, 0, 1, 0, 0))
    detours = {}
    if dice.random() < .35:
        last = len(order) - 1
        for _ in range(dice.randint(1, 4)):
            begin = dice.randrange(0, last)
            end = min(last, begin + dice.randint(1, 3))
            # Filters leave the markers where they are.
            if not {record("M"), record("X")} & set(order[begin:end]) and all(end <= one or begin >= other for one, other in detours.items()):
                detours[begin] = end
    # First the places, then the pointers that name them.
    main, heap, at, index = [], [], len(size), 0
    while index < len(order):
        if dice.random() < .05:
            main.append(dice.choice([pointer(0), record("w", b"\0" * dice.randint(0, 20))]))
            at += len(main[-1])
        if index in detours:
            main.append(None)
            at += 17
            heap.append((len(main) - 1, order[index:detours[index]], at))
            index = detours[index]
        else:
            main.append(order[index])
            at += len(order[index])
            index += 1
            if main[-1] == record("M"):
                data_offset = at
            elif main[-1] == record("X"):
                content_end = at - 2
    behind = b""
    for place, run, back in heap:
        main[place] = pointer(at + len(behind))
        behind += b"".join(run) + pointer(back)
    count = sum(one[:1] == b"R" for one in head + tail)
    content = sum(len(one) for one in text)
    # The reference's postcat -e goes round for ever where the first two fields are wrong.
    size = record("C", b"%15d %15d %15d %15d %15d %15d" % (content_end - data_offset, data_offset, count, 1, content, 0))
    return size + b"".join(main) + behind


def shown(value):
    """Bytes as our commands show them in JSON."""
    return value.decode("utf-8", "replace")


def as_read(message):
    """What postcat --json must print of the reader's message."""
    attributes = dict(message["attributes"])
    for name in ("create_time", "encoding", "rewrite_context", "envelope_id", "ret_flags", "trace_flags"):
        attributes.pop(name, None)
    return {"sender": shown(message["sender"]), "arrival_time": message["arrival"],
            "attributes": {name: shown(value) for name, value in attributes.items()},
            "full_name": shown(message.get("full_name", b"")), "verp": shown(message.get("verp_delimiters", b"")),
            "filter": shown(message.get("content_filter", b"")),
            "envelope_id": shown(message["attributes"].get("envelope_id", b"")),
            "recipients": [(shown(to["address"]), to["done"], shown(to.get("original", b"")),
                            shown(to.get("dsn_orig_rcpt", b"")), int(to.get("notify_flags", 0))) for to in message["recipients"]],
            "text": message["text"]}


def from_json(one):
    text = one["text"].encode() if "text" in one else base64.b64decode(one["text_base64"])
    return {"sender": one["sender"], "arrival_time": one["arrival_time"], "attributes": one["attributes"],
            "full_name": one.get("full_name", ""), "verp": one.get("verp_delimiters", ""), "filter": one.get("content_filter", ""),
            "envelope_id": one.get("envelope_id", ""),
            "recipients": [(to["address"], to["done"], to.get("original", ""), to.get("dsn_original", ""),
                            to.get("notify_flags", 0)) for to in one["recipients"]], "text": text}


def postcat(reference, theirs, *words):
    environment = {"MAIL_CONFIG": reference.config, "TZ": "UTC", "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1"}
    if theirs:
        environment["LD_LIBRARY_PATH"] = library_path()
    return subprocess.run([tool("postcat") if theirs else command("postcat"), *words], capture_output=True, env=environment,
                          timeout=20)


def check_file(reference, path, counts):
    """What is wrong about one file."""
    with open(path, "rb") as file:
        message = queue_reader.read(file.read())
    wrong = []
    ours = postcat(reference, False, "--json", path)
    seen = from_json(json.loads(ours.stdout)) if not ours.returncode else ours.stderr
    wanted = as_read(message)
    if seen != wanted:
        wrong.append(f"--json\n  reader {wanted!r:.900}\n  ours   {seen!r:.900}")
    raw = postcat(reference, False, "--raw", path)
    if raw.stdout != message["text"]:
        wrong.append(f"--raw\n  reader {message['text']!r:.300}\n  ours   {raw.stdout!r:.300} {raw.stderr!r}")
    theirs = postcat(reference, True, "-e", path).stdout
    named = [(kind, value) for kind, _, value in (one.partition(b": ") for one in theirs.split(b"\n"))]
    reader = [value for kind, value in named if kind in (b"recipient", b"done_recipient")]
    if reader != [to["address"] for to in message["recipients"]] or dict(named).get(b"sender") != message["sender"]:
        wrong.append(f"the reference's -e: {theirs!r:.900}")
    text = postcat(reference, True, "-bh", path).stdout
    if text != message["text"] and text != message["text"] + b"\n":
        wrong.append(f"the reference's -bh\n  reader {message['text']!r:.600}\n  theirs {text!r:.600}")
    for words in ("-v", "-do", "-rov", "-e", "-bh"):
        counts[1] += 1
        one, two = (postcat(reference, who, words, path) for who in (True, False))
        if (one.returncode, one.stdout) == (two.returncode, two.stdout):
            counts[0] += 1
        else:
            lines = [pair for pair in itertools.zip_longest(one.stdout.splitlines(), two.stdout.splitlines())
                     if pair[0] != pair[1]]
            wrong.append(f"postcat {words}: first of {len(lines)} different lines\n  reference {lines[:1]!r:.300}"
                         if lines else f"postcat {words}: status {one.returncode}, ours {two.returncode}")
    return wrong


def listings(checks, reference, paths, counts):
    """The same files in a queue, listed by both."""
    folder = os.path.join(reference.spool, "hold")
    for number, path in enumerate(paths):
        place = os.path.join(folder, f"{number:05X}ABC")
        shutil.copyfile(path, place)
        os.chmod(place, 0o700)
        shutil.chown(place, "daemon")
    for option in ("-p", "-j"):
        results = []
        for program, extra in ((tool("postqueue"), {"LD_LIBRARY_PATH": library_path()}), (command("postqueue"), {})):
            done = subprocess.run([program, option], capture_output=True, timeout=60,
                                  env={"MAIL_CONFIG": reference.config, "TZ": "UTC", "PATH": "/usr/bin:/bin", **extra})
            results.append((done.returncode, done.stdout))
        counts[1] += 1
        counts[0] += checks.ok(results[0] == results[1], f"postqueue {option} lists the random files alike",
                               "\n".join(f"reference {a!r}\nours      {b!r}" for a, b in
                                         zip(results[0][1].splitlines(), results[1][1].splitlines()) if a != b)[:3000])


def main(checks):
    if os.geteuid() != 0:
        raise Skip("needs root")
    dice = random.Random(SEED)
    counts = [0, 0]
    with Reference({"queue_run_delay": "3600s"}) as reference:
        reference.stop()
        os.utime(os.path.join(reference.config, "main.cf"), (1, 1))
        places = []
        for number in range(FILES):
            path = os.path.join(reference.directory, f"random{number}")
            with open(path, "wb") as file:
                file.write(make_file(dice))
            places.append(path)
        golden = [path for path in sorted(glob.glob(project_root() + "/testdata/queue/*"))
                  if "." not in os.path.basename(path) and os.path.isfile(path)]
        bad = {}
        for path in places + golden:
            wrong = check_file(reference, path, counts)
            if wrong:
                bad[path] = wrong
        checks.ok(not bad, f"{FILES} random files and {len(golden)} of the reference's are read alike by all (seed {SEED})",
                  "\n".join(f"{path}: {one}" for path, all_wrong in list(bad.items())[:6] for one in all_wrong[:3]))
        listings(checks, reference, places + golden, counts)
        checks.note(f"postcat and postqueue on these files: {counts[0]} of {counts[1]} equal")
        damaged = 0
        for path in places[:40]:
            with open(path, "rb") as file:
                data = file.read()
            cut = dice.randrange(1, len(data) - 1)
            with open(path + ".cut", "wb") as file:
                file.write(data[:cut])
            try:
                queue_reader.read(data[:cut])
                broken = False
            except queue_reader.Damaged:
                broken = True
            done = postcat(reference, False, "--json", path + ".cut")
            damaged += checks.ok(broken == bool(done.returncode), f"cut at {cut}: reader and postcat --json agree", done.stderr)
        checks.note(f"{damaged} of 40 cut files agree")


harness.run(main)
