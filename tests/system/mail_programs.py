"""Programs that send mail through sendmail, and what arrives: mailx, mutt, git send-email, PHP's mail(), cron; the command lines of
at, anacron, cronie, Rails and others, each with the message that it writes."""
import email
import email.policy
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import command, need, project_root, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from server import new_directory  # noqa: E402

BODY = "first line\n.\n..two dots\nFrom the start\n\nžluťoučký kůň\n" + "x" * 3000 + "\nlast line\n"
CRON = "From: root (Cron Daemon)\nTo: box@box.test\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n" \
    "Content-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n\n" + BODY
PHP = "\r\n".join(["To: Box <box@box.test>", "Subject: {subject}", "X-PHP-Originating-Script: 0:x.php", "From: web@example.test",
                   "Cc: ann@box.test", "Bcc: kim@box.test", "", BODY.replace("\n", "\r\n")])
PLAIN = "Subject: {subject}\nFrom: joe@example.test\nTo: box@box.test\n\n" + BODY
# name, command line, message, envelope sender, mailboxes
FORMS = [
    ("Debian's cron", "sendmail -i -FCronDaemon -B8BITMIME -oem box@box.test", CRON, "root@example.test", ["box"]),
    ("cronie", "sendmail -FCronDaemon -i -odi -oem -oi -t -f root", CRON, "root@example.test", ["box"]),
    ("anacron", "sendmail -FAnacron -odi -i box@box.test", CRON, "root@example.test", ["box"]),
    ("at", "sendmail -i box@box.test", PLAIN, "root@example.test", ["box"]),
    ("PHP's mail()", "sendmail -t -i", PHP, "root@example.test", ["box", "ann", "kim"]),
    ("PHP's mail() with a sender", "sendmail -t -i -fweb@example.test", PHP, "web@example.test", ["box", "ann", "kim"]),
    ("Rails", "sendmail -i -f joe@example.test -- box@box.test ann@box.test", PLAIN, "joe@example.test", ["box", "ann"]),
    ("Perl's MIME::Lite", "sendmail -t -oi -oem", PLAIN, "root@example.test", ["box"]),
    ("Django-like", "sendmail -f joe@example.test -oi -oem -odb box@box.test", PLAIN, "joe@example.test", ["box"]),
    ("mdadm", "sendmail -t -i -oi", PLAIN, "root@example.test", ["box"]),
    ("a name without a domain", "sendmail -oi -F 'Joe User' -f joe box@box.test", PLAIN.replace("From: joe@example.test\n", ""),
     "joe@example.test", ["box"]),
]


def arrived(server, boxes):
    wait_until(lambda: all(server.maildir(box) for box in boxes) and server.is_empty(), 20)
    found = {box: server.maildir(box) for box in ("box", "ann", "kim", "joe") if server.maildir(box)}
    for box in found:
        shutil.rmtree(os.path.join(server.store, box))
    return found


def text_of(message):
    """The first text, decoded, as people read it."""
    part = message.get_body(("plain",))
    return part.get_content() if part else ""


