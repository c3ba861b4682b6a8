"""Accounts that exist for this test process and its children only: a private mount namespace with passwd and group files
of the test's own, so that the host gains no user."""
import atexit
import ctypes
import os
import shutil
import subprocess
import tempfile

from checks import Skip

FIRST_ID = 3001  # of users and of their groups, which bear the same names
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def enter_namespace():
    """From here on mounts are this process's own business; they end with it and its children."""
    if os.geteuid() != 0:
        raise Skip("private accounts need root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise Skip("no private mount namespace: " + os.strerror(ctypes.get_errno()))


def bind(source, target):
    done = subprocess.run(["mount", "--bind", source, target], capture_output=True, text=True)
    if done.returncode:
        raise Skip("bind mount: " + done.stderr)


def add(names, base, homeless=(), members=None):
    """Adds accounts with homes under base, of which the homeless have none on disk. members adds users to groups that
    are made for it: {"group": ["user"]}. Returns name → uid (its gid is the same)."""
    directory = tempfile.mkdtemp(prefix="mtad-accounts-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    ids = {name: FIRST_ID + number for number, name in enumerate(names)}
    lines = {"passwd": "", "group": ""}
    for name, number in ids.items():
        lines["passwd"] += f"{name}:x:{number}:{number}:Test:{base}/{name}:/bin/sh\n"
        lines["group"] += f"{name}:x:{number}:\n"
        if name not in homeless:
            make_home(base, name, number)
    for number, (group, users) in enumerate((members or {}).items()):
        lines["group"] += f"{group}:x:{FIRST_ID + 900 + number}:{','.join(users)}\n"
    for name, text in lines.items():
        path = os.path.join(directory, name)
        with open(f"/etc/{name}") as source, open(path, "w") as copy:
            copy.write(source.read() + text)
        bind(path, f"/etc/{name}")
    return ids


def make_home(base, name, number, mode=0o755):
    home = os.path.join(base, name)
    os.makedirs(home, exist_ok=True)
    os.chown(home, number, number)
    os.chmod(home, mode)
    return home
