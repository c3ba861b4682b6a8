"""The queue listing: on one spool, by the reference's showq service and read directly, both programs print the same."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import Skip, command, project_root
from mtad import Mtad
from reference import Reference, library_path, tool
from reference_spool import ReferenceSpool


def listing(program, option, reference, extra=None):
    environment = {"MAIL_CONFIG": reference.config, "TZ": "Asia/Tokyo", "PATH": "/usr/bin:/bin",
                   "MTAD_NO_FATAL_DELAY": "1", "LC_ALL": "C"}
    if program == tool("postqueue"):
        environment["LD_LIBRARY_PATH"] = library_path()
    return subprocess.run([program, option, *(extra or [])], capture_output=True, env=environment, timeout=60)


def compare(checks, reference, where):
    for option in ("-p", "-j"):
        theirs = listing(tool("postqueue"), option, reference)
        for _ in range(10):
            # Just stopped, the reference's listing fails now and then: its socket is still there, nobody behind it.
            if theirs.returncode == 0:
                break
            time.sleep(0.5)
            theirs = listing(tool("postqueue"), option, reference)
        ours = listing(command("postqueue"), option, reference)
        checks.equal((ours.returncode, ours.stdout), (theirs.returncode, theirs.stdout),
                     f"postqueue {option} prints the same {where}")
    return theirs.stdout


def fill(reference):
    """Messages in every state. The spool's files may bear any name: only their form matters to a listing."""
    golden = os.path.join(project_root(), "testdata", "queue")
    places = [("deferred", "1", "1F4B6A72449", "smtp_dsn", 0o700), ("deferred", "E", "E097CA72444", "sixty_recipients", 0o700),
              ("deferred", "8", "8D8EDA72464", "milter_edited", 0o710), ("hold", "", "D3257A72436", "sendmail_dsn_extracted", 0o710),
              ("hold", "", "D894DA7243B", "null_sender_long_line", 0o700), ("deferred", "D", "DB8F0A7243F", "verp", 0o600),
              ("hold", "", "AC8BFA723CA", "bounce", 0o700), ("deferred", "1", "4jWhbk0bCtz1bYKn", "long_id", 0o700)]
    for queue, level, name, source, mode in places:
        folder = os.path.join(reference.spool, queue, level)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, name)
        shutil.copyfile(os.path.join(golden, source), path)
        os.chmod(path, mode)
        shutil.chown(folder, "daemon")
        shutil.chown(path, "daemon")
        # Far in the future: nobody is to deliver while we look.
        os.utime(path, (4000000000, 4000000000))
    for name, source in (("1F4B6A72449", "smtp_dsn.defer"), ("E097CA72444", "sixty_recipients.defer")):
        folder = os.path.join(reference.spool, "defer", name[0])
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(os.path.join(golden, source), os.path.join(folder, name))
        shutil.chown(folder, "daemon")
        shutil.chown(os.path.join(folder, name), "daemon")


def every_feature(checks):
    """A spool with all that an envelope can have: by the reference's service, by nobody's, and by ours."""
    with ReferenceSpool() as reference:
        count = reference.fill()
        shown = compare(checks, reference, "from the reference's showq, every envelope feature")
        checks.equal(shown.count(b"queue_id"), count, "every message is listed")
        reference.stop()
        reference.add_maildrop()
        shown = compare(checks, reference, "read directly, every envelope feature")
        names = [os.path.basename(path) for queue, path in reference.queue_files() if queue in ("deferred", "hold")]
        # Our daemon on the same spool, beside a reference that does not run. What waits in maildrop/ it would take.
        for queue, path in reference.queue_files("maildrop"):
            os.unlink(path)
        before = listing(tool("postqueue"), "-j", reference).stdout, listing(tool("postqueue"), "-p", reference).stdout
        settings = {name: reference.parameters[name] for name in
                    ("default_transport", "queue_run_delay", "minimal_backoff_time", "mydestination", "local_transport")}
        with Mtad(settings, directory=reference.directory) as ours:
            for program, whose in ((command("postqueue"), "our"), (tool("postqueue"), "the reference's")):
                for option, wanted in zip(("-j", "-p"), before):
                    done = listing(program, option, ours)
                    checks.equal((done.returncode, done.stdout), (0, wanted),
                                 f"{whose} postqueue {option} from mtad's showq shows the same")
            checks.ok(all(name.encode() in before[0] for name in names), "no message is missing", str(names))


def main(checks):
    if os.geteuid() != 0:
        raise Skip("needs root")
    program = command("postqueue")
    command("mtad")
    every_feature(checks)
    for long_ids in ("no", "yes"):
        with Reference({"enable_long_queue_ids": long_ids, "queue_run_delay": "3600s"}) as reference:
            compare(checks, reference, f"of an empty queue (long IDs {long_ids})")
            fill(reference)
            shown = compare(checks, reference, f"from the reference's showq (long IDs {long_ids})")
            checks.ok(shown.count(b"queue_id") == 7, "every complete message is listed", shown.decode())
            for arguments, status in ((["-f"], 0), (["-i", "D0AECA72437"], 0), (["-i", "a/b"], 69), (["-s", "1.2.3.4"], 69),
                                      (["-s", "nowhere.test"], 69), (["-p", "x"], 69), ([], 69), (["-p", "-j"], 69)):
                ours = listing(program, arguments[0] if arguments else "--", reference, arguments[1:])
                checks.equal(ours.returncode, status, f"postqueue {' '.join(arguments)} ends with {status}")
            reference.stop()
            compare(checks, reference, f"read directly when the mail system is down (long IDs {long_ids})")
            ours = listing(program, "-p", reference)
            checks.equal(ours.stderr, b"postqueue: warning: Mail system is down -- accessing queue directly "
                         b"(Connect to the Postfix showq service: Connection refused)\n", "the warning says why")
            ours = listing(program, "-f", reference)
            checks.equal((ours.returncode, ours.stderr), (69, b"postqueue: fatal: Cannot flush mail queue - mail system is down\n"),
                         "flushing a stopped mail system fails")


harness.run(main)
