"""postfix(1) as root on an installed tree: check, set-permissions, start, status, reload, flush, logrotate, stop; and its
exit statuses and texts beside the reference's."""
import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, build_root, command, need, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference  # noqa: E402
from server import free_port  # noqa: E402

UID, GID = 931, 932


def install(directory):
    """The tree of meson install, and private passwd and group files with the account it needs."""
    for name, line in (("passwd", "postfix:x:931:931::/var/spool/postfix:/usr/sbin/nologin\n"),
                       ("group", "postfix:x:931:\npostdrop:x:932:\n")):
        with open(f"/etc/{name}") as source, open(os.path.join(directory, name), "w") as copy:
            copy.write("".join(old for old in source if not old.startswith(("postfix:", "postdrop:"))) + line)
    done = inside(directory, ["meson", "install", "-C", build_root(), "--no-rebuild"], {"DESTDIR": f"{directory}/root"}, 150)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def inside(directory, words, environment=None, timeout=60):
    script = 'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"'
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, directory, *words],
                          capture_output=True, text=True, timeout=timeout, env={**os.environ, **(environment or {})}, cwd="/",
                          stdin=subprocess.DEVNULL)


class Installed:
    def __init__(self, directory):
        self.directory = directory
        self.root = os.path.join(directory, "root")
        self.spool = self.root + "/var/spool/postfix"
        self.config = self.root + "/etc/postfix"
        self.log_path = os.path.join(directory, "mail.log")
        os.makedirs(self.config, exist_ok=True)
        with open(self.config + "/main.cf", "w") as file:
            file.write(f"compatibility_level = 3.6\nqueue_directory = {self.spool}\ndata_directory = {self.root}/var/lib/postfix\n"
                       f"command_directory = {self.root}/usr/sbin\ndaemon_directory = {self.root}/usr/lib/postfix/sbin\n"
                       f"sendmail_path = {self.root}/usr/sbin/sendmail\nmaillog_file = {self.log_path}\n"
                       "maillog_file_prefixes = /\nmyhostname = mx.example.test\ninet_interfaces = 127.0.0.1\n"
                       "inet_protocols = ipv4\nalias_maps =\nlocal_recipient_maps =\n")
        with open(self.config + "/master.cf", "w") as file:
            file.write(f"127.0.0.1:{free_port()} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\n"
                       "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nerror unix - - n - - error\n"
                       "showq unix n - n - - showq\nflush unix n - n 1000? 0 flush\n")

    def postfix(self, *words):
        return inside(self.directory, [self.root + "/usr/sbin/postfix", "-c", self.config, *words], {"TZ": "UTC"})

    def log(self):
        return open(self.log_path).read() if os.path.exists(self.log_path) else ""

    def mode(self, place):
        found = os.stat(os.path.join(self.root, place))
        return oct(stat.S_IMODE(found.st_mode)), found.st_uid, found.st_gid


def spoil(tree):
    """What careless hands do to an installation."""
    shutil.rmtree(tree.spool + "/trace")
    os.chmod(tree.spool + "/maildrop", 0o777)
    os.chown(tree.spool + "/active", 0, 0)
    os.chown(tree.spool + "/public", UID, 0)
    os.chmod(tree.root + "/usr/sbin/postdrop", 0o755)
    os.chown(tree.root + "/usr/sbin/postqueue", 0, 0)


def test_check(checks, tree):
    done = tree.postfix("check")
    checks.equal((done.returncode, tree.log()), (0, ""), "a fresh installation is as check wants it")
    spoil(tree)
    done = tree.postfix("check")
    said = tree.log() + done.stderr
    checks.equal(done.returncode, 0, "check goes on after warnings")
    for place, words in (("trace", "creating missing directory"), ("maildrop", "mode 0777 instead of 0730"),
                         ("active", "not owned by postfix"), ("public", "not owned by group postdrop"),
                         ("postdrop", "not set-gid or not owner+group+world executable"),
                         ("postqueue", "not owned by group postdrop")):
        checks.ok(re.search(re.escape(words) + r".*/" + place + r"\b", said), f"check says about {place}: {words}", said)
    done = tree.postfix("set-permissions")
    checks.equal(done.returncode, 0, "set-permissions succeeds")
    for place, seen in (("maildrop", ("0o730", UID, GID)), ("active", ("0o700", UID, 0)), ("public", ("0o710", UID, GID)),
                        ("trace", ("0o700", UID, 0))):
        checks.equal(tree.mode("var/spool/postfix/" + place), seen, f"set-permissions corrects {place}")
    for name in ("postdrop", "postqueue"):
        checks.equal(tree.mode("usr/sbin/" + name), ("0o2555", 0, GID), f"set-permissions corrects {name}")
    before = tree.log()
    checks.ok(tree.postfix("check").returncode == 0 and tree.log() == before, "afterwards check has nothing to say", tree.log())
    with open(tree.config + "/main.cf", "a") as file:
        file.write("bogus line\n")
    done = tree.postfix("check")
    checks.ok(done.returncode == 1 and "main.cf, line" in done.stderr, "check refuses a main.cf that does not parse", done.stderr)
    with open(tree.config + "/main.cf") as file:
        text = file.read()
    with open(tree.config + "/main.cf", "w") as file:
        file.write(text.replace("bogus line\n", ""))


