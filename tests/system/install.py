"""meson install with DESTDIR puts each file where a Postfix administrator expects it, with its owner and mode."""
import os
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, build_root, command, need, run  # noqa: E402

COMMANDS = ("postconf", "postmap", "postalias", "postcat", "postsuper", "postlog", "postlock", "postkick", "postfix", "qshape")
SET_GID = ("postdrop", "postqueue")


def main(checks):
    need("meson", "unshare", "readelf")
    command("sendmail")
    if os.geteuid() != 0:
        raise Skip("owners can only be set by root")
    with tempfile.TemporaryDirectory() as directory:
        # The account and the groups exist only in a private view of passwd and group.
        for name, line in (("passwd", "postfix:x:931:931::/var/spool/postfix:/usr/sbin/nologin\n"),
                           ("group", "postfix:x:931:\npostdrop:x:932:\n")):
            with open(f"/etc/{name}") as source, open(os.path.join(directory, name), "w") as copy:
                copy.write("".join(old for old in source if not old.startswith(("postfix:", "postdrop:"))) + line)
        root = os.path.join(directory, "root")
        script = ('mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && '
                  'DESTDIR="$0/root" exec meson install -C "$1" --no-rebuild')
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, directory, build_root()],
                              capture_output=True, text=True, timeout=150)
        checks.ok(done.returncode == 0, "meson install with DESTDIR succeeds", done.stdout[-1500:] + done.stderr[-1500:])

        def details(path):
            try:
                return os.lstat(os.path.join(root, path))
            except FileNotFoundError:
                return None

        def check(path, mode, uid=0, gid=0):
            found = details(path)
            if not checks.ok(found is not None, f"/{path} is installed"):
                return
            seen = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
            checks.ok(seen == (mode, uid, gid), f"/{path}: mode {mode:o}, owner {uid}:{gid}",
                      f"mode {seen[0]:o}, owner {seen[1]}:{seen[2]}")
        for name in COMMANDS + ("sendmail",):
            check(f"usr/sbin/{name}", 0o755)
        for name in SET_GID:
            check(f"usr/sbin/{name}", 0o2555, 0, 932)
        check("usr/lib/postfix/sbin/mtad", 0o755)
        check("usr/lib/postfix/modules/table_sqlite.so", 0o755)
        for name in ("usr/sbin/postmap", "usr/lib/postfix/sbin/mtad"):
            header = subprocess.run(["readelf", "-d", os.path.join(root, name)], capture_output=True, text=True,
                                    timeout=30).stdout
            checks.ok("RUNPATH" not in header and "RPATH" not in header, f"/{name} looks for modules only where they are installed",
                      header)
        for name, folders in (("mailq", ("usr/bin", "usr/sbin")), ("newaliases", ("usr/bin", "usr/sbin"))):
            found = [os.path.join(folder, name) for folder in folders if details(os.path.join(folder, name))]
            checks.ok(found and os.path.basename(os.path.realpath(os.path.join(root, found[0]))) == "sendmail",
                      f"{name} is sendmail", str(found))
        if checks.ok(details("var/spool/postfix") is not None, "the queue directory is made"):
            check("var/spool/postfix", 0o755)
            for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
                         "saved", "trace"):
                check(f"var/spool/postfix/{name}", 0o700, 931, 0)
            check("var/spool/postfix/maildrop", 0o730, 931, 932)
            check("var/spool/postfix/public", 0o710, 931, 932)
            check("var/lib/postfix", 0o700, 931, 931)
        # The installed command runs from its place.
        version = subprocess.run([os.path.join(root, "usr/sbin/postconf"), "-d", "-h", "mail_version"], capture_output=True,
                                 text=True)
        checks.equal(version.stdout.strip(), "3.7.11", "the installed postconf runs")


run(main)
