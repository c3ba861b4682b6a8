"""What scripts/run shows, once everything is built."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
sys.dont_write_bytecode = True
os.environ.setdefault("MTAD_BUILD", os.path.join(ROOT, "build", "main"))

from checks import wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from senders import Session, queue_id  # noqa: E402
from server import OWNER, free_port  # noqa: E402


def reachable_by_owner(path):
    """Whether the unprivileged workers of a root-started daemon can get at path."""
    return subprocess.run(["setpriv", "--reuid", OWNER, "--clear-groups", "test", "-x", path],
                          capture_output=True).returncode == 0


def demo_directory():
    path = os.path.join(ROOT, "build", "demo")
    if os.path.islink(path):
        shutil.rmtree(os.path.realpath(path), ignore_errors=True)
        os.unlink(path)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    os.chmod(path, 0o755)
    if os.geteuid() == 0 and not reachable_by_owner(path):
        os.rmdir(path)
        real = tempfile.mkdtemp(prefix="mtad-demo-")
        os.chmod(real, 0o755)
        os.symlink(real, path)
        print(f"This tree is closed to other users, so the demo's files are in {real} (linked from build/demo).")
    return os.path.realpath(path)


class Message:
    def __init__(self, how, recipients, content):
        self.how, self.recipients, self.content = how, recipients, content
        self.token = os.urandom(6).hex()
        self.queue_id = "?"


def stored_copies(servers):
    """token → places, from everything that lies in the mailboxes."""
    places = []
    for name, server in servers:
        for base, _, files in os.walk(server.store):
            for file in files:
                path = os.path.join(base, file)
                if os.path.basename(base) == "tmp":
                    continue
                with open(path, "rb") as opened:
                    places.append((name, path, opened.read()))
    return places


def main():
    keep = "--keep" in sys.argv[1:]
    if set(sys.argv[1:]) - {"--keep"}:
        print("usage: scripts/run [--keep]", file=sys.stderr)
        return 64
    base = demo_directory()
    second_port = free_port()
    first = Mtad({"relay_domains": "far.test", "transport_maps": f"texthash:{base}/first/etc/transport"},
                 directory=os.path.join(base, "first"), boxes=("ann", "mbox"))
    second = Mtad({"myhostname": "mx.far.test", "mydomain": "far.test", "mydestination": "localhost",
                   "virtual_mailbox_domains": "far.test", "virtual_mailbox_maps": f"texthash:{base}/second/etc/far"},
                  directory=os.path.join(base, "second"), port=second_port)
    for server in (first, second):
        os.makedirs(server.config, exist_ok=True)
    with open(os.path.join(first.config, "transport"), "w") as file:
        file.write(f"far.test smtp:[127.0.0.1]:{second_port}\n")
    with open(os.path.join(second.config, "far"), "w") as file:
        file.write("kim@far.test kim/\n")

    print("Starting two mail servers on 127.0.0.1 …")
    try:
        first.start()
        second.start()
        print(f"  mx.example.test  port {first.port}   mailboxes: ann@box.test (Maildir), mbox@box.test (mailbox file)")
        print(f"  mx.far.test      port {second.port}   mailboxes: kim@far.test (Maildir); the first one's mail to far.test goes there by SMTP")
        print("Sending …")
        sent = send_all(first)
        print("Waiting for the queues to empty …")
        wait_until(lambda: first.is_empty() and second.is_empty(), 30, 0.1)
        failed = account(sent, first, second)
        if keep and not failed:
            print(how_to_use(first, second))
            return 0
        stop_status = [server.stop() for server in (first, second)]
        if stop_status != [0, 0]:
            print(f"The servers did not stop as they should: exit statuses {stop_status}")
            failed += 1
        else:
            print("Both servers stopped.")
        return 1 if failed else 0
    except BaseException:
        for server in (first, second):
            server.stop()
        raise


def send_all(server):
    plan = [
        Message("sendmail", ["ann@box.test"], b"Hello Ann, this went through the sendmail command.\n"),
        Message("sendmail", ["mbox@box.test"], b"From here on the second line begins with From:\nFrom the queue to a mailbox file.\n"),
        Message("sendmail", ["kim@far.test"], b"A line with a dot follows.\n.\nAnd the last line.\n"),
        Message("SMTP", ["ann@box.test"], b"Hello Ann, this came by SMTP.\n"),
        Message("SMTP", ["kim@far.test"], "Grüße nach draußen.\n".encode()),
        Message("SMTP", ["ann@box.test", "mbox@box.test", "kim@far.test"], b"One message, three recipients.\n" * 1000),
    ]
    for number, message in enumerate(plan, 1):
        content = (f"From: demo@example.test\nTo: {', '.join(message.recipients)}\nSubject: message {number}\n"
                   f"X-Token: {message.token}\n\n").encode() + message.content
        before = server.log()
        if message.how == "SMTP":
            with Session(server.port) as session:
                message.queue_id = queue_id(session.send("demo@example.test", message.recipients, content))
                session.quit()
        else:
            done = server.sendmail(content, *message.recipients, sender="demo@example.test")
            if done.returncode:
                print(f"  sendmail failed: {done.stderr.decode(errors='replace').strip()}")
            else:
                # The command itself prints nothing: the log tells which queue ID pickup gave.
                def picked_up():
                    new = server.log()[len(before):]
                    ids = [line.split("]: ", 1)[1].split(":")[0] for line in new.splitlines()
                           if "/pickup[" in line and " uid=" in line]
                    return ids and ids[-1]
                message.queue_id = wait_until(picked_up, 10) or "?"
        print(f"  {number}. by {message.how:8} to {', '.join(message.recipients)}")
    return plan


def account(sent, first, second):
    copies = stored_copies([("mx.example.test", first), ("mx.far.test", second)])
    log = first.log()
    print()
    print("What became of them:")
    failed = 0
    for number, message in enumerate(sent, 1):
        print(f"  {number}. by {message.how}, queue ID {message.queue_id}")
        for recipient in message.recipients:
            user = recipient.split("@")[0]
            found = [(host, path) for host, path, content in copies
                     if message.token.encode() in content and f"/{user}" in path]
            status = [line.split("status=", 1)[1] for line in log.splitlines()
                      if f"{message.queue_id}: to=<{recipient}>" in line and "status=" in line]
            if len(found) == 1 and status and status[-1].startswith("sent"):
                host, path = found[0]
                print(f"     {recipient:15} delivered on {host}: {os.path.relpath(path, os.path.join(first.directory, '..'))}")
                print(f"     {'':15} log: status={status[-1]}")
            else:
                failed += 1
                print(f"     {recipient:15} NOT DELIVERED ({len(found)} copies, log: {status[-1] if status else 'nothing'})")
    total = sum(len(message.recipients) for message in sent)
    print()
    print(f"{len(sent)} messages, {total} deliveries, {total - failed} as they should be, {failed} not.")
    return failed


def how_to_use(first, second):
    binaries = os.path.join(first.directory, "bin")
    return f"""
Both servers are still running. In your shell:

  export MAIL_CONFIG={first.config} PATH={binaries}:$PATH

  send by command    echo 'Hello' | sendmail -f me@example.test ann@box.test
  send by SMTP       curl smtp://127.0.0.1:{first.port} --mail-from me@example.test --mail-rcpt kim@far.test -T FILE
  see it arrive      ls {first.store}/ann/new {second.store}/kim/new; cat {first.store}/mbox
  make mail wait     kill -TERM {second.pid}     (then send to kim@far.test: it stays deferred)
  list the queue     mailq                    (or postqueue -j)
  read a queue file  postcat -q QUEUE_ID
  try again now      postqueue -f
  watch              tail -f {first.log_path}
  stop               kill -TERM {first.pid} {second.pid}
"""


if __name__ == "__main__":
    sys.exit(main())
