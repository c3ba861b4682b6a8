"""Runs the reference from its unpacked Debian packages (scripts/fetch-reference), never installed.

Each instance lives in a private mount namespace with a resolver configuration of its own, so that no test asks the
machine's name server."""
import os
import signal
import subprocess

from checks import Skip, project_root, wait_until
from server import Server, is_listening, kill_quietly, wait_gone


def reference_root():
    root = os.environ.get("MTAD_REFERENCE") or os.path.join(project_root(), "build", "reference", "root")
    if not os.path.exists(os.path.join(root, "usr/sbin/postconf")):
        raise Skip("the reference is not there: run scripts/fetch-reference")
    return root


def library_path():
    return os.path.join(reference_root(), "usr/lib/postfix")


def tool(name):
    """Path of one of the reference's programs, be it a command or a daemon."""
    root = reference_root()
    for folder in ("usr/sbin", "usr/bin", "usr/lib/postfix/sbin"):
        path = os.path.join(root, folder, {"mailq": "sendmail", "newaliases": "sendmail"}.get(name, name))
        if os.path.exists(path):
            return path
    raise Skip(f"the reference has no {name}")


class Reference(Server):
    pid = None
    holder = None
    nameserver = "127.0.0.1"

    def command(self, name):
        return tool(name)

    def _own_parameters(self):
        root = reference_root()
        environment = f"MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH={library_path()}"
        mine = super()._own_parameters()
        mine.update({
            "daemon_directory": f"{root}/usr/lib/postfix/sbin",
            "shlib_directory": f"{root}/usr/lib/postfix",
            "command_directory": f"{root}/usr/sbin",
            "sendmail_path": f"{root}/usr/sbin/sendmail",
            "mailq_path": f"{root}/usr/sbin/sendmail",
            "newaliases_path": f"{root}/usr/sbin/sendmail",
            "meta_directory": os.path.join(self.directory, "meta"),
            "import_environment": environment,
            "export_environment": environment,
            "queue_run_delay": "5s",
        })
        return mine

    def environment(self):
        return {"MAIL_CONFIG": self.config, "PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC",
                "LD_LIBRARY_PATH": library_path()}

    def write_configuration(self):
        super().write_configuration()
        root = reference_root()
        meta = os.path.join(self.directory, "meta")
        os.makedirs(meta, exist_ok=True)
        for source, name in ((f"{root}/etc/postfix/postfix-files", "postfix-files"),
                             (f"{root}/usr/share/postfix/dynamicmaps.cf", "dynamicmaps.cf"),
                             (f"{root}/etc/postfix/dynamicmaps.cf", "dynamicmaps.cf")):
            if os.path.exists(source):
                with open(source) as file, open(os.path.join(meta, name), "w") as copy:
                    copy.write(file.read())
        with open(os.path.join(self.directory, "resolv.conf"), "w") as file:
            file.write(f"nameserver {self.nameserver}\noptions timeout:1 attempts:1\n")

    def in_namespace(self, *arguments):
        """Command line that runs arguments where this instance's resolver configuration is in force."""
        script = 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script,
                os.path.join(self.directory, "resolv.conf"), *arguments]

    def start(self, configure=True, seconds=30.0):
        if not self.root:
            raise Skip("the reference's daemon needs root")
        if configure:
            self.write_configuration()
        # Directories with the right owners; "check" makes them and reports what is odd.
        check = self.run("postfix", "check", timeout=60)
        if check.returncode:
            raise RuntimeError(f"reference's check: {check.stderr.decode(errors='replace')}")
        already = self.log().count("daemon started")
        self.output = open(os.path.join(self.directory, "output"), "ab")
        self.process = subprocess.Popen(
            self.in_namespace(tool("master"), "-c", self.config, "-s"), stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=self.output, env={**self.environment(), "MAIL_LOGTAG": "postfix"}, cwd="/", start_new_session=True)
        self.pid = self.process.pid

        def ready():
            if self.process.poll() is not None:
                return True
            return self.log().count("daemon started") > already and is_listening(self.port)
        if not wait_until(ready, seconds) or self.process.poll() is not None:
            with open(os.path.join(self.directory, "output"), errors="replace") as file:
                raise RuntimeError("the reference did not start: " + file.read() + self.log()[-3000:])
        return self

    def flush(self):
        return self.run("postqueue", "-f")

    def stop(self, number=signal.SIGTERM, seconds=10.0):
        if not self.pid:
            return None
        pids = self.pids()
        kill_quietly(self.pid, number)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            kill_quietly(self.pid)
            self.process.wait()
        # The master leaves its children to notice; a test wants them gone now.
        if not wait_gone(pids, 0.5):
            for pid in pids:
                kill_quietly(pid, signal.SIGTERM)
            if not wait_gone(pids, 2.0):
                for pid in pids:
                    kill_quietly(pid)
                wait_gone(pids)
        self.output.close()
        self.pid = None
        return status
