"""postdrop beside the reference's for an ordinary user: set-gid copies of both, run as nobody in a mount namespace whose /etc
is the test's own, so that the caller's environment, rights and signals count as they do once installed."""
import grp
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks as harness  # noqa: E402
from checks import Skip  # noqa: E402
from postdrop import HEAD, TAIL, stream  # noqa: E402
from reference import library_path, reference_root, tool  # noqa: E402
from sendmail import normal, records, side_by_side  # noqa: E402
from server import DROP_GROUP, OWNER  # noqa: E402

USER = "nobody"
PLAIN = stream(*HEAD, *TAIL)


def sent_by(sender):
    return stream("Arewrite_context=local", "S" + sender, "Rbob", *TAIL)


# name: (lines for main.cf, input, arguments, environment)
CASES = {
    "plain": ("", PLAIN, ["-r"], {}),
    "without an answer": ("", PLAIN, [], {}),
    "bad input": ("", b"garbage", ["-r"], {}),
    "a sender to whom nobody has a right": ("local_login_sender_maps = inline:{{*=x@y.test}}", sent_by("joe"), ["-r"], {}),
    "a sender to whom the user has a right": ("local_login_sender_maps = inline:{{nobody=x@y.test joe}}", sent_by("joe"), ["-r"], {}),
    "the user's own name": ("local_login_sender_maps = inline:{{nobody=nobody}}", sent_by("nobody"), ["-r"], {}),
    "the null sender": ("local_login_sender_maps = inline:{{nobody=joe}}", sent_by(""), ["-r"], {}),
    "the null sender by its name": ("local_login_sender_maps = inline:{{nobody=<>}}", sent_by(""), ["-r"], {}),
    "a default for others": ("local_login_sender_maps = inline:{{root=*}}, static:joe", sent_by("joe"), ["-r"], {}),
    "a table that is not there": ("local_login_sender_maps = hash:/nonexistent", sent_by("joe"), ["-r"], {}),
    **{f"authorized_submit_users = {words}": (f"authorized_submit_users = {words}", PLAIN, ["-r"], {})
       for words in ("!nobody, static:all", "bob", "nobody", "", "!bob, static:all", "static:anyone", "NOBODY", "65534")},
    "a time zone": ("", PLAIN, ["-r"], {"TZ": "Asia/Tokyo"}),
    "a time zone that names a file": ("", PLAIN, ["-r"], {"TZ": ":/etc/shadow"}),
    "a configuration directory of the user's": ("", PLAIN, ["-r"], {"MAIL_CONFIG": "ELSEWHERE"}),
    "one that is not there": ("", PLAIN, ["-r"], {"MAIL_CONFIG": "/nonexistent"}),
    "an empty one": ("", PLAIN, ["-r"], {"MAIL_CONFIG": ""}),
    "a relative one": ("", PLAIN, ["-r"], {"MAIL_CONFIG": "tmp"}),
    "the default's by its name": ("", PLAIN, ["-r"], {"MAIL_CONFIG": "/etc/postfix"}),
    "the default's with a slash": ("", PLAIN, ["-r"], {"MAIL_CONFIG": "/etc/postfix/"}),
    "one by option": ("", PLAIN, ["-r", "-c", "ELSEWHERE"], {}),
    "one that is listed": ("alternate_config_directories = /x, ELSEWHERE", PLAIN, ["-r"], {"MAIL_CONFIG": "ELSEWHERE"}),
    "one that is listed, by option": ("multi_instance_directories = ELSEWHERE", PLAIN, ["-r", "-c", "ELSEWHERE"], {}),
    "names for the log": ("", PLAIN, ["-r"], {"MAIL_LOGTAG": "forged", "POSTLOG_HOSTNAME": "forged", "POSTLOG_SERVICE": "forged"}),
    "names for the log, refused": ("", b"garbage", ["-r"], {"MAIL_LOGTAG": "forged", "POSTLOG_HOSTNAME": "forged"}),
    "shown workings": ("", PLAIN, ["-r"], {"MAIL_DEBUG": "1"}),
    "libraries": ("", PLAIN, ["-r"], {"LD_LIBRARY_PATH": "/tmp", "LD_PRELOAD": "/tmp/x.so", "IFS": "x", "ENV": "/tmp/x", "HOME": "/tmp"}),
    "import_environment": ("import_environment = TZ=Asia/Tokyo X=y", PLAIN, ["-r"], {"TZ": "Europe/Paris"}),
    "a limit": ("message_size_limit = 100", stream(*HEAD, "M", *["N" + "x" * 70] * 9, "X", "E"), ["-r"], {}),
    "an unknown option": ("", PLAIN, ["-x"], {}),
}


