"""postsuper: the reference's and ours, each on a copy of the same spool: same words, same status, same spool afterwards."""
import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
import spools
from checks import Skip, command, wait_until
from mtad import Mtad
from reference import Reference, library_path, tool
from server import DROP_GROUP, OWNER, new_directory

UID, GID = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(DROP_GROUP).gr_gid
OLD = time.time() - 8 * 86400


class Ground:
    """Where both programs are tried: a template spool and a configuration."""

    def __init__(self, template, label):
        self.template = template
        self.label = label
        self.directory = new_directory()

    def run(self, theirs, arguments, text, prepare, settings):
        spool = os.path.join(self.directory, "spool")
        config = os.path.join(self.directory, "etc")
        os.makedirs(config, exist_ok=True)
        with open(os.path.join(config, "main.cf"), "w") as file:
            file.write(f"mail_owner = {OWNER}\nsetgid_group = {DROP_GROUP}\nqueue_directory = {spool}\n"
                       f"data_directory = {self.directory}\nmyhostname = mail.example.test\ninet_interfaces = 127.0.0.1\n"
                       "multi_instance_directories = \n" + settings)
        # The reference waits for seconds when the file is new: somebody might still be writing it.
        os.utime(os.path.join(config, "main.cf"), (OLD, OLD))
        spools.copy(self.template, spool)
        ids = Ids(spool, spools.fit_names(spool))
        if prepare:
            prepare(spool, ids)
        words = [ids.fill(word) for word in arguments]
        environment = {"MAIL_CONFIG": config, "PATH": "/usr/bin:/bin", "TZ": "UTC", "MTAD_NO_FATAL_DELAY": "1"}
        if theirs:
            environment["LD_LIBRARY_PATH"] = library_path()
        done = subprocess.run([tool("postsuper") if theirs else command("postsuper"), *words], capture_output=True,
                              env=environment, timeout=60, cwd="/", input=ids.fill(text).encode("latin-1"))
        # IDs end in inodes, which differ between the two copies.
        said = ids.plain(done.stderr.decode("latin-1"))
        # Looking for a message, the reference makes hash directories; they matter where directories are repaired.
        repairs = not set(arguments) & {"-d", "-h", "-H", "-r", "-e", "-f"} or "-s" in arguments
        return done.returncode, done.stdout, said, spools.picture(spool, {name: key for key, name in ids.names.items()}, repairs)


class Ids:
    """The messages of one copy: {deferred0} is the first of deferred/ in the order of their names."""

    def __init__(self, spool, renamed):
        self.spool = spool
        self.names = {}
        for queue in spools.MESSAGES:
            found = sorted(name for _, _, files in os.walk(os.path.join(spool, queue)) for name in files)
            self.names.update({f"{{{queue}{n}}}": name for n, name in enumerate(found)})

    def fill(self, text):
        for key, name in self.names.items():
            text = text.replace(key, name)
        return text

    def plain(self, text):
        for key, name in self.names.items():
            text = text.replace(name, key)
        return text.replace(os.path.dirname(self.spool), "DIR")

    def path(self, key):
        name = self.names["{" + key + "}"]
        for folder, _, files in os.walk(self.spool):
            if name in files and os.path.relpath(folder, self.spool).split("/")[0] in spools.MESSAGES:
                return os.path.join(folder, name)
        raise KeyError(key)


def put(path, content=b"text", mode=0o700, when=None, owner=UID):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    os.chown(path, owner, -1)
    for folder in (os.path.dirname(path), os.path.dirname(os.path.dirname(path))):
        os.chown(folder, UID, -1)
    if when:
        os.utime(path, (when, when))


def wrong_inodes(spool, ids):
    """What a restored backup looks like: every name bears another file's inode."""
    for key, name in list(ids.names.items()):
        if key.startswith("{maildrop"):
            continue
        path = ids.path(key[1:-1])
        new = name[:5] + "ABCDE"
        os.rename(path, os.path.join(os.path.dirname(path), new))
        for log in spools.LOGS:
            for there in (os.path.join(spool, log), os.path.join(spool, log, name[0])):
                if os.path.exists(os.path.join(there, name)):
                    os.rename(os.path.join(there, name), os.path.join(there, new))