def test_life(checks, tree):
    checks.equal(tree.postfix("status").returncode, 1, "status of a stopped system is 1")
    done = tree.postfix("start")
    try:
        checks.equal(done.returncode, 0, "start succeeds")
        checks.ok(wait_until(lambda: "daemon started" in tree.log(), 10), "the daemon has started", done.stderr + tree.log())
        checks.equal(tree.postfix("status").returncode, 0, "status of a running system is 0")
        checks.ok("the Postfix mail system is running: PID: " in tree.log(), "and says its number", tree.log())
        checks.equal(tree.postfix("start").returncode, 1, "a second start is refused")
        checks.equal(tree.postfix("reload").returncode, 0, "reload succeeds")
        checks.ok(wait_until(lambda: "reload -- version" in tree.log(), 10), "the daemon has reloaded", tree.log()[-500:])
        checks.equal(tree.postfix("flush").returncode, 0, "flush succeeds")
        lines = tree.log()
        done = tree.postfix("logrotate")
        old = glob.glob(tree.log_path + ".*")
        checks.ok(done.returncode == 0 and len(old) == 1 and old[0].endswith(".gz"), "logrotate moves and compresses the log",
                  f"{done.returncode} {done.stderr} {old}")
        if old:
            unpacked = subprocess.run(["gzip", "-dc", old[0]], capture_output=True, text=True).stdout
            checks.ok(unpacked.startswith(lines[:200]), "the old log holds the old lines")
        tree.postfix("flush")
        tree.postfix("status")
        checks.ok(wait_until(lambda: "is running: PID" in tree.log(), 5) and lines[:80] not in tree.log(),
                  "the daemon goes on in a new file")
    finally:
        done = tree.postfix("stop")
    checks.equal(done.returncode, 0, "stop succeeds")
    checks.equal([tree.postfix(verb).returncode for verb in ("status", "stop", "reload", "flush", "abort")], [1] * 5,
                 "nothing of it works on a stopped system")


def words_of(system, verb, environment=None):
    """Status, and what the log says in the name of the control command."""
    before = len(system.log())
    done = system.run("postfix", *verb.split(), environment=environment)
    size = -1
    while size != len(system.log()):  # the reference's log is written by a process of its own
        size = len(system.log())
        time.sleep(0.3)
    # What is odd about a build tree is another thing for each of the two.
    lines = [line for line in re.findall(r"postfix/postfix-script\[\d+\]: (.*)", system.log()[before:])
             if not line.startswith("warning: not ") and not line.startswith("warning: mode ")]
    return done.returncode, [re.sub(r"PID: \d+", "PID: N", line) for line in lines]


def test_beside_reference(checks):
    equal = total = 0
    with Reference() as reference, Mtad() as ours:
        for state in ("running", "stopped"):
            for verb in ("status", "start", "reload", "flush", "check", "nonsense", "stop" if state == "stopped" else "status",
                         "abort" if state == "stopped" else "status"):
                one, two = words_of(reference, verb), words_of(ours, verb)
                total += 1
                # The whole list of verbs is not the same yet.
                cut = [(status, [line.split(". Usage")[0] for line in lines]) for status, lines in (one, two)]
                equal += checks.equal(cut[1], cut[0], f"postfix {verb}, {state}: status and words")
            reference.stop()
            ours.stop()
    checks.note(f"postfix: {equal} of {total} equal")


def main(checks):
    need("meson", "unshare", "gzip")
    command("postfix")
    if os.geteuid() != 0:
        raise Skip("needs root")
    with tempfile.TemporaryDirectory(dir=os.environ.get("MTAD_TEST_DIRECTORY")) as directory:
        os.chmod(directory, 0o755)
        install(directory)
        tree = Installed(directory)
        test_check(checks, tree)
        test_life(checks, tree)
    test_beside_reference(checks)


run(main)
