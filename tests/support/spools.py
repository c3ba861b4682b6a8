"""Spools to try queue commands on: copies of one tree, files whose names fit their inodes, and a picture of the result.

The picture of a file is what a mail system sees of it: where it lies, its name, mode, content and times. An inode is not
part of it, since two copies cannot share one: a name that bears its file's own inode shows "@" in that place."""
import os
import shutil
import subprocess
import time

DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
MESSAGES = ("maildrop", "incoming", "active", "deferred", "hold")
LOGS = ("bounce", "defer", "trace")
FLAT = MESSAGES + LOGS + ("flush", "corrupt", "saved", "public", "private", "pid")


def base(number, size, digits=DIGITS):
    text = ""
    while number or not text:
        text = digits[number % size] + text
        number //= size
    return text


def short_name(microseconds, inode):
    return f"{microseconds:05X}{inode:X}"


def long_name(seconds, microseconds, inode):
    return base(seconds, 52).rjust(6, "0") + base(microseconds, 52).rjust(4, "0") + "z" + base(inode, 51)


def shown_name(name, inode):
    """The name, with "@" in place of its inode when that is the file's own, "@+1" when it is the next."""
    fix = name[-4:] if name.endswith("#FIX") else ""
    stem = name[:-4] if fix else name
    for more, shown in ((0, "@"), (1, "@+1")):
        for text in (f"{inode + more:X}", "z" + base(inode + more, 51)):
            if stem.endswith(text) and len(stem) > len(text):
                return stem[:-len(text)] + shown + fix
    return name


def settle(root):
    """Sets every time of the tree that is not in the future to a fixed one, so that a change of it shows."""
    now = time.time()
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            if os.lstat(path).st_mtime <= now:
                os.utime(path, (now - 10000, now - 10000), follow_symlinks=False)


def picture(root, known=None, directories=True):
    """{place: [(mode, owner, mtime, content), …]} of the spool; times within a minute of now are "now".

    known gives labels to names that bear the inode of another file."""
    known = known or {}
    now = time.time()
    names, found = {}, {}

    def moment(value):
        return "now" if abs(value - now) < 60 else round(value, 3)
    entries = []
    for folder, folders, files in os.walk(root):
        for name in folders if directories else ():
            place = os.path.relpath(os.path.join(folder, name), root)
            found[place + "/"] = oct(os.lstat(os.path.join(folder, name)).st_mode & 0o7777)
        entries += [(folder, name) for name in files]
    for folder, name in entries:
        if os.path.relpath(folder, root).split("/")[0] in LOGS:
            names.setdefault(name, name)  # a log's own inode says nothing about its name
            continue
        status = os.lstat(os.path.join(folder, name))
        if names.get(name, name) == name:
            names[name] = shown_name(name, status.st_ino)
    for folder, name in entries:
        path = os.path.join(folder, name)
        status = os.lstat(path)
        # A log bears the name of its message, so it is shown as that one is.
        shown = names[name] if names[name] != name else known.get(name, name)
        if shown == name and name.endswith("#FIX") and name[:-4] in names:
            shown = names[name[:-4]] + "#FIX"
        place = os.path.join(os.path.relpath(folder, root), shown)
        if os.path.islink(path):
            found[place] = ("link", os.readlink(path))
            continue
        if not os.path.isfile(path):
            found[place] = ("special", oct(status.st_mode))
            continue
        with open(path, "rb") as file:
            content = file.read()
        found.setdefault(place, []).append((oct(status.st_mode & 0o7777), status.st_uid, moment(status.st_mtime), content))
    return {place: sorted(value, key=str) if isinstance(value, list) else value for place, value in found.items()}


def make_directories(root, owner, group):
    for name in FLAT:
        path = os.path.join(root, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, owner if name != "pid" else 0, group if name in ("maildrop", "public") else 0)
        os.chmod(path, {"maildrop": 0o730, "public": 0o710, "pid": 0o755}.get(name, 0o700))


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


def fit_names(root, depth=1, hashed=("deferred", "defer")):
    """Gives every message of the tree, and its logs, the short name that fits its inode. Returns {old: new}."""
    renamed = {}
    for queue in MESSAGES:
        for folder, _, files in os.walk(os.path.join(root, queue)):
            for name in files:
                inode = os.lstat(os.path.join(folder, name)).st_ino
                if len(name) < 6 or any(c not in "0123456789ABCDEF" for c in name):
                    continue
                new = name[:5] + f"{inode:X}"
                os.rename(os.path.join(folder, name), os.path.join(folder, new))
                renamed[name] = new
                for log in LOGS:
                    for there in (os.path.join(root, log), os.path.join(root, log, *name[:depth])):
                        if os.path.exists(os.path.join(there, name)):
                            os.rename(os.path.join(there, name), os.path.join(there, new))
    return renamed