def swapped(spool, ids):
    """Two messages of one moment with each other's names: neither can take its own while the other has it."""
    for place in ("hold/a", "hold/b"):
        put(os.path.join(spool, place), place.encode())
    one, two = os.path.join(spool, "hold/a"), os.path.join(spool, "hold/b")
    first, second = (spools.short_name(0x12345, os.stat(path).st_ino) for path in (one, two))
    put(os.path.join(spool, "defer/1", first), b"log of the second", 0o600)
    put(os.path.join(spool, "trace", second), b"trace of the first", 0o600)
    os.rename(one, os.path.join(spool, "hold", second))
    os.rename(two, os.path.join(spool, "hold", first))


def unfinished(spool, ids):
    """A repair that was interrupted."""
    for queue, key in (("hold", "hold0"), ("deferred", "deferred0")):
        path = ids.path(key)
        os.rename(path, path + "#FIX")
    put(os.path.join(spool, "defer/1/12345ABCD#FIX"), b"log", 0o600)


def stale(spool, ids):
    put(os.path.join(spool, "incoming/12345.678"), when=OLD)
    put(os.path.join(spool, "incoming/12346.678"), mode=0o600, when=OLD)
    put(os.path.join(spool, "incoming/12347.678"), mode=0o600)
    put(os.path.join(spool, "maildrop/22347.678"), mode=0o644, when=OLD)
    put(os.path.join(spool, "hold/12345ABC"), mode=0o600, when=OLD)
    put(os.path.join(spool, "deferred/1/12345ABD"), mode=0o600, when=OLD)
    put(os.path.join(spool, "deferred/1/12345ABE"), mode=0o600)
    put(os.path.join(spool, "active/odd-name"), mode=0o700, when=OLD)
    put(os.path.join(spool, "defer/1/12345ABD"), mode=0o600, when=OLD)
    put(os.path.join(spool, "defer/1/12.34"), mode=0o600, when=OLD)
    put(os.path.join(spool, "flush/site_test"), mode=0o600, when=OLD)
    put(os.path.join(spool, "trace/12345ABC"), mode=0o600, when=OLD)


def odd_files(*queues):
    """Files that are no messages, those with impossible names in these queues."""
    def prepare(spool, ids):
        os.mkfifo(os.path.join(spool, queues[0], "12345ABCF"))
        os.symlink("/etc/passwd", os.path.join(spool, queues[0], "12345ABCE"))
        os.mkdir(os.path.join(spool, "hold/12345ABCD"))
        for queue in queues:
            put(os.path.join(spool, queue, "with space"))
            put(os.path.join(spool, queue, "bad-name"))
        if len(queues) > 1:  # repairing, the reference leaves names that it cannot read half changed
            put(os.path.join(spool, "active/" + "A" * 200))
            put(os.path.join(spool, "active/Ab_9"))
    return prepare


def empty_levels(spool, ids):
    for place in ("deferred/A", "deferred/B/C", "hold/D", "incoming/E/F/0", "defer/G", "flush/A", "active/longer"):
        path = os.path.join(spool, place)
        os.makedirs(path, exist_ok=True)
        while path != spool:
            os.chown(path, UID, -1)
            path = os.path.dirname(path)


def long_names(spool, ids):
    for n, (queue, wrong) in enumerate((("hold", False), ("deferred/5", False), ("deferred", True), ("incoming", True))):
        path = os.path.join(spool, queue, "new")
        put(path, b"%d" % n)
        inode = os.stat(path).st_ino + (1 if wrong else 0)
        os.rename(path, os.path.join(spool, queue, spools.long_name(1795226788 + n, 357908, inode)))


def long_with_log(spool, ids):
    path = os.path.join(spool, "deferred/5/new")
    put(path)
    name = spools.long_name(1795226788, 357908, os.stat(path).st_ino)
    os.rename(path, os.path.join(spool, "deferred/5", name))
    put(os.path.join(spool, "defer/5", name), b"log", 0o600)
    put(os.path.join(spool, "bounce", name), b"bounce log", 0o600)


def all_logs(spool, ids):
    for key, name in ids.names.items():
        for log in ("bounce", "defer/" + name[0], "trace"):
            path = os.path.join(spool, log, name)
            if not os.path.exists(path):
                put(path, log.encode(), 0o600)


def incomplete(spool, ids):
    for key in ("deferred0", "hold0"):
        os.chmod(ids.path(key), 0o600)


