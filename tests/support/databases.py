"""Database servers that a test starts for itself: in its own directory, on a Unix socket and a loopback port, by an account
of the host that exists anyway. Each is stopped by its own process ID."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess

from checks import Skip, wait_until
from server import OWNER, free_port, is_listening

# Where Debian keeps servers that are not on everybody's path.
PATH = os.pathsep.join(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
                        *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)])


def find(program):
    path = shutil.which(program, path=PATH)
    if not path:
        raise Skip(f"{program} is not installed: scripts/packages test")
    return path


class Database:
    """One server; subclasses say how it is prepared and run."""

    def __init__(self, parent, name, port=None):
        self.directory = os.path.join(parent, name)
        os.makedirs(self.directory, exist_ok=True)
        self.port = port or free_port()
        self.process = None
        # Several of these servers refuse to be root.
        self.account = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            self.account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def run(self, *words, data=b"", check=True, timeout=120):
        done = subprocess.run([find(words[0]), *words[1:]], input=data, capture_output=True, timeout=timeout,
                              cwd=self.directory, env={"PATH": PATH, "LC_ALL": "C", "HOME": self.directory},
                              **self.account)
        if check and done.returncode:
            raise RuntimeError(f"{words[0]}: {done.stdout.decode(errors='replace')[-1500:]}"
                               f"{done.stderr.decode(errors='replace')[-1500:]}")
        return done

    def start(self):
        words = self.command()
        with open(os.path.join(self.directory, "output"), "ab") as output:
            self.process = subprocess.Popen(
                [find(words[0]), *words[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=self.directory, env={"PATH": PATH, "LC_ALL": "C", "HOME": self.directory}, start_new_session=True,
                **self.account)
        if not wait_until(lambda: self.process.poll() is not None or self.ready(), 60) or self.process.poll() is not None:
            with open(os.path.join(self.directory, "output"), errors="replace") as output:
                raise RuntimeError(f"{words[0]} did not start: {output.read()[-3000:]}")
        return self

    def ready(self):
        return is_listening(self.port)

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)


class MariaDb(Database):
    """User "mail", password "s3cret", database "mail"."""

    def __init__(self, parent, name="mariadb", **more):
        super().__init__(parent, name, **more)
        self.socket = os.path.join(self.directory, "s")
        self.run("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db",
                 f"--datadir={self.directory}/data", f"--tmpdir={self.directory}", "--innodb-log-file-size=5M")

    def command(self):
        return ["mariadbd", "--no-defaults", f"--datadir={self.directory}/data", f"--socket={self.socket}",
                f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.directory}/pid",
                f"--tmpdir={self.directory}", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=5M",
                "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]

    def ready(self):
        return self.run("mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "-e", "select 1",
                        check=False).returncode == 0

    def execute(self, text, database="mail"):
        return self.run("mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "--default-character-set=utf8mb4",
                        database, data=text.encode()).stdout.decode()

    def prepare(self):
        self.execute("CREATE DATABASE mail CHARACTER SET utf8mb4; CREATE USER mail@'%' IDENTIFIED BY 's3cret';"
                     "GRANT ALL ON mail.* TO mail@'%'; CREATE USER mail@localhost IDENTIFIED BY 's3cret';"
                     "GRANT ALL ON mail.* TO mail@localhost;", database="")
        return self


class PostgreSql(Database):
    """User "mail", password "s3cret", database "mail"; its Unix sockets are in directory."""

    def __init__(self, parent, name="postgresql", **more):
        super().__init__(parent, name, **more)
        self.run("initdb", "-D", f"{self.directory}/data", "-U", "root", "--encoding=UTF8", "--locale=C",
                 "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--no-instructions")

    def command(self):
        return ["postgres", "-D", f"{self.directory}/data", "-k", self.directory, "-p", str(self.port), "-h", "127.0.0.1",
                "-F", "-c", "shared_buffers=16MB"]

    def ready(self):
        return self.run("pg_isready", "-q", "-h", self.directory, "-p", str(self.port), check=False).returncode == 0

    def stop(self, number=signal.SIGINT):  # the fast way of stopping
        super().stop(number)

    def kill(self):
        # Its children keep the shared memory until they notice; SIGQUIT takes them along without a clean end.
        self.stop(signal.SIGQUIT)

    def execute(self, text, database="mail"):
        return self.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p", str(self.port), "-U",
                        "root", "-d", database, data=text.encode()).stdout.decode()

    def prepare(self):
        self.execute("CREATE ROLE mail LOGIN PASSWORD 's3cret'; CREATE DATABASE mail OWNER mail;", database="postgres")
        return self


class Redis(Database):
    def __init__(self, parent, name="redis", password="", **more):
        super().__init__(parent, name, **more)
        self.socket = os.path.join(self.directory, "s")
        self.password = password

    def command(self):
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket,
                 "--unixsocketperm", "777", "--save", "", "--appendonly", "no", "--dir", self.directory]
        return words + (["--requirepass", self.password] if self.password else [])


class Memcached(Database):
    def command(self):
        words = ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", "16"]
        return words

    def ask(self, text):
        """One request by hand; the answer up to its last line."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as link:
            link.sendall(text)
            return link.recv(65536)


class OpenLdap(Database):
    """Suffix dc=test, cn=admin,dc=test with password "s3cret", by ldap:// on a port and by ldapi:// on a socket. Anonymous
    users may read all but below ou=closed."""

    SCHEMA = "".join(
        f"attributetype ( 1.3.6.1.4.1.4203.666.1.{number} NAME '{name}' EQUALITY caseIgnoreMatch "
        f"SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n"
        for number, name in ((200, "mailacceptinggeneralid"), (201, "maildrop"), (202, "memberurl"))) + (
        "objectclass ( 1.3.6.1.4.1.4203.666.1.100 NAME 'mailthing' SUP top STRUCTURAL MUST cn "
        "MAY ( mail $ mailacceptinggeneralid $ maildrop $ memberurl $ member $ description $ userPassword ) )\n")

    def __init__(self, parent, name="openldap", ldif="", tls="", **more):
        super().__init__(parent, name, **more)
        self.socket = os.path.join(self.directory, "s")
        os.makedirs(os.path.join(self.directory, "data"), exist_ok=True)
        if self.account:
            os.chown(os.path.join(self.directory, "data"), self.account["user"], self.account["group"])
        with open(os.path.join(self.directory, "slapd.conf"), "w") as file:
            file.write("include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n"
                       f"include /etc/ldap/schema/inetorgperson.schema\n{self.SCHEMA}\n"
                       f"modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {self.directory}/pid\nsizelimit 500\n{tls}"
                       "authz-policy none\naccess to dn.subtree=\"ou=closed,dc=test\" by users read by anonymous auth\n"
                       "access to * by * read\ndatabase mdb\nmaxsize 16777216\nsuffix dc=test\nrootdn cn=admin,dc=test\n"
                       f"rootpw s3cret\ndirectory {self.directory}/data\ndbnosync\n")
        self.run("slapadd", "-q", "-f", os.path.join(self.directory, "slapd.conf"), data=ldif.encode())

    def command(self):
        return ["slapd", "-d", "0", "-f", os.path.join(self.directory, "slapd.conf"), "-h",
                f"ldap://127.0.0.1:{self.port}/ ldapi://{self.socket.replace('/', '%2F')}/"]
