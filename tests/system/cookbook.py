"""docs/cookbook.md: both forms of each recipe do the same to the same queue; and what the new options promise."""
import grp
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import spools  # noqa: E402
from checks import Skip, command, need, project_root, run  # noqa: E402
from server import DROP_GROUP, OWNER, new_directory  # noqa: E402

PLACES = [("deferred/1", "1F4B6", "smtp_dsn"), ("deferred/E", "E097C", "sixty_recipients"), ("hold", "8D8ED", "milter_edited"),
          ("deferred/D", "D3257", "sendmail_dsn_extracted"), ("hold", "D894D", "null_sender_long_line"),
          ("deferred/D", "DB8F0", "verp"), ("incoming", "AC8BF", "bounce"), ("deferred/5", "57814", "sendmail"),
          ("deferred/6", "6000A", "delay_warning"), ("active", "70001", "success_report")]
LOGS = {"1F4B6": "smtp_dsn.defer", "E097C": "sixty_recipients.defer"}


def recipes():
    with open(os.path.join(project_root(), "docs/cookbook.md")) as file:
        for part in re.split(r"^## ", file.read(), flags=re.M)[1:]:
            yield part.splitlines()[0], re.findall(r"```sh\n(.*?)```", part, flags=re.S)


class Bench:
    def __init__(self):
        self.directory = new_directory()
        self.template = os.path.join(self.directory, "template")
        self.spool = os.path.join(self.directory, "spool")
        self.config = os.path.join(self.directory, "etc")
        self.bin = os.path.join(self.directory, "bin")
        for path in (self.config, self.bin):
            os.makedirs(path)
        for name in ("postqueue", "postsuper", "postcat", "sendmail", "mailq", "qshape"):
            os.symlink(command(name), os.path.join(self.bin, name))
        uid, gid = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(DROP_GROUP).gr_gid
        spools.make_directories(self.template, uid, gid)
        golden = os.path.join(project_root(), "testdata/queue")
        for folder, microseconds, source in PLACES:
            self.put(os.path.join(golden, source), folder, microseconds, 0o700, uid)
            if microseconds in LOGS:
                self.put(os.path.join(golden, LOGS[microseconds]), "defer/" + microseconds[0], microseconds, 0o600, uid)
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            file.write(f"mail_owner = {OWNER}\nsetgid_group = {DROP_GROUP}\nqueue_directory = {self.spool}\n"
                       f"data_directory = {self.directory}\ncommand_directory = {self.bin}\nmyhostname = mx.example.test\n")

    def put(self, source, folder, microseconds, mode, uid):
        path = os.path.join(self.template, folder, microseconds + "A72400")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.chown(os.path.dirname(path), uid, -1)
        with open(source, "rb") as file, open(path, "wb") as copy:
            content = file.read()
            if microseconds == "57814":  # one that has waited for years
                content = re.sub(rb"T(.)17", rb"T\g<1>16", content, count=1)
            copy.write(content)
        os.chmod(path, mode)
        os.chown(path, uid, -1)
        os.utime(path, (4000000000, 4000000000))

    def fresh(self):
        spools.copy(self.template, self.spool)
        self.since = time.time()

    def shell(self, script):
        return subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, cwd="/",
                              env={"PATH": self.bin + ":/usr/bin:/bin", "MAIL_CONFIG": self.config, "LC_ALL": "C", "TZ": "UTC"})

    def result(self, script):
        self.fresh()
        done = self.shell(script)
        after = spools.picture(self.spool, directories=False)
        # A requeued message by its ID gets the time of now, one of many keeps its own.
        return done, {place: [(mode, owner, content) for mode, owner, _, content in found] for place, found in after.items()}


def test_recipes(checks, bench):
    bench.fresh()
    before = bench.result("true")[1]
    seen = 0
    for title, blocks in recipes():
        results = [bench.result(block) for block in blocks]
        for (done, _), block in zip(results, blocks):
            checks.ok(done.returncode == 0, f"{title}: {block.split()[0]} … runs", done.stderr)
        seen += len(blocks)
        if len(blocks) == 2:
            (old, old_spool), (new, new_spool) = results
            checks.ok(old_spool == new_spool, f"{title}: both forms leave the same queue",
                      f"old {sorted(old_spool)}\nnew {sorted(new_spool)}")
            if "postsuper" in blocks[1]:
                checks.ok(old_spool != before, f"{title}: something was done", old.stderr)
            else:
                checks.ok(old.stdout == new.stdout and old.stdout, f"{title}: both forms print the same",
                          f"old {old.stdout!r}\nnew {new.stdout!r}")
    checks.ok(seen >= 17, "the cookbook has its recipes", str(seen))


def test_promises(checks, bench):
    untouched = bench.result("true")[1]
    for action in "dhHref":
        done, after = bench.result(f"postsuper -{action} ALL --dry-run")
        checks.ok(after == untouched and done.returncode == 0, f"-{action} ALL --dry-run changes nothing", done.stderr)
        count, after = bench.result(f"postsuper -{action} ALL --count")
        checks.ok(after == untouched and int(count.stdout) == len(done.stdout.splitlines()) > 0,
                  f"-{action} ALL --count counts what the dry run names", count.stdout + done.stdout)
        lines, _ = bench.result(f"postsuper -{action} ALL --json")
        names = [json.loads(line)["queue_id"] for line in lines.stdout.splitlines()]
        checks.equal(sorted(names), sorted(line.split(":")[0] for line in done.stdout.splitlines()),
                     f"-{action} ALL --json does what the dry run names")
    done, after = bench.result("postsuper -d ALL --sender 'nobody@*'")
    checks.ok(after == untouched and done.stderr == "postsuper: Deleted: 0 messages\n",
              "a selection that fits nothing deletes nothing, no log either", done.stderr)
    done, after = bench.result("postqueue -j | jq -r .queue_id | postsuper -d - --domain hold.test --dry-run")
    checks.ok(done.stdout.count("would be removed") > 0, "a selection also narrows IDs from standard input", done.stderr)
    for script, words in (("postsuper -d ALL --older 1y", "--older: bad value \"1y\""), ("postsuper -d ALL --sender", "needs a value"),
                          ("postsuper --dry-run", "nothing to do"), ("postsuper -d ALL --nosuch", "usage:"),
                          ("postqueue --size 5", "expected +N or -N"), ("postqueue -s a.test --sender b", "usage:")):
        done, after = bench.result(script)
        checks.ok(done.returncode != 0 and words in done.stderr and after == untouched, f"{script}: refused", done.stderr)
    whole = bench.shell("postqueue -p").stdout
    checks.equal(bench.shell("postqueue -p --size +0").stdout, whole, "a criterion that fits all shows the usual listing")
    done = bench.shell("postqueue --json --count --size +1000")
    one = json.loads(done.stdout)
    many = [json.loads(line) for line in bench.shell("postqueue -j --size +1000").stdout.splitlines()]
    checks.equal((one["count"], one["message_size"]), (len(many), sum(m["message_size"] for m in many)),
                 "--json --count adds up what the listing shows")


def main(checks):
    need("jq", "bash")
    if os.geteuid() != 0:
        raise Skip("needs root")
    bench = Bench()
    try:
        test_recipes(checks, bench)
        bench.fresh()
        test_promises(checks, bench)
    finally:
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(bench.directory)


run(main)
