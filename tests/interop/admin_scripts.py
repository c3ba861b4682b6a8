"""Shell scripts as administrators write them (scripts/): unchanged, with the reference's commands and with ours, on the same queue:
the same output, and the same queue afterwards."""
import glob
import grp
import os
import pwd
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import spools  # noqa: E402
from checks import Skip, command, need, project_root, run  # noqa: E402
from reference import library_path, tool  # noqa: E402
from server import DROP_GROUP, OWNER, new_directory  # noqa: E402

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts")
GOLDEN = os.path.join(project_root(), "testdata/queue")
NAMES = ("mailq", "sendmail", "postqueue", "postsuper", "postcat", "postconf", "qshape")
PLACES = [("deferred/1", "1F4B6", "smtp_dsn"), ("deferred/E", "E097C", "sixty_recipients"), ("hold", "8D8ED", "milter_edited"),
          ("deferred/D", "D3257", "sendmail_dsn_extracted"), ("hold", "D894D", "null_sender_long_line"), ("deferred/D", "DB8F0", "verp"),
          ("incoming", "AC8BF", "bounce"), ("deferred/5", "57814", "sendmail"), ("deferred/6", "6000A", "delay_warning"),
          ("active", "70001", "success_report")]
LOGS = {"1F4B6": "smtp_dsn.defer", "E097C": "sixty_recipients.defer"}


class Ground:
    def __init__(self):
        self.directory = new_directory()
        self.template, self.spool, self.config = (os.path.join(self.directory, name) for name in ("template", "spool", "etc"))
        os.makedirs(self.config)
        uid, gid = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(DROP_GROUP).gr_gid
        spools.make_directories(self.template, uid, gid)
        for folder, microseconds, source in PLACES:
            self.put(source, folder, microseconds, 0o700, uid)
            if microseconds in LOGS:
                self.put(LOGS[microseconds], "defer/" + microseconds[0], microseconds, 0o600, uid)
        spools.settle(self.template)
        for whose in ("ours", "theirs"):
            os.makedirs(os.path.join(self.directory, whose))
            for name in NAMES:
                program = command(name) if whose == "ours" else tool(name)
                os.symlink(program, os.path.join(self.directory, whose, name))
        environment = f"MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH={library_path()}"
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            file.write(f"mail_owner = {OWNER}\nsetgid_group = {DROP_GROUP}\nqueue_directory = {self.spool}\nmyhostname = mx.example.test\n"
                       f"data_directory = {self.directory}\ninet_interfaces = 127.0.0.1\ndaemon_directory = {library_path()}/sbin\n"
                       f"shlib_directory = {library_path()}\nimport_environment = {environment}\nexport_environment = {environment}\n"
                       "command_directory = " + os.path.join(self.directory, "@") + "\n")
        with open(os.path.join(self.config, "master.cf"), "w"):
            pass
        with open(os.path.join(self.config, "main.cf")) as file:
            self.main = file.read()

    def put(self, source, folder, microseconds, mode, uid):
        path = os.path.join(self.template, folder, microseconds + "A72400")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.chown(os.path.dirname(path), uid, -1)
        shutil.copyfile(os.path.join(GOLDEN, source), path)
        os.chmod(path, mode)
        os.chown(path, uid, -1)

    def result(self, whose, script):
        spools.copy(self.template, self.spool)
        path = os.path.join(self.config, "main.cf")
        with open(path, "w") as file:
            file.write(self.main.replace("@", whose))
        os.utime(path, (1, 1))
        environment = {"PATH": os.path.join(self.directory, whose) + ":/usr/bin:/bin", "MAIL_CONFIG": self.config, "LC_ALL": "C",
                       "TZ": "UTC", "MTAD_NO_FATAL_DELAY": "1"}
        if whose == "theirs":
            environment["LD_LIBRARY_PATH"] = library_path()
        done = subprocess.run([script], capture_output=True, text=True, errors="replace", timeout=100, cwd="/", env=environment)
        return done.returncode, done.stdout, said(done.stderr), spools.picture(self.spool, directories=False)


def said(text):
    """What a person reads: without the hint, told to each command, that nothing runs, and the paths of programs."""
    lines = re.sub(r"(?m)^/\S*/(\w+): ", r"\1: ", text).splitlines()
    return [line for line in lines if "accessing queue directly" not in line]


def lost_logs(picture):
    messages = {place.rsplit("/", 1)[1] for place in picture if place.split("/")[0] in spools.MESSAGES}
    return [place for place in picture if place.split("/")[0] in spools.LOGS and place.rsplit("/", 1)[1] not in messages]


def main(checks):
    need("jq", "perl", "bash", "awk")
    if os.geteuid() != 0:
        raise Skip("needs root")
    ground = Ground()
    untouched = spools.picture(ground.template, directories=False)
    try:
        for script in sorted(glob.glob(os.path.join(SCRIPTS, "*.sh"))):
            name = os.path.basename(script)
            theirs, ours = (ground.result(whose, script) for whose in ("theirs", "ours"))
            checks.equal(ours[:3], theirs[:3], f"{name}: the same status, output and messages")
            for place in lost_logs(theirs[3]):  # the reference leaves them behind where a whole queue is deleted
                del theirs[3][place]
            changed = sorted(place for place in ours[3].keys() | theirs[3].keys() if ours[3].get(place) != theirs[3].get(place))
            checks.ok(not changed, f"{name}: the same queue afterwards", changed)
            checks.ok(ours[1] or ours[3] != untouched, f"{name}: it does something", ours)
    finally:
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(ground.directory)


run(main)
