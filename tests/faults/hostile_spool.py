"""A spool in which things are planted, broken, missing or moving: the commands take what is mail, follow nothing, say what is
wrong, and never wait."""
import os
import pwd
import random
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import spools  # noqa: E402
from checks import Skip, command, project_root, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from server import OWNER, new_directory  # noqa: E402

UID = pwd.getpwnam(OWNER).pw_uid
GOLDEN = os.path.join(project_root(), "testdata/queue")
LATER = 4000000000
ODD_NAMES = [b"new\nline", b"esc\x1b[31m", b"-d", b"-", b"#FIX", b"a b#FIX", b"caf\xc3\xa9", b"\xff\xfe", b"%s%n", b"AB;rm -rf x",
             b"A72400~", b"A.B", b".hidden", b"a\\b", b"x" * 255]
GOOD = {"deferred/1": "1F4B6A72400", "hold": "8D8EDA72400", "incoming": "AC8BFA72400"}
LISTED = {"1F4B6A72400", "8D8EDA72400", "AC8BFA72400", "x" * 255}


class Ground:
    def __init__(self):
        self.directory = new_directory()
        self.spool, self.config, self.outside = (os.path.join(self.directory, name) for name in ("spool", "etc", "outside"))
        self.log = os.path.join(self.directory, "log")
        os.makedirs(self.config)
        with open(os.path.join(GOLDEN, "sendmail_dsn_extracted"), "rb") as file:
            self.message = file.read()
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            file.write(f"mail_owner = {OWNER}\nqueue_directory = {self.spool}\ndata_directory = {self.directory}\nmyhostname = a.test\n"
                       f"maillog_file = {self.log}\nmaillog_file_prefixes = /\n")

    def put(self, place, content=None, mode=0o700, owner=UID):
        path = os.path.join(os.fsencode(self.spool), os.fsencode(place))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.chown(os.path.dirname(path), UID, -1)
        with open(path, "wb") as file:
            file.write(self.message if content is None else content)
        os.chmod(path, mode)
        os.chown(path, owner, -1)
        os.utime(path, (LATER, LATER))

    def fresh(self):
        for path in (self.spool, self.outside):
            shutil.rmtree(path, ignore_errors=True)
        spools.make_directories(self.spool, UID, 0)
        for folder, name in GOOD.items():
            self.put(f"{folder}/{name}")
        os.makedirs(self.outside)
        for name in ("4F4B6A72400", "passwd"):
            with open(os.path.join(self.outside, name), "wb") as file:
                file.write(self.message)
            os.chown(os.path.join(self.outside, name), UID, -1)
            os.chmod(os.path.join(self.outside, name), 0o700)
        os.chown(self.outside, UID, -1)

    def plant(self):
        """Everything that no mail system puts into a queue."""
        for name in ODD_NAMES:
            self.put(b"hold/" + name)
        hold = os.path.join(self.spool, "hold/F000")
        os.symlink(os.path.join(self.outside, "passwd"), hold + "0A72400")
        os.mkfifo(hold + "1A72400", 0o700)
        os.mkdir(hold + "2A72400")
        os.mknod(hold + "3A72400", stat.S_IFCHR | 0o700, os.makedev(1, 5))
        with socket.socket(socket.AF_UNIX) as place:
            place.bind(hold + "4A72400")
        self.put("hold/E0000A72400", b"")
        self.put("hold/E0001A72400", b"\0" * 5000)
        self.put("hold/E0002A72400", self.message[:200])
        os.symlink(self.outside, os.path.join(self.spool, "deferred/4"))
        os.symlink(os.path.join(self.outside, "passwd"), os.path.join(self.spool, "defer/1F4B6A72400"))
        os.mkfifo(os.path.join(self.spool, "defer/AC8BFA72400"))
        self.put("defer/8/8D8EDA72400", b"\nreason=\x1b[31mred\x07 \xff\nrecipient=x@far.test\n\n", 0o600)
        self.put("deferred/y")

    def unreadable(self):
        self.put("deferred/2/2F4B6A72400", mode=0o700, owner=0)
        self.put("deferred/3/3F4B6A72400")
        os.chown(os.path.join(self.spool, "deferred/3"), 0, 0)
        os.chmod(os.path.join(self.spool, "deferred/3"), 0o700)

    def run(self, name, *words, text=b"", user=None):
        environment = {"MAIL_CONFIG": self.config, "PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C", "MTAD_NO_FATAL_DELAY": "1"}
        return subprocess.run([command(name), *words], input=text, capture_output=True, timeout=30, env=environment, cwd="/", user=user)

    def find(self, name):
        return [os.path.relpath(os.path.join(folder, name), self.spool) for folder, _, files in os.walk(self.spool) if name in files]


def clean(text):
    """Whether it can be shown on a terminal."""
    try:
        shown = text.decode()
    except UnicodeDecodeError:
        return False
    return all(c in "\n\t" or c.isprintable() for c in shown)


