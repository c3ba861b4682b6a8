"""A disk that fails to flush, and a disk that is full: the client keeps the mail, what was accepted stays, and service
returns by itself when the disk does (R4, E5)."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, need, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import ReplyError, Session  # noqa: E402
from server import new_directory  # noqa: E402

MESSAGE = b"Subject: hello\n\n" + b"a line of text\n" * 100

FAILING_FLUSH = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>
static int fails(void) { return access(FLAG, F_OK) == 0; }
int fsync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
int fdatasync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
"""


def attempt(server, content=MESSAGE):
    """The code that ended the attempt: 250, or what refused it."""
    try:
        with Session(server.port, timeout=30) as session:
            session.send("a@example.test", "box@box.test", content)
            session.quit()
            return 250
    except ReplyError as error:
        return error.code


def failing_flush(checks):
    need("gcc")
    directory = new_directory()
    flag, library = os.path.join(directory, "fail"), os.path.join(directory, "fail.so")
    source = os.path.join(directory, "fail.c")
    with open(source, "w") as file:
        file.write(f'#define FLAG "{flag}"\n' + FAILING_FLUSH)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    environment = {"LD_PRELOAD": library}
    server = Mtad({"import_environment": f"MAIL_CONFIG TZ LANG=C LD_PRELOAD={library}"},
                  directory=os.path.join(directory, "server"))
    os.mkdir(server.directory, 0o755)
    server.start(environment=environment)
    try:
        checks.equal(attempt(server), 250, "a healthy disk: accepted")
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 1 and server.is_empty(), 20), "and delivered")
        open(flag, "w").close()
        code = attempt(server)
        checks.ok(400 <= code < 500, "a flush that fails: 4xx, never 250", str(code))
        left = server.queue_files("incoming", "active", "deferred")
        checks.ok(not left, "and the file is gone", str(left))
        done = server.run("sendmail", "-f", "a@example.test", "box@box.test", input=MESSAGE, environment=environment)
        checks.equal(done.returncode, 75, "sendmail says try again")
        checks.ok(not server.queue_files("maildrop"), "and leaves nothing in maildrop/", str(server.queue_files("maildrop")))
        checks.equal(len(server.maildir("box")), 1, "nothing was delivered meanwhile")
        os.unlink(flag)
        checks.equal(attempt(server), 250, "the disk is well again: accepted")
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 2 and server.is_empty(), 20), "and delivered",
                  server.log()[-1500:])
    finally:
        server.stop()
    shutil.rmtree(directory, ignore_errors=True)


def full_disk(checks):
    if os.geteuid() != 0:
        raise Skip("mounting needs root")
    with_mount = Mtad({"queue_minfree": "0", "message_size_limit": "1000000"})
    os.makedirs(with_mount.spool)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", with_mount.spool], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"no private tmpfs: {done.stderr.strip()}")
    try:
        with with_mount as server:
            checks.equal(attempt(server), 250, "an almost empty disk: accepted")
            wait_until(lambda: server.maildir("box") and server.is_empty(), 20)
            filler = os.path.join(server.spool, "filler")
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\0" * 4096)
                except OSError:
                    pass
            code = attempt(server)
            checks.ok(400 <= code < 500, "a full disk: 4xx, never 250 and never 5xx", str(code))
            done = server.run("sendmail", "-f", "a@example.test", "box@box.test", input=MESSAGE, timeout=30)
            checks.equal(done.returncode, 75, "sendmail says try again")
            left = [path for _, path in server.queue_files() if os.stat(path).st_size]
            checks.ok(not left, "nothing half is left behind", str(left))
            os.unlink(filler)
            checks.equal(attempt(server), 250, "room again: accepted")
            checks.ok(wait_until(lambda: len(server.maildir("box")) == 2 and server.is_empty(), 20), "and delivered",
                      server.log()[-1500:])
            code = attempt(server, b"Subject: big\n\n" + b"x" * 70 * 1024 * 60)
            checks.ok(code in (552, 452, 451), "a message over message_size_limit is refused", str(code))
    finally:
        subprocess.run(["umount", "-l", with_mount.spool])


def main(checks):
    # A mount of its own, seen by nobody else, and gone with the process.
    if os.geteuid() == 0 and not os.environ.get("MTAD_PRIVATE_MOUNTS"):
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-B", *sys.argv],
                   {**os.environ, "MTAD_PRIVATE_MOUNTS": "1"})
    for part in (failing_flush, full_disk):
        try:
            part(checks)
        except Skip as reason:
            checks.note(f"{part.__name__}: {reason}")
            if not checks.passed:
                raise
        except Exception as error:  # one broken part must not hide the other
            checks.ok(False, f"{part.__name__} runs to its end", repr(error))


run(main)