def parsed(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def forms(checks, server):
    for number, (name, words, message, sender, boxes) in enumerate(FORMS):
        subject = f"form {number}"
        done = subprocess.run(["sh", "-c", words], input=message.replace("{subject}", subject).encode(), capture_output=True,
                              env=server.environment(), cwd="/", timeout=60)
        found = arrived(server, boxes)
        checks.ok(done.returncode == 0 and not done.stdout + done.stderr and sorted(found) == sorted(boxes)
                  and all(len(messages) == 1 for messages in found.values()), f"{name}: one message for each recipient",
                  f"{done}\n{ {box: len(messages) for box, messages in found.items()} }\n{server.log()[-1500:]}")
        if not found.get("box"):
            continue
        raw = found["box"][0]
        body = raw.split(b"\n\n", 1)[1].decode()
        checks.equal(body.rstrip("\n"), BODY.rstrip("\n"), f"{name}: the body to the byte")
        checks.equal((parsed(raw)["Subject"], parsed(raw)["Bcc"], raw.split(b"\n", 1)[0].decode()),
                     (subject, None, f"Return-Path: <{sender}>"), f"{name}: subject, no Bcc, and who sent it")
        if "-F 'Joe User'" in words:
            checks.equal(parsed(raw)["From"], "Joe User <joe@example.test>", f"{name}: From: is made")


def programs(checks, server, directory, root):
    """mailx, mutt and git themselves, told by their own settings where sendmail is."""
    environment = {**server.environment(), "HOME": directory, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu", "LC_ALL": "C.UTF-8",
                   "MAILRC": f"{directory}/mailrc", "EMAIL": "joe@example.test", "TERM": "dumb",
                   "PATH": f"{server.directory}/bin:{root}/usr/bin:/usr/bin:/bin"}
    sendmail = os.path.join(server.directory, "bin", "sendmail")
    attachment = os.path.join(directory, "data.bin")
    with open(attachment, "wb") as file:
        file.write(bytes(range(256)) * 50)
    with open(f"{directory}/mailrc", "w") as file:
        file.write(f"set sendmail={sendmail}\n")
    with open(f"{directory}/muttrc", "w") as file:
        file.write(f'set sendmail="{sendmail} -oem -oi"\nset from="joe@example.test"\nset realname=""\nset use_from=yes\n'
                   f'set use_envelope_from=yes\nset copy=no\nset folder="{directory}"\nset charset=utf-8\nset send_charset=utf-8\n')

    def send(name, words, boxes, text=BODY, cwd="/"):
        done = subprocess.run(words, input=text.encode(), capture_output=True, env=environment, cwd=cwd, timeout=60)
        found = arrived(server, boxes)
        good = checks.ok(done.returncode == 0 and sorted(found) == sorted(boxes) and all(len(one) == 1 for one in found.values()),
                         f"{name}: one message for each recipient", f"{done}\n{found.keys()}\n{server.log()[-1500:]}")
        return found["box"][0] if good else None

    if raw := send("mailx", ["bsd-mailx", "-s", "by mailx", "-a", "X-Mine: yes", "-c", "ann@box.test", "-b", "kim@box.test",
                             "box@box.test"], ["box", "ann", "kim"], BODY.replace("\n.\n", "\n")):
        message = parsed(raw)
        checks.equal((message["Subject"], message["X-Mine"], message["Cc"], message["Bcc"]), ("by mailx", "yes", "ann@box.test", None),
                     "mailx: the header is there, Bcc is not")
        text = text_of(message)
        checks.ok(text.rstrip("\n").endswith("last line") and "kůň" in text, "mailx: the text", raw[-300:])
    if raw := send("mutt", ["mutt", "-n", "-F", f"{directory}/muttrc", "-s", "by mutt", "-c", "ann@box.test", "-b", "kim@box.test", "-a",
                            attachment, "--", "box@box.test"], ["box", "ann", "kim"]):
        message = parsed(raw)
        parts = [part.get_content() for part in message.iter_attachments()]
        checks.equal((message["Subject"], message["From"], message["Bcc"], text_of(message), parts),
                     ("by mutt", "joe@example.test", None, BODY, [bytes(range(256)) * 50]), "mutt: header, text and attachment")
        checks.equal(raw.split(b"\n", 1)[0], b"Return-Path: <joe@example.test>", "mutt: the envelope sender")
    git(checks, server, directory, root, sendmail, environment, send)


def php(checks, server, directory, root):
    """mail() itself, as web applications call it."""
    if not os.path.exists(f"{root}/usr/bin/php8.2"):
        checks.note("PHP is not there: run scripts/fetch-clients again")
        return
    script = os.path.join(directory, "mail.php")
    for name, parameters, sender in (("PHP's own mail()", "", "root@example.test"),
                                     ("PHP's own mail() with a sender", "-fweb@example.test", "web@example.test")):
        with open(script, "w") as file:
            file.write("""<?php $ok = mail("Box <box@box.test>", "by PHP", file_get_contents("php://stdin"),
                ["From" => "web@example.test", "Cc" => "ann@box.test", "Bcc" => "kim@box.test", "MIME-Version" => "1.0",
                 "Content-Type" => "text/plain; charset=UTF-8", "Content-Transfer-Encoding" => "8bit"], "%s");
                exit($ok ? 0 : 3);""" % parameters)
        done = subprocess.run([f"{root}/usr/bin/php8.2", "-n", "-d", f"sendmail_path={server.directory}/bin/sendmail -t -i", script],
                              input=BODY.encode(), capture_output=True, cwd="/", timeout=60,
                              env={**server.environment(), "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu"})
        found = arrived(server, ["box", "ann", "kim"])
        checks.ok(done.returncode == 0 and not done.stderr and sorted(found) == ["ann", "box", "kim"]
                  and all(len(one) == 1 for one in found.values()), f"{name}: one message for each recipient",
                  f"{done}\n{found.keys()}\n{server.log()[-1500:]}")
        if found.get("box"):
            message = parsed(found["box"][0])
            checks.equal((message["Subject"], message["From"], message["Bcc"], text_of(message).rstrip("\n")),
                         ("by PHP", "web@example.test", None, BODY.rstrip("\n")), f"{name}: header and text")
            checks.equal(found["box"][0].split(b"\n", 1)[0].decode(), f"Return-Path: <{sender}>", f"{name}: the envelope sender")


# In a mount namespace: no crontab but ours, and no other program than ours behind /usr/sbin/sendmail.
CRON_WORLD = """
set -e
mount -t tmpfs none /var/spool
mount -t tmpfs none /run
[ -L /var/run ] || mount -t tmpfs none /var/run
[ ! -d /etc/cron.d ] || mount -t tmpfs none /etc/cron.d
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
mkdir -p /var/spool/cron/crontabs
cp "$0/crontab" /var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
mount --bind "$0/sbin" /usr/sbin
exec "$@" -f
"""


def cron(checks, server, directory, root):
    """The daemon itself, with a job that runs when it starts."""
    if os.geteuid() != 0 or not os.path.exists(f"{root}/usr/sbin/cron"):
        checks.note("cron: no root, or not there: run scripts/fetch-clients again")
        return
    place = os.path.join(directory, "cron")
    os.makedirs(os.path.join(place, "sbin"))
    with open(os.path.join(place, "crontab"), "w") as file:
        file.write(f"MAILTO=box@box.test\n@reboot cat {place}/output\n")
    with open(os.path.join(place, "output"), "w") as file:
        file.write(BODY)
    sendmail = os.path.join(place, "sbin", "sendmail")
    with open(sendmail, "w") as file:
        file.write(f'#!/bin/sh\nMAIL_CONFIG={server.config} exec {server.directory}/bin/sendmail "$@"\n')
    os.chmod(sendmail, 0o755)
    daemon = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", CRON_WORLD, place, f"{root}/usr/sbin/cron"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        found = arrived(server, ["box"])
    finally:
        os.killpg(daemon.pid, signal.SIGKILL)
        said = daemon.communicate()[0]
    if not checks.ok(sorted(found) == ["box"] and len(found["box"]) == 1, "cron itself: one message", f"{said}\n{server.log()[-1500:]}"):
        return
    message = parsed(found["box"][0])
    checks.ok(message["Subject"].startswith("Cron <root@") and b"\nFrom: root@example.test (Cron Daemon)\n" in found["box"][0],
              "cron itself: the header", str(found["box"][0][:1000]))
    checks.equal(text_of(message).rstrip("\n"), BODY.rstrip("\n"), "cron itself: the output of the job")


def git(checks, server, directory, root, sendmail, environment, send):
    if not shutil.which("git") or not shutil.which("perl"):
        checks.note("git send-email: no git or no perl")
        return
    place = os.path.join(directory, "repository")
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Jöe", "GIT_COMMITTER_NAME": "Joe",
                    "GIT_AUTHOR_EMAIL": "joe@example.test", "GIT_COMMITTER_EMAIL": "joe@example.test",
                    "PERL5LIB": f"{root}/usr/share/perl5", "PATH": "/usr/lib/git-core:" + environment["PATH"]}
    os.makedirs(place)
    lines = "one\n.\nFrom here\n>From there\n" + "long " * 150 + "\nžluť\n"
    with open(os.path.join(place, "file"), "w") as file:
        file.write(lines)
    for words in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "area: change\n\nFrom the body of it.\n"]):
        subprocess.run(["git", *words], cwd=place, env=environment, check=True, capture_output=True)
    # As installed, the program finds its own library beside git's.
    raw = send("git send-email", ["perl", f"{root}/usr/lib/git-core/git-send-email", f"--smtp-server={sendmail}", "--from=joe@example.test",
                                  "--to=box@box.test", "--cc=ann@box.test", "--bcc=kim@box.test", "--confirm=never", "--suppress-cc=all",
                                  "--8bit-encoding=UTF-8", "--transfer-encoding=8bit", "-1"], ["box", "ann", "kim"], "", place)
    if raw:
        checks.equal((parsed(raw)["Subject"], parsed(raw)["Bcc"]), ("[PATCH] area: change", None), "git send-email: the header")
        patch = os.path.join(directory, "patch")
        with open(patch, "wb") as file:
            file.write(raw)
        copy = os.path.join(directory, "copy")
        subprocess.run(["git", "init", "-q", copy], env=environment, check=True)
        done = subprocess.run(["git", "am", patch], cwd=copy, env=environment, capture_output=True)
        with open(os.path.join(copy, "file")) as file:
            checks.ok(done.returncode == 0 and file.read() == lines, "git am takes what has arrived", str(done))


def main(checks):
    command("mtad"), need("sh")
    root = os.environ.get("MTAD_CLIENTS") or os.path.join(project_root(), "build/clients/root")
    directory = new_directory()
    try:
        with Mtad({"virtual_mailbox_limit": "0"}, boxes=("box", "ann", "kim", "joe")) as server:
            forms(checks, server)
            if os.path.isdir(root):
                programs(checks, server, directory, root)
                php(checks, server, directory, root)
                cron(checks, server, directory, root)
            else:
                checks.note("mailx, mutt, git send-email, PHP and cron are not there: run scripts/fetch-clients")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


run(main)