def planted(checks, ground):
    ground.fresh()
    ground.plant()
    for words in (["postqueue", "-p"], ["postqueue", "-j"], ["qshape", "hold", "deferred"], ["qshape", "--json", "hold"]):
        done = ground.run(*words)
        checks.ok(done.returncode == 0 and clean(done.stdout) and clean(done.stderr),
                  f"{' '.join(words)} copes, and shows nothing unprintable",
                  f"{done.returncode} {done.stdout!r:.1500} {done.stderr!r:.1500}")
        if words[1] == "-j":
            missing = [name for name in LISTED if f'"{name}"'.encode() not in done.stdout]
            checks.ok(not missing, "postqueue -j lists every message", str(missing))
            checks.ok(b"4F4B6A72400" not in done.stdout and b"F0000A72400" not in done.stdout, "and follows no link", done.stdout)
    for name in ("F0000A72400", "F0001A72400", "F0002A72400", "F0003A72400", "F0004A72400", "new\nline", "../etc/passwd", "-d"):
        done = ground.run("postcat", "-q", name)
        checks.ok(done.returncode in (0, 1) and not done.stdout and clean(done.stderr),
                  f"postcat -q {name!r} shows nothing and does not wait", f"{done}")
    for action in "hHredsp":
        ground.fresh()
        ground.plant()
        before = {name: os.lstat(os.path.join(ground.outside, name)).st_mode for name in os.listdir(ground.outside)}
        names = [name for name in (*GOOD.values(), "x" * 255)]
        done = ground.run("postsuper", f"-{action}", *([] if action in "sp" else ["ALL"]))
        checks.ok(done.returncode == 0 and clean(done.stderr), f"postsuper -{action} among planted files ends well", f"{done}")
        after = {name: os.lstat(os.path.join(ground.outside, name)).st_mode for name in os.listdir(ground.outside)}
        checks.equal(after, before, f"postsuper -{action} touches nothing that a link leads to")
        there = [ground.find(name) for name in names if action != "s"]  # -s gives other names
        checks.ok(all(sum(place.split("/")[0] in spools.MESSAGES for place in places) == (action != "d") for places in there),
                  "postsuper -d: each message has gone" if action == "d" else f"postsuper -{action}: each message is there once",
                  str(there))


def unreadable(checks, ground):
    for action, where in (("h", "hold"), ("r", "maildrop"), ("e", ""), ("d", ""), ("p", "")):
        ground.fresh()
        ground.unreadable()
        done = ground.run("postsuper", f"-{action}", *([] if action == "p" else ["ALL"]))
        checks.ok(done.returncode == 1 and b"deferred/3: Permission denied" in done.stderr,
                  f"postsuper -{action} names a directory that it cannot read", str(done))
        if action == "e":
            checks.ok(b"expire file deferred/2/2F4B6A72400: cannot open file: Permission denied" in done.stderr, "and a file",
                      str(done))
            modes = [os.stat(os.path.join(ground.spool, folder, name)).st_mode & 0o7777 for folder, name in GOOD.items()]
            checks.equal(modes, [0o710] * 3, "postsuper -e expires all others")
        elif where:
            checks.equal([ground.find(name) for name in (*GOOD.values(), "2F4B6A72400")],
                         [[f"{where}/{name}"] for name in (*GOOD.values(), "2F4B6A72400")],
                         f"postsuper -{action} treats all others")
        checks.equal(ground.find("3F4B6A72400"), ["deferred/3/3F4B6A72400"], f"postsuper -{action} leaves the one it cannot see")
    ground.fresh()
    ground.unreadable()
    done = ground.run("postqueue", "-j")
    checks.ok(done.returncode == 0 and done.stdout.count(b"queue_id") >= 3, "postqueue lists the others", str(done))
    checks.ok(b"warning: open directory deferred/3: Permission denied" in ground.run("postqueue", "-p", user=UID).stderr or
              done.stdout.count(b"queue_id") == 5, "and says what it cannot read, unless it can", str(done))


def full_disk(checks, ground):
    """No room for a hash directory or for an entry of a directory: the message stays where it is."""
    shutil.rmtree(ground.spool, ignore_errors=True)
    os.mkdir(ground.spool)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=60", "tmpfs", ground.spool], capture_output=True, text=True)
    if done.returncode:
        checks.note(f"no private tmpfs: {done.stderr}")
        return
    try:
        spools.make_directories(ground.spool, UID, 0)
        names = []
        try:
            for n in range(100):
                ground.put(f"hold/{n:05X}A72400")
                names.append(f"{n:05X}A72400")
        except OSError:
            pass
        done = ground.run("postsuper", "-H", "ALL")
        checks.ok(done.returncode == 1 and b"No space left on device" in done.stderr, "postsuper -H without room for a directory says so",
                  str(done))
        checks.ok(all(len(ground.find(name)) == 1 for name in names), "and every message is where it was", str(names))
        subprocess.run(["mount", "-o", "remount,nr_inodes=200", ground.spool], check=True)
        done = ground.run("postsuper", "-H", "ALL")
        moved = all(ground.find(name) == [f"deferred/0/{name}"] for name in names)
        checks.ok(done.returncode == 0 and moved, "with room again it goes on",
                  str(done))
    finally:
        subprocess.run(["umount", "-l", ground.spool], check=False)