class World:
    """One system's set-gid postdrop, with an /etc of its own."""

    def __init__(self, system, program, libraries=None):
        self.system, self.left = system, 0
        directory = system.directory
        self.etc, self.elsewhere = os.path.join(directory, "etcetera"), os.path.join(directory, "elsewhere")
        os.makedirs(os.path.join(self.etc, "postfix"))
        for name in ("passwd", "group", "nsswitch.conf", "localtime", "ld.so.conf", "hosts"):
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, self.etc)
        shutil.copytree("/etc/ld.so.conf.d", os.path.join(self.etc, "ld.so.conf.d"))
        if libraries:
            with open(os.path.join(self.etc, "ld.so.conf"), "a") as file:
                file.write(libraries + "\n")
        with open(os.path.join(system.config, "main.cf")) as file:
            self.base = "".join(line for line in file if "port_environment" not in line)
        os.makedirs(self.elsewhere)
        with open(os.path.join(self.elsewhere, "main.cf"), "w") as file:
            file.write(self.base)
        self.program = os.path.join(directory, "postdrop")
        shutil.copy(program, self.program)
        os.chown(self.program, 0, grp.getgrnam(DROP_GROUP).gr_gid)
        os.chmod(self.program, 0o2755)
        if os.statvfs(self.program).f_flag & os.ST_NOSUID:
            raise Skip("the test's directory does not honour set-gid programs")
        subprocess.run([*self.inside(), "/sbin/ldconfig", "-X"], check=True)

    def inside(self):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', self.etc]

    def start(self, lines, words, environment):
        with open(os.path.join(self.etc, "postfix", "main.cf"), "w") as file:
            file.write(self.base + "\n" + lines.replace("ELSEWHERE", self.elsewhere) + "\n")
        user = pwd.getpwnam(USER)
        environment = {name: value.replace("ELSEWHERE", self.elsewhere) for name, value in environment.items()}
        words = [word.replace("ELSEWHERE", self.elsewhere) for word in words]
        return subprocess.Popen(
            [*self.inside(), "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "env", "-i",
             "PATH=/usr/bin:/bin", *[f"{name}={value}" for name, value in environment.items()], self.program, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")

    def kept(self):
        """What lies in maildrop/ now, which then goes."""
        folder, found = os.path.join(self.system.spool, "maildrop"), []
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            status = os.stat(path)
            if status.st_mode & 0o100:  # complete; the reference leaves what it has refused
                found.append((oct(status.st_mode & 0o7777), status.st_uid, status.st_gid, normal(records(path), name)))
            self.left += not status.st_mode & 0o100
            os.unlink(path)
        return found

    def shown(self, text):
        lines = re.sub(r"^\S*postdrop: ", "postdrop: ", text.decode(errors="replace"), flags=re.M)
        return [line for line in lines.replace(self.system.directory, "HERE").splitlines() if "public/pickup" not in line]

    def outcome(self, status, out, err):
        return status, re.sub(rb"(queue_id\0)\w+", rb"\1ID", out), self.shown(err), self.kept()

    def play(self, lines, text, words, environment):
        process = self.start(lines, words, environment)
        out, err = process.communicate(text, timeout=60)
        status, out, err, kept = self.outcome(process.returncode, out, err)
        if "MAIL_DEBUG" in environment:
            err = [line for line in err if "fatal" in line]
        return status, out, err, kept

    def told(self, number):
        """What comes of it when its caller's signal comes in the middle."""
        process = self.start("", ["-r"], {})
        out = b""
        while not out.endswith(b"\0\0"):
            out += os.read(process.stdout.fileno(), 4096)
        process.stdin.write(stream(*HEAD, "M", *["N" + "x" * 100] * 500))
        process.stdin.flush()
        subprocess.run(["setpriv", f"--reuid={pwd.getpwnam(USER).pw_uid}", "--clear-groups", "kill", f"-{int(number)}", str(process.pid)],
                       check=True)
        more, err = process.communicate(timeout=60)
        return self.outcome(process.returncode, out + more, err)


def closed(world):
    """Without standard descriptors."""
    seen = []
    for number in (0, 1, 2):
        process = world.start("", ["-r"], {})
        process.kill()
        process.communicate()
        words = [*world.inside(), "setpriv", f"--reuid={pwd.getpwnam(USER).pw_uid}", "--clear-groups", "sh", "-c",
                 f'exec "$0" -r {number}{"<&-" if number == 0 else ">&-"}', world.program]
        done = subprocess.run(words, input=PLAIN, capture_output=True, timeout=60, cwd="/", env={"PATH": "/usr/bin:/bin"})
        seen.append((number, done.returncode, [len(world.kept())]))
    return seen


def main(checks):
    reference_root()
    with side_by_side("postdrop") as (ours, theirs):
        for name, mode in (("maildrop", 0o1730), ("public", 0o2710)):
            path = os.path.join(ours.spool, name)
            os.chown(path, pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(DROP_GROUP).gr_gid)
            os.chmod(path, mode)
        worlds = World(ours, harness.command("postdrop")), World(theirs, tool("postdrop"), library_path())
        for name, case in CASES.items():
            seen, expected = (world.play(*case) for world in worlds)
            if name == "a table that is not there":  # refused in our own way, with an answer
                seen, expected = ((bool(one[2]), one[3]) for one in (seen, expected))
            checks.equal(seen, expected, name)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            seen, expected = (world.told(number) for world in worlds)
            checks.equal(seen, expected, f"{number.name} in the middle")
        checks.equal(worlds[0].left, 0, "what was refused is gone")
        checks.equal(*(closed(world) for world in worlds), "without a standard descriptor")


harness.run(main)
