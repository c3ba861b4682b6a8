"""What our daemon and the reference have in common when a test runs them: a private directory with configuration, spool,
mail store and log, and the questions a test asks of them."""
import glob
import os
import pwd
import grp
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from checks import wait_until

# Existing system accounts: the host gains no user.
OWNER = "daemon"
DROP_GROUP = "operator"
STORE_USER = "nobody"

PARAMETERS = {
    "compatibility_level": "3.6",
    "myhostname": "mx.example.test",
    "mydomain": "example.test",
    "myorigin": "$mydomain",
    "mydestination": "$myhostname, localhost, example.test",
    "mynetworks": "127.0.0.0/8",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "biff": "no",
    "smtpd_banner": "$myhostname ESMTP test",
    "notify_classes": "",
    "maillog_file_rotate_suffix": "%Y%m%d-%H%M%S",
    "virtual_mailbox_domains": "box.test",
    "virtual_minimum_uid": "100",
    "relay_domains": "",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "smtpd_peername_lookup": "no",
    "smtp_host_lookup": "native",
    "default_process_limit": "100",
    "minimal_backoff_time": "300s",
}

SERVICES = """\
{listeners}
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""

_used_ports = {}  # and what keeps others from them


def free_port():
    """A loopback TCP port that nobody uses now, below the range the kernel picks from for outgoing connections. No other
    test gets it before this one ends."""
    import random
    while True:
        port = random.randrange(15000, 31000)
        if port in _used_ports:
            continue
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0mtad-test-port-{port}")
        except OSError:
            claim.close()
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _used_ports[port] = claim
        return port


def is_listening(port, host="127.0.0.1"):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def new_directory(prefix="mtad-test-"):
    """A private tree that unprivileged servers can reach; short, since socket names hold 107 bytes."""
    path = tempfile.mkdtemp(prefix=prefix, dir=os.environ.get("MTAD_TEST_DIRECTORY"))
    os.chmod(path, 0o755)
    return path


def process_tree(pid):
    """pid and all its descendants that are alive, parents first."""
    children = {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as file:
                text = file.read()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2:].split()
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(text.split(" ", 1)[0]))
    found, todo = [], [pid]
    while todo:
        current = todo.pop(0)
        if os.path.exists(f"/proc/{current}"):
            found.append(current)
        todo += sorted(children.get(current, []))
    return found


class Server:
    """A mail system on a private directory. Subclasses know how to start and stop one."""

    def __init__(self, parameters=None, services="", directory=None, port=None, listener_options="",
                 boxes=("box", "joe", "ann", "kim", "mbox")):
        self.root = os.geteuid() == 0
        self.directory = directory or new_directory()
        self.owns_directory = directory is None
        self.config = os.path.join(self.directory, "etc")
        self.spool = os.path.join(self.directory, "spool")
        self.data = os.path.join(self.directory, "data")
        self.store = os.path.join(self.directory, "store")
        self.log_path = os.path.join(self.directory, "mail.log")
        self.port = port or free_port()
        self.extra_services = services
        self.boxes = boxes
        self.listener_options = listener_options
        self.parameters = dict(PARAMETERS)
        self.parameters.update(self._own_parameters())
        self.parameters.update(parameters or {})

    def _own_parameters(self):
        user = pwd.getpwnam(STORE_USER) if self.root else pwd.getpwuid(os.geteuid())
        mine = {
            "queue_directory": self.spool,
            "data_directory": self.data,
            "maillog_file": self.log_path,
            "maillog_file_prefixes": "/",
            "virtual_mailbox_base": self.store,
            "virtual_mailbox_maps": f"texthash:{self.config}/boxes",
            "virtual_uid_maps": f"static:{user.pw_uid}",
            "virtual_gid_maps": f"static:{user.pw_gid}",
            "mail_owner": OWNER if self.root else user.pw_name,
            "setgid_group": DROP_GROUP if self.root else grp.getgrgid(os.getegid()).gr_name,
            "default_privs": STORE_USER if self.root else user.pw_name,
        }
        return mine

    def write_configuration(self):
        for path in (self.config, self.data, self.spool, self.store):
            os.makedirs(path, exist_ok=True)
        os.chmod(self.data, 0o700)
        if self.root:
            owner = pwd.getpwnam(OWNER)
            os.chown(self.data, owner.pw_uid, owner.pw_gid)
            store = pwd.getpwnam(STORE_USER)
            os.chown(self.store, store.pw_uid, store.pw_gid)
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            for name, value in self.parameters.items():
                if value is not None:
                    file.write(f"{name} = {value}\n")
        listener = f"127.0.0.1:{self.port} inet n - n - - smtpd\n{self.listener_options}"
        with open(os.path.join(self.config, "master.cf"), "w") as file:
            file.write(SERVICES.format(listeners=listener.rstrip("\n")))
            file.write(self.extra_services)
        boxes = os.path.join(self.config, "boxes")
        if not os.path.exists(boxes):
            with open(boxes, "w") as file:
                # Whatever begins with "mbox" is an mbox file, all else a Maildir.
                for user in self.boxes:
                    file.write(f"{user}@box.test {user}{'' if user.startswith('mbox') else '/'}\n")
        for extra in ("transport", "virtual", "aliases"):
            path = os.path.join(self.config, extra)
            if not os.path.exists(path):
                open(path, "w").close()
        os.chmod(self.config, 0o755)

    # Questions ----------------------------------------------------------------------------------------------------
    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except OSError:
            return ""

    def wait_log(self, text, seconds=10.0):
        return wait_until(lambda: text in self.log(), seconds)

    def queue_files(self, *queues):
        """(queue, path) of each queue file, whatever the depth of its directory."""
        found = []
        for queue in queues or ("maildrop", "incoming", "active", "deferred", "hold", "corrupt"):
            for base, _, names in os.walk(os.path.join(self.spool, queue)):
                found += [(queue, os.path.join(base, name)) for name in names]
        return found

    def is_empty(self):
        """No mail waits. A file that its writer never completed is none: nobody was told that it is there."""
        for queue, path in self.queue_files("maildrop", "incoming", "active", "deferred", "hold"):
            try:
                if queue not in ("maildrop", "incoming") or os.stat(path).st_mode & 0o100:
                    return False
            except FileNotFoundError:
                return False
        return True

    def wait_empty(self, seconds=30.0):
        return wait_until(self.is_empty, seconds, 0.05)

    def maildir(self, user):
        """The messages in that user's Maildir, as bytes."""
        messages = []
        for path in sorted(glob.glob(os.path.join(self.store, user, "new", "*"))):
            with open(path, "rb") as file:
                messages.append(file.read())
        return messages

    def pids(self):
        return process_tree(self.pid) if self.pid else []

    def run(self, name, *arguments, input=None, timeout=60, environment=None):
        """Runs one of this system's commands on this configuration; returns a CompletedProcess with bytes."""
        return subprocess.run([self.command(name), *arguments], input=input, capture_output=True, timeout=timeout,
                              env={**self.environment(), **(environment or {})}, cwd="/")

    def sendmail(self, message, *arguments, sender="sender@example.test"):
        return self.run("sendmail", "-f", sender, "-i", *arguments, input=message)

    # Life ---------------------------------------------------------------------------------------------------------
    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None and kind.__name__ != "Skip":
            print("# --- end of the mail log ---")
            for line in self.log().splitlines()[-40:]:
                print("#", line)
        self.stop()
        self.remove()

    def remove(self):
        if self.owns_directory and not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)


def kill_quietly(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def wait_gone(pids, seconds=10.0):
    def gone():
        for pid in pids:
            try:
                with open(f"/proc/{pid}/stat") as file:
                    text = file.read()
            except OSError:
                continue
            if text[text.rindex(")") + 2] != "Z":
                return False
        return True
    return wait_until(gone, seconds)