def vanishing(checks, ground):
    """Files go, come and move while the commands look."""
    ground.fresh()
    stop = threading.Event()
    names = [f"{n:05X}A72400" for n in range(300)]
    for name in names:
        ground.put(f"deferred/{name[0]}/{name}")
        ground.put(f"defer/{name[0]}/{name}", b"\nrecipient=x@far.test\nreason=y\n\n", 0o600)
    places = [os.path.join(ground.spool, where) for where in ("deferred/0", "hold", "incoming", "active")]

    def churn():
        chance = random.Random(1)
        while not stop.is_set():
            name = chance.choice(names)
            source, target = chance.sample(places, 2)
            try:
                os.rename(os.path.join(source, name), os.path.join(target, name))
                if chance.random() < 0.1:
                    os.unlink(os.path.join(ground.spool, "defer/0", name))
            except FileNotFoundError:
                pass
    mover = threading.Thread(target=churn)
    mover.start()
    wrong = []
    try:
        for _ in range(5):
            for words in (["postqueue", "-p"], ["postqueue", "-j"], ["qshape", "deferred", "hold"], ["postsuper", "-h", "ALL"],
                          ["postsuper", "-H", "ALL"], ["postsuper", "-p"], ["postsuper", "-e", "ALL"], ["postsuper", "-h", "-"]):
                done = ground.run(*words, text="".join(name + "\n" for name in names).encode())
                said = [line for line in done.stderr.splitlines() if b"accessing queue directly" not in line]
                if done.returncode or any(b"warning" in line or b"fatal" in line for line in said):
                    wrong.append(f"{words}: {done.returncode} {said!r:.300}")
    finally:
        stop.set()
        mover.join()
    checks.ok(not wrong, "files that move under the commands are no trouble", "\n".join(wrong))
    counts = {len(ground.find(name)) - any(place.startswith("defer/") for place in ground.find(name)) for name in names}
    checks.equal(counts, {1}, "and each is there once")
    done = ground.run("postsuper", "-d", "ALL")
    checks.ok(done.stderr == b"postsuper: Deleted: 303 messages\n" and not any(map(ground.find, names)),
              "postsuper -d ALL then deletes them, logs too", str(done))


def beside_the_daemon(checks):
    """postsuper moves messages that the daemon moves too; in the end each has been delivered, and none is left."""
    often = {"queue_run_delay": "1s", "minimal_backoff_time": "1s", "maximal_backoff_time": "1s"}
    with Mtad({"virtual_mailbox_limit": "0", **often}) as server:
        done, number = time.monotonic() + 4, 0
        while time.monotonic() < done:
            for _ in range(6):
                number += 1
                sent = server.sendmail(b"Subject: %d\n\nbody\n" % number, "box@box.test")
                if sent.returncode:
                    raise RuntimeError(sent.stderr.decode())
            for words in (["-h", "ALL"], ["-r", "ALL", "hold"], ["-s"], ["-h", "ALL"], ["-H", "ALL"]):
                moved = server.run("postsuper", *words)
                if moved.returncode:
                    checks.ok(False, f"postsuper {' '.join(words)} beside the daemon", moved.stderr.decode())
        server.run("postsuper", "-H", "ALL")
        server.run("postqueue", "-f")
        arrived = wait_until(lambda: len(server.maildir("box")) >= number and server.is_empty(), 30)
        subjects = [int(text.split(b"Subject: ", 1)[1].split(b"\n", 1)[0]) for text in server.maildir("box")]
        missing = sorted(set(range(1, number + 1)) - set(subjects))
        checks.ok(arrived and not missing, f"{number} messages that postsuper and the daemon move at once: none is lost",
                  f"missing {missing}\n{server.queue_files()}\n{server.log()[-2000:]}")
        checks.equal(len(subjects), len(set(subjects)), "and none is doubled")
        checks.ok(not server.queue_files("corrupt"), "and none is taken for damaged", str(server.queue_files("corrupt")))


def main(checks):
    if os.geteuid() != 0:
        raise Skip("needs root")
    for name in ("postsuper", "postqueue", "postcat", "qshape", "mtad"):
        command(name)
    # Mounts of its own, seen by nobody else, and gone with the process.
    if not os.environ.get("MTAD_PRIVATE_MOUNTS"):
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-B", *sys.argv],
                   {**os.environ, "MTAD_PRIVATE_MOUNTS": "1"})
    ground = Ground()
    try:
        for part in (planted, unreadable, full_disk, vanishing):
            part(checks, ground)
        beside_the_daemon(checks)
    finally:
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(ground.directory, ignore_errors=True)


run(main)
