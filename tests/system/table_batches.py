"""postmap -q -: many keys are answered under one lock, and nobody waits for a postmap that itself waits for input."""
import fcntl
import os
import select
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command
from server import new_directory

SECONDS = 20


def can_write(path, by_fcntl):
    """Whether a writer of another process would have the lock at once."""
    with open(path, "r+b") as file:
        try:
            (fcntl.lockf if by_fcntl else fcntl.flock)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def answer(process):
    ready, _, _ = select.select([process.stdout], [], [], SECONDS)
    return process.stdout.readline() if ready else b"nothing"


def main(checks):
    directory = new_directory()
    with open(os.path.join(directory, "main.cf"), "w") as file:
        file.write(f"queue_directory = {directory}\ndata_directory = {directory}\n")
    environment = {"MAIL_CONFIG": directory, "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1"}
    rows = {f"key{number}": f"value {number}" for number in range(20000)}
    source = os.path.join(directory, "map")
    with open(source, "w") as file:
        file.writelines(f"{key} {value}\n" for key, value in rows.items())
    for kind, path in (("hash", f"{source}.db"), ("btree", f"{source}.db"), ("lmdb", f"{source}.lmdb"), ("cdb", f"{source}.cdb")):
        table = f"{kind}:{source}"
        subprocess.run([command("postmap"), table], env=environment, check=True, timeout=SECONDS)
        # Some keys are not there, and the output is more than one block.
        asked = [key for number, key in enumerate(rows) for key in ((key, f"no{number}") if number % 3 == 0 else (key,))]
        done = subprocess.run([command("postmap"), "-q", "-", table], input="".join(key + "\n" for key in asked), text=True,
                              capture_output=True, env=environment, timeout=60)
        checks.equal((done.returncode, done.stdout, done.stderr), (0, "".join(f"{key}\t{value}\n" for key, value in rows.items()), ""),
                     f"{kind}: every key has its answer, in the order of the keys")
        process = subprocess.Popen([command("postmap"), "-q", "-", table], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        try:
            for key in ("key1", "key19999"):
                process.stdin.write(f"{key}\n".encode())
                process.stdin.flush()
                checks.equal(answer(process), f"{key}\t{rows[key]}\n".encode(), f"{kind}: an answer comes while the input is open")
                checks.ok(harness.wait_until(lambda: can_write(path, kind == "lmdb"), SECONDS),
                          f"{kind}: a writer does not wait for a postmap that waits for input")
        finally:
            process.stdin.close()
            checks.equal(process.wait(SECONDS), 0, f"{kind}: postmap ends with its input")
            process.stdout.close()
        # Nobody reads: the output fills the pipe, and the lock is free all the same.
        process = subprocess.Popen([command("postmap"), "-q", "-", table], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        os.set_blocking(process.stdin.fileno(), False)
        text = "".join(f"{key}\n" for key in rows).encode()
        sent = 0

        def push():
            nonlocal sent
            _, ready, _ = select.select([], [process.stdin], [], 0)
            sent += os.write(process.stdin.fileno(), text[sent:sent + 4096]) if ready and sent < len(text) else 0
            return not ready

        harness.wait_until(push, 5)
        checks.ok(harness.wait_until(lambda: can_write(path, kind == "lmdb"), SECONDS),
                  f"{kind}: a writer does not wait for a postmap whose output nobody takes")
        process.stdin.close()
        checks.ok(len(process.stdout.read()) > 0, f"{kind}: what was asked is answered in the end")
        process.wait(SECONDS)
        process.stdout.close()


harness.run(main)