def already_expired(spool, ids):
    os.chmod(ids.path("deferred0"), 0o710)
    os.chmod(ids.path("deferred1"), 0o740)


def in_two_queues(spool, ids):
    for key, other in (("deferred0", "hold"), ("hold0", "maildrop"), ("deferred1", "incoming")):
        path = ids.path(key)
        put(os.path.join(spool, other, os.path.basename(path)), b"the other " + key.encode())


def active_and_incoming(spool, ids):
    for key, other in (("deferred0", "active"), ("deferred1", "incoming")):
        path = ids.path(key)
        os.rename(path, os.path.join(spool, other, os.path.basename(path)))


def wrong_level(spool, ids):
    path = ids.path("deferred0")
    os.rename(path, os.path.join(spool, "deferred", os.path.basename(path)))
    path = ids.path("hold0")
    put(os.path.join(spool, "hold/Z/Y/x"))
    os.remove(os.path.join(spool, "hold/Z/Y/x"))
    os.rename(path, os.path.join(spool, "hold/Z/Y", os.path.basename(path)))
    put(os.path.join(spool, "defer/12345ABCD"), b"log", 0o600)
    put(os.path.join(spool, "flush/S/site_test"), b"id\n", 0o600)


def no_queue(name):
    def prepare(spool, ids):
        subprocess.run(["rm", "-rf", os.path.join(spool, name)], check=True)
    return prepare


def case(label, arguments, text="", prepare=None, settings=""):
    return label, arguments.split() if isinstance(arguments, str) else arguments, text, prepare, settings


