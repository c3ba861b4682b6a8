"""sendmail -bv and -v to local recipients: what the report and the log say of accounts, aliases, lists, files, commands and
.forward files, beside the reference; and that -bv delivers nothing."""
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import accounts
from checks import run, wait_until
from mailbox_runs import neutral, queued
from mtad import Mtad
from reference import Reference

USERS = ("ann", "bob", "cyd", "dan")
ALIASES = """\
one: ann
two: ann, bob
three: two, cyd
far: x@remote.test
mixed: ann, x@remote.test
file: !/file
dir: !/dir/
nothing: /dev/null
command: "|/bin/cat >/dev/null"
list: :include:!/list
owned: ann, x@remote.test
owner-owned: bob
missing: nosuch
many: ann, nosuch, !/file
circle: circle2
circle2: circle
"""
RECIPIENTS = ["ann", "ann+ext", "bob", "cyd", "dan", "one", "two", "three", "far", "mixed", "file", "dir", "nothing", "list", "owned",
              "missing", "many", "circle", "nosuch", "root", "command"]
# Ours answers what it would do itself.
INTENDED = {"root": "no mail is delivered as root"}
FORWARDS = {"bob": "cyd\n", "cyd": "x@remote.test\n", "dan": "\\dan, ann, /dev/null\n"}


def play(kind, homes, outside, mode):
    server = kind(parameters={
        "alias_maps": "hash:$config_directory/aliases", "recipient_delimiter": "+", "home_mailbox": "Mailbox",
        "transport_maps": "inline:{remote.test=discard:}", "local_recipient_maps": "",
    }, boxes=("asker",))
    server.write_configuration()
    with open(os.path.join(server.config, "aliases"), "w") as file:
        file.write(ALIASES.replace("!", outside))
    made = server.run("postalias", f"hash:{server.config}/aliases")
    if made.returncode or made.stderr:
        raise RuntimeError(made.stderr.decode())
    lines, told = {}, {}
    with server:
        for number, recipient in enumerate(RECIPIENTS):
            done = server.run("sendmail", mode, "-f", "asker@box.test", recipient)
            if done.returncode:
                raise RuntimeError(done.stderr.decode())
            wait_until(lambda: len(queued(server)) > number, 10)
            wait_until(lambda: len(server.maildir("asker")) > number, 5)
        wait_until(lambda: not server.queue_files("incoming", "active"), 20)
        for recipient, queue_id in zip(RECIPIENTS, queued(server)):
            found = re.findall(rf"postfix/(\w+)\[\d+\]: {queue_id}: (to=.*)", server.log())
            lines[recipient] = sorted(neutral(f"{service}: " + re.sub(r" delay=[\d.]+, delays=[\d./]+,", "", text), server)
                                      for service, text in found)
        for report in server.maildir("asker"):
            text = report.decode("latin-1")
            if "message/delivery-status" not in text:
                continue
            blocks = [sorted(line for line in block.replace("\n ", " ").strip().splitlines() if not line.startswith(("X-", "Arrival-Date")))
                      for block in text.split("message/delivery-status", 1)[1].split("\n\n")[2:]]
            blocks = [neutral(" | ".join(" ".join(line.split()) for line in one), server) for one in blocks if any("Recipient" in line for line in one)]
            original = re.search(r"Original-Recipient: rfc822;\s*([\w+]+)", " ".join(blocks))
            told.setdefault(original[1] if original else "", []).append(" || ".join(blocks))
    return lines, told, sorted(os.listdir(outside)), {user: sorted(os.listdir(os.path.join(homes, user))) for user in USERS}


def compare(checks, mode, theirs, ours):
    equal = count = 0
    for recipient in RECIPIENTS:
        if recipient in INTENDED:
            checks.ok("status=sent" not in str(ours[0].get(recipient)) and "status=deliverable" not in str(ours[0].get(recipient)),
                      f"{mode} {recipient}: differs as intended: {INTENDED[recipient]}", ours[0].get(recipient))
            continue
        for what, number in (("log", 0), ("report", 1)):
            count += 1
            equal += checks.equal(sorted(ours[number].get(recipient, [])), sorted(theirs[number].get(recipient, [])),
                                  f"{mode} {recipient}: {what}")
    if mode == "-bv":
        checks.equal(ours[2:], theirs[2:], "nothing is delivered")
        checks.ok("Mailbox" not in str(ours[3]), "to no mailbox either", ours[3])
    return equal, count


def main(checks):
    accounts.enter_namespace()
    homes, outside = tempfile.mkdtemp(prefix="mtad-homes-"), tempfile.mkdtemp(prefix="mtad-outside-")
    try:
        os.chmod(homes, 0o755)
        os.chmod(outside, 0o777)
        ids = accounts.add(USERS, homes)
        for user, text in FORWARDS.items():
            path = os.path.join(homes, user, ".forward")
            with open(path, "w") as file:
                file.write(text)
            os.chown(path, ids[user], ids[user])
        with open(os.path.join(outside, "list"), "w") as file:
            file.write("ann, bob\n")
        equal = total = 0
        for mode in ("-bv", "-v"):
            results = []
            for kind in (Reference, Mtad):
                results.append(play(kind, homes, outside, mode))
                for user in USERS:
                    shutil.rmtree(os.path.join(homes, user, "Mailbox"), ignore_errors=True)
            same, count = compare(checks, mode, *results)
            equal, total = equal + same, total + count
        checks.note(f"{equal} of {total} comparisons equal")
    finally:
        shutil.rmtree(homes, ignore_errors=True)
        shutil.rmtree(outside, ignore_errors=True)


run(main)
