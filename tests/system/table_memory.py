"""postmap and postalias build databases of sources that are larger than the memory they may use: how much they took, what is in the
databases, and what is said of lines far apart."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command
from server import new_directory

MOST = 110  # MB; the reference needs 113 at worst for a source of 64 MB


def entry(which, number):
    """No order of numbers is one of keys."""
    drawn = number * 48271 % 2147483647
    if which == "postmap":
        return f"user{drawn:010d}@domain{drawn % 1000}.example.com", f"mailbox-{number}/at/some/place"
    return f"user{drawn:010d}", f"mailbox-{number}@host{drawn % 1000}.example.com, other-{number}"


def build(which, table, environment, errors):
    """Status and the peak of memory in MB. Not a fork: a program begins with the peak of the one that starts it."""
    child = os.posix_spawn(command(which), [which, table], environment,
                           file_actions=[(os.POSIX_SPAWN_OPEN, 2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)])
    _, status, usage = os.wait4(child, 0)
    return status, usage.ru_maxrss / 1024


def main(checks):
    directory = new_directory()
    with open(os.path.join(directory, "main.cf"), "w") as file:
        file.write(f"queue_directory = {directory}\ndata_directory = {directory}\n")
    environment = {"MAIL_CONFIG": directory, "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1"}
    errors = os.path.join(directory, "errors")
    expected = {"main.cf", "errors"}
    for which, separator, count, kinds in (("postmap", " ", 700_000, ("hash", "btree", "lmdb", "lmdb", "cdb")),
                                           ("postalias", ": ", 300_000, ("btree",))):
        source = os.path.join(directory, which)
        with open(source, "w") as file:
            for number in range(count):
                file.write(separator.join(entry(which, number)) + "\n")
            file.write(separator.join((entry(which, 0)[0], "again")) + "\n")
        expected.add(which)
        for kind in kinds:
            status, peak = build(which, f"{kind}:{source}", environment, errors)
            expected.add(which + {"lmdb": ".lmdb", "cdb": ".cdb"}.get(kind, ".db"))
            checks.ok(status == 0 and peak < MOST,
                      f"{which} {kind}: a source of {os.path.getsize(source) >> 20} MB takes less than {MOST} MB",
                      f"status {status}, {peak:.0f} MB")
            with open(errors) as file:
                said = file.read()
            checks.ok(said.count("\n") == 1 and f'duplicate entry: "{entry(which, 0)[0]}"' in said,
                      f"{which} {kind}: the last line has the first one's key", repr(said[:300]))
            asked = [entry(which, number) for number in (0, 1, count // 2, count - 1)]
            done = subprocess.run([command(which), "-q", "-", f"{kind}:{source}"], text=True, capture_output=True, env=environment,
                                  input="".join(key + "\n" for key, _ in asked) + "nosuch\n", timeout=60)
            tab = "\t" if which == "postmap" else ":\t"
            checks.equal(done.stdout, "".join(f"{key}{tab}{value}\n" for key, value in asked),
                         f"{which} {kind}: entries from all places are found")
    checks.equal(set(os.listdir(directory)), expected, "nothing else is left")


harness.run(main)