ALL_IDS = "{deferred0}\n{hold0}\n{deferred1}\nABCDE12345\n{maildrop0}\n"
HASHED = "hash_queue_names = deferred defer hold incoming active bounce\nhash_queue_depth = 2\n"
CASES = [
    *(case(f"-{action} of one in each queue",
           f"-{action} {{deferred0}} -{action} {{hold0}} -{action} {{maildrop0}} -{action} {{deferred1}}", prepare=all_logs)
      for action in "dhHref"),
    *(case(f"-{action} ALL", f"-{action} ALL", prepare=all_logs) for action in "dhHref"),
    *(case(f"-{action} ALL {queue}", f"-{action} ALL {queue}")
      for action in "dhHref" for queue in ("hold", "deferred", "maildrop", "incoming active")),
    *(case(f"-{action} -", f"-{action} -", ALL_IDS) for action in "dhHref"),
    *(case(f"-{action} of incomplete files", f"-{action} {{deferred0}} -{action} {{hold0}} -{action} ALL",
           prepare=incomplete) for action in "dhHref"),
    *(case(f"-{action} of active and incoming", f"-{action} {{deferred0}} -{action} {{deferred1}}",
           prepare=active_and_incoming) for action in "dhHref"),
    *(case(f"-{action} of odd files", f"-{action} ALL -{action} 12345ABCF -{action} 12345ABCE -{action} 12345ABCD "
           f"-{action} Ab_9", prepare=odd_files(*{"h": ["active"], "H": ["hold"]}.get(action, ["active", "hold"])))
      for action in "dhHref"),
    *(case(f"-{action} of a message in two queues",
           f"-{action} {{deferred0}} -{action} {{hold0}} -{action} {{deferred1}}", prepare=in_two_queues)
      for action in "dhHref"),
    *(case(f"-{action} with deeper hash levels", f"-{action} {{deferred0}} -{action} {{hold0}}", settings=HASHED)
      for action in "dhHref"),
    case("-e of expired ones", "-e {deferred0} -e {deferred1}", prepare=already_expired),
    case("-f of expired ones", "-f ALL", prepare=already_expired),
    case("-e ALL twice over", "-e ALL -e ALL"),
    case("-d and -r and -h in one go", "-d {deferred0} -r {deferred1} -h {deferred2} -H {hold0}"),
    case("-h then -H of one", "-h {deferred0} -H {deferred0}"),
    case("-r ALL -d ALL", "-r ALL -d ALL"),
    case("-d of nobody", "-d ABCDE12345"),
    case("-d nothing at all", "-d ALL hold incoming active deferred", prepare=no_queue("saved")),
    case("a decorated ID", ["-d", "{deferred0}*", "-h", "../x", "-r", "", "-e", "a b", "-H", "x\x07\udce9"]),
    case("ALL in lower case is a name", "-d all"),
    case("standard input with odd lines", "-d -", "{deferred0}\r\n\n {hold0}\n{hold0} \n../../etc\n{deferred1}\x00x\n" + "A" * 300 + "\n"
         + "B" * 3000 + "\nALL\n-\n{deferred2}"),
    case("standard input twice", "-h - -H -", "{deferred0}\n{deferred1}\n"),
    case("empty standard input", "-d -"),
    case("-s after a restore", "-s", prepare=wrong_inodes),
    case("-s after a restore, with a queue named", "-s hold", prepare=wrong_inodes),
    case("-s of swapped names", "-s", prepare=swapped),
    case("-s of swapped names in hold only", "-s hold", prepare=swapped),
    case("-s after an interrupted -s", "-s", prepare=unfinished),
    case("-p after an interrupted -s", "-p", prepare=unfinished),
    case("-s of wrong levels", "-s", prepare=wrong_level),
    case("-s of wrong levels, deferred only", "-s deferred", prepare=wrong_level),
    case("-s with other queues hashed", "-s", settings="hash_queue_names = incoming hold\n"),
    case("-s with more hashing", "-s", settings=HASHED),
    case("-s with depth 3", "-s", settings="hash_queue_depth = 3\n"),
    case("-s drops empty levels", "-s", prepare=empty_levels),
    case("-s drops empty levels, of more hashing", "-s", prepare=empty_levels, settings=HASHED),
    case("-p keeps empty levels", "-p", prepare=empty_levels),
    case("-s of long names, now short", "-s", prepare=long_names),
    case("-s of long names, still long", "-s", prepare=long_names, settings="enable_long_queue_ids = yes\n"),
    case("-S of long names, still long", "-S", prepare=long_names, settings="enable_long_queue_ids = yes\n"),
    case("-S of long names, now short", "-S", prepare=long_names),
    case("-s of long names with logs", "-s", prepare=long_with_log),
    case("-h of long names", "-h ALL", prepare=long_with_log),
    case("-d of long names", "-d ALL", prepare=long_with_log),
    case("-p of stale files", "-p", prepare=stale),
    case("-s of stale files", "-s", prepare=stale),
    case("-p of stale files in hold", "-p hold", prepare=stale),
    case("-p of stale files in the logs", "-p defer trace bounce flush", prepare=stale),
    case("nothing asked", "", prepare=stale),
    case("nothing asked, a queue named", "maildrop", prepare=stale),
    case("-s of odd files", "-s", prepare=odd_files("active")),
    case("-p of odd files", "-p", prepare=odd_files("hold")),
    case("-s and -d when names had to change", "-s -d {deferred0}", prepare=wrong_inodes),
    case("-s and -d ALL when names had to change", "-s -d ALL", prepare=wrong_inodes),
    case("-s and -d - when names had to change", "-s -d -", "{deferred0}\n", prepare=wrong_inodes),
    case("-s and -d when all is well", "-s -d {deferred0}"),
    case("-p -d", "-p -d {deferred0}", prepare=stale),
    case("-h ALL bounce", "-h ALL bounce"),
    case("-s corrupt", "-s corrupt"),
    case("an unknown queue", "-d ALL nosuch"),
    case("an unknown option", "-x"),
    case("no argument", "-d"),
    case("-c of a relative place", "-c etc"),
    case("-c of nowhere", "-c /nonexistent"),
    case("no deferred queue", "-h ALL", prepare=no_queue("deferred")),
    case("no hold queue", "-h {deferred0}", prepare=no_queue("hold")),
    case("no maildrop", "-r {deferred0}", prepare=no_queue("maildrop")),
    case("no defer logs", "-d {deferred0}", prepare=no_queue("defer")),
    case("no bounce logs at -s", "-s", prepare=no_queue("bounce")),
]


