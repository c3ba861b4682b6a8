"""Runs our daemon and commands from the build tree on a private directory."""
import grp
import os
import pwd
import signal
import subprocess

from checks import build_root, command, wait_until
from server import DROP_GROUP, OWNER, Server, is_listening, kill_quietly, wait_gone


class Mtad(Server):
    process = None

    def command(self, name):
        if name in ("mailq", "newaliases"):  # told apart by the name they are called by
            command(name)
            return os.path.join(self.directory, "bin", name)
        return command(name)

    def _own_parameters(self):
        mine = super()._own_parameters()
        build = build_root()
        mine.update({
            "command_directory": os.path.join(self.directory, "bin"),
            "daemon_directory": os.path.join(build, "bin", "mtad"),
            "sendmail_path": os.path.join(self.directory, "bin", "sendmail"),
            "mailq_path": os.path.join(self.directory, "bin", "mailq"),
            "newaliases_path": os.path.join(self.directory, "bin", "newaliases"),
        })
        return mine

    def environment(self):
        return {"MAIL_CONFIG": self.config, "PATH": os.path.join(self.directory, "bin") + ":/usr/bin:/bin", "LC_ALL": "C",
                "TZ": "UTC", **{name: os.environ[name] for name in ("LD_PRELOAD", "ASAN_OPTIONS") if name in os.environ}}

    def write_configuration(self):
        super().write_configuration()
        self.make_spool()
        # The commands find each other in command_directory, as they do once installed.
        links = os.path.join(self.directory, "bin")
        os.makedirs(links, exist_ok=True)
        for name in ("sendmail", "mailq", "newaliases", "postdrop", "postqueue", "postcat", "postmap", "postalias",
                     "postconf", "postsuper", "postlog", "postfix", "postkick", "postlock", "qshape"):
            home = {"mailq": "sendmail", "newaliases": "sendmail"}.get(name, name)
            target = os.path.join(build_root(), "bin", home, home)
            link = os.path.join(links, name)
            if os.path.exists(target) and not os.path.lexists(link):
                os.symlink(target, link)

    def make_spool(self):
        """The queue directories with the owners and modes that an installation gives them."""
        owner = pwd.getpwnam(OWNER).pw_uid if self.root else -1
        group = grp.getgrnam(DROP_GROUP).gr_gid if self.root else -1
        if os.path.exists(os.path.join(self.spool, "incoming")) or not os.path.isdir(self.spool):
            return
        modes = {"maildrop": 0o1730, "public": 0o2710, "pid": 0o755}
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
                     "trace", "maildrop", "public", "pid"):
            path = os.path.join(self.spool, name)
            os.makedirs(path, exist_ok=True)
            if self.root and name != "pid":
                os.chown(path, owner, group if name in ("maildrop", "public") else 0)
            os.chmod(path, modes.get(name, 0o700))

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def start(self, wrapper=(), environment=None, configure=True, wait=True, seconds=20.0):
        """Starts the daemon in the foreground and waits until it listens and has said so in the log."""
        if configure:
            self.write_configuration()
        already = self.log().count("daemon started")
        self.output = open(os.path.join(self.directory, "output"), "ab")
        self.process = subprocess.Popen(
            [*wrapper, command("mtad"), "-c", self.config, "--foreground"], stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=self.output, env={**self.environment(), **(environment or {})}, cwd="/", start_new_session=True)
        if wait:
            def ready():
                if self.process.poll() is not None:
                    return True
                return self.log().count("daemon started") > already and is_listening(self.port)
            if not wait_until(ready, seconds) or self.process.poll() is not None:
                raise RuntimeError("mtad did not start: " + self.said() + self.log()[-3000:])
        return self

    def said(self):
        with open(os.path.join(self.directory, "output"), errors="replace") as file:
            return file.read()

    def workers(self):
        """The supervisor's children and what they have started, without the supervisor."""
        return self.pids()[1:]

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def stop(self, number=signal.SIGTERM, seconds=10.0):
        """Stops the daemon; returns the supervisor's exit status, or None when it had to be killed."""
        if not self.process:
            return None
        pids = self.pids()
        kill_quietly(self.process.pid, number)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            for pid in self.pids():
                kill_quietly(pid)
            self.process.wait()
        if not wait_gone(pids, 5.0):
            status = None
            for pid in pids:
                kill_quietly(pid)
        self.output.close()
        self.process = None
        return status

    def kill_all(self):
        """The machine loses power, as far as processes can tell: everything dies at once."""
        pids = self.pids()
        for pid in pids:
            kill_quietly(pid)
        self.process.wait()
        wait_gone(pids)
        self.output.close()
        self.process = None
