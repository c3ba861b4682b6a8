"""One spool, two mail systems in turn: mail that one has deferred is delivered by the other, both ways."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, run, wait_until  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference, reference_root  # noqa: E402
from senders import Session  # noqa: E402
from server import free_port, new_directory  # noqa: E402
from sink import Sink  # noqa: E402

CONTENTS = {
    "plain": b"Subject: plain\n\nhello\n",
    "dots": b"Subject: dots\n\n.\n..\n.x\n",
    "long": b"Subject: long\n\n" + b"x" * 5000 + b"\nend\n",
    "eight": "Subject: eight\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nžluťoučký\n".encode(),
}


def hand_over(checks, first_kind, second_kind, first_name, second_name):
    directory = new_directory()
    port = free_port()
    closed = free_port()
    parameters = {"relay_domains": "far.test", "minimal_backoff_time": "300s", "virtual_transport": "virtual"}
    first = first_kind(dict(parameters, transport_maps=f"texthash:{directory}/etc/transport"), directory=directory, port=port)
    os.makedirs(first.config)
    with open(os.path.join(first.config, "transport"), "w") as file:
        file.write(f"far.test smtp:[127.0.0.1]:{closed}\n")
    first.owns_directory = False
    ids = {}
    with first:
        with Session(port) as session:
            for name, content in CONTENTS.items():
                reply = session.send(f"{name}@example.test", ["kim@far.test", "box@box.test", "ann@far.test"], content)
                ids[name] = reply.rsplit(" ", 1)[-1]
            session.quit()
        first.sendmail(CONTENTS["plain"], "kim@far.test", sender="local@example.test")
        deferred = wait_until(lambda: len(first.queue_files("deferred")) == len(CONTENTS) + 1
                              and not first.queue_files("active", "incoming", "maildrop"), 20)
        checks.ok(deferred, f"{first_name} defers what it cannot deliver", first.log()[-1500:])
        checks.equal(len(first.maildir("box")), len(CONTENTS), f"{first_name} delivers the other recipients")
    with Sink(port=closed) as sink:
        second = second_kind(dict(parameters, transport_maps=f"texthash:{directory}/etc/transport"), directory=directory, port=port)
        with second:
            second.run("postqueue", "-f")
            arrived = wait_until(lambda: len(sink.messages) >= len(CONTENTS) + 1 and second.is_empty(), 40)
            checks.ok(arrived, f"{second_name} delivers what {first_name} had deferred",
                      f"{len(sink.messages)} arrived\n{second.log()[-2500:]}")
            recipients = sorted(recipient for message in sink.messages for recipient in message.recipients)
            checks.equal(recipients, sorted(["kim@far.test", "ann@far.test"] * len(CONTENTS) + ["kim@far.test"]),
                         "each waiting recipient gets it once, those already served do not")
            for name, content in CONTENTS.items():
                bodies = [message.data.replace(b"\r\n", b"\n") for message in sink.messages
                          if message.sender == f"{name}@example.test"]
                expected = content.split(b"\n\n", 1)[1]
                # Lines over 998 bytes are folded on the wire.
                same = bodies and all(body.split(b"\n\n", 1)[1].replace(b"\n ", b"") == expected.replace(b"\n ", b"")
                                      for body in bodies)
                checks.ok(same, f"the {name} message has its body after {first_name} and {second_name}", f"{bodies!r:.600}")
            checks.equal(len(second.maildir("box")), len(CONTENTS), "recipients served before are not served again")


def main(checks):
    reference_root()
    if os.geteuid() != 0:
        raise Skip("the reference's daemon needs root")
    hand_over(checks, Mtad, Reference, "mtad", "the reference")
    hand_over(checks, Reference, Mtad, "the reference", "mtad")


run(main)