def as_meant(arguments, theirs, ours):
    """The reference's result where ours is another on purpose."""
    spool = dict(theirs[3])
    left = {place.rsplit("/", 1)[1] for place in spool if place.split("/")[0] in spools.MESSAGES}
    for place in list(spool):
        queue, name = place.split("/")[0], place.rsplit("/", 1)[1]
        if queue not in spools.LOGS:
            continue
        # Deleting many messages, it leaves some of their logs behind for ever: those of trace/, and where queues are
        # named all of them. One log left behind could be taken for a later message's of the same name.
        if "ALL" in arguments and "-d" in arguments and name not in left and place not in ours[3]:
            del spool[place]
        # Repairing names, it leaves logs under their intermediate names: those of trace/, and where queues are named
        # all of them.
        elif name.endswith("#FIX") and "-s" in arguments:
            spool[place.rsplit("/", 1)[0] + "/" + name.replace("#FIX", "")] = spool.pop(place)
        # It makes hash directories for logs that are not there.
        elif not name and place not in ours[3]:
            del spool[place]
    said, heard = theirs[2], ours[2]
    # It calls the repair incomplete that it has just completed, because a fatal error came after it.
    said = said.replace("postsuper: warning: OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST\n", "")
    # What cannot be opened or moved is said in words of our own.
    for words in ("scan_dir_push: open directory ", "rename file "):
        if said.startswith("postsuper: fatal: " + words) and heard.startswith("postsuper: fatal: " + words.split()[0 if words.startswith("rename") else 1]):
            said = heard
    return theirs[0], theirs[1], said, spool


def difference(theirs, ours):
    text = []
    for name, one, two in zip(("status", "stdout", "stderr"), theirs, ours):
        if one != two:
            text.append(f"{name}\n  reference {one!r}\n  ours      {two!r}")
    for place in sorted(theirs[3].keys() | ours[3].keys()):
        if theirs[3].get(place) != ours[3].get(place):
            text.append(f"{place}\n  reference {str(theirs[3].get(place)):.90}\n  ours      {str(ours[3].get(place)):.90}")
    return "\n".join(text)


def try_all(checks, ground, only):
    equal = 0
    for label, arguments, text, prepare, settings in only:
        theirs, ours = (ground.run(whose, arguments, text, prepare, settings) for whose in (True, False))
        theirs = as_meant(arguments, theirs, ours)
        same = theirs == ours
        equal += same
        checks.ok(same, f"{ground.label}: {label}", difference(theirs, ours))
    checks.note(f"postsuper on {ground.label}: {equal} of {len(only)} equal")
    if not os.environ.get("MTAD_TEST_KEEP"):
        shutil.rmtree(ground.directory)
    return equal, len(only)


def signalled(checks, config):
    """A signal ends it before the next message, with the signal's number as status."""
    both = []
    for program, extra in ((tool("postsuper"), {"LD_LIBRARY_PATH": library_path()}), (command("postsuper"), {})):
        process = subprocess.Popen([program, "-d", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={"MAIL_CONFIG": config, "PATH": "/usr/bin:/bin", **extra})
        process.stdin.write(b"not an ID\n")
        process.stdin.flush()
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        both.append(process.wait(10))
        process.stdin.close()
        process.stderr.close()
    checks.equal(both[1], both[0], "a signal's number is the exit status")


def fill(system):
    """Messages with every feature, in every queue that keeps them while nothing runs."""
    mail = b"Subject: x\n\ntext\n"
    for arguments in (["a@far.test"], ["-N", "success,failure", "-R", "hdrs", "-V", "E+1", "b@far.test"],
                      ["-XV+=", "c@far.test", "d@far.test"], [f"u{n}@far.test" for n in range(30)], ["e@far.test"]):
        done = system.sendmail(mail + b"x" * 3000, *arguments)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
    if not wait_until(lambda: len(system.queue_files("deferred")) == 5, 30):
        raise RuntimeError("mail is not deferred: " + str(system.queue_files()))
    last = os.path.basename(sorted(path for _, path in system.queue_files("deferred"))[-1])
    done = system.run("postsuper", "-h", last)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())


def main(checks):
    if os.geteuid() != 0:
        raise Skip("needs root")
    command("postsuper")
    equal = total = 0
    for kind, label in ((Reference, "the reference's spool"), (Mtad, "our spool")):
        with kind({"default_transport": "smtp:[127.0.0.1]:1", "queue_run_delay": "3600s"}) as system:
            fill(system)
            system.stop()
            system.sendmail(b"Subject: dropped\n\n", "z@far.test")
            spools.settle(system.spool)
            ground = Ground(system.spool, label)
            # What each action does is tried on both spools, odd circumstances on one.
            done = try_all(checks, ground, CASES if kind is Reference else CASES[:40])
            equal, total = equal + done[0], total + done[1]
            if kind is Reference:
                signalled(checks, system.config)
    checks.note(f"postsuper: {equal} of {total} equal")


harness.run(main)
