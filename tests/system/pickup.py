"""The pickup service: local mail is found at once when its trigger says so, and within the wakeup time of master.cf when
nobody does; a file that is no submission holds up no other."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402


def submit(server, text):
    server.run("sendmail", "-i", "-f", "from@example.test", "box@box.test", input=text)


def submitted(server, text):
    """What postdrop leaves in maildrop/, taken away while nobody looks."""
    server.stop()
    submit(server, text)
    (name,) = os.listdir(os.path.join(server.spool, "maildrop"))
    aside = os.path.join(server.directory, name)
    os.rename(os.path.join(server.spool, "maildrop", name), aside)
    return aside


def set_wakeup(server, seconds):
    path = os.path.join(server.config, "master.cf")
    with open(path) as file:
        text = re.sub(r"(?m)^(pickup(?:\s+\S+){4}\s+)\S+", rf"\g<1>{seconds}", file.read())
    with open(path, "w") as file:
        file.write(text)


def main(checks):
    with Mtad() as server:
        submit(server, b"Subject: one\n\nx\n")
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 1, 20), "a trigger brings mail long before the wakeup time")

        aside = submitted(server, b"Subject: two\n\nx\n")
        set_wakeup(server, 2)
        server.start(configure=False)
        with open(os.path.join(server.spool, "maildrop", "4F0AB123"), "wb") as file:
            file.write(b"no submission")
            os.fchmod(file.fileno(), 0o744)
        os.rename(aside, os.path.join(server.spool, "maildrop", os.path.basename(aside)))
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 2, 20), "mail that nobody spoke of is found at the next wakeup",
                  server.log()[-800:])
        checks.ok(wait_until(lambda: os.listdir(os.path.join(server.spool, "corrupt")) == ["4F0AB123"], 10),
                  "what is no submission is set aside", server.log()[-800:])

        aside = submitted(server, b"Subject: three\n\nx\n")
        set_wakeup(server, 0)
        server.start(configure=False)
        os.rename(aside, os.path.join(server.spool, "maildrop", os.path.basename(aside)))
        checks.ok(not wait_until(lambda: len(server.maildir("box")) == 3, 4), "without a wakeup time nobody looks by himself")
        submit(server, b"Subject: four\n\nx\n")
        checks.ok(wait_until(lambda: len(server.maildir("box")) == 4, 20), "and a trigger finds both", server.log()[-800:])


run(main)
