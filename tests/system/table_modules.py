"""Modules: the example of docs/table-modules.md built out of the tree; a module that throws inside a command whose C++
runtime is static; files that are no modules; where modules are looked for."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import Skip, build_root, command, project_root
from server import new_directory


class Place:
    """A directory of modules of its own, seen by the programs it runs in place of the build's."""

    def __init__(self):
        self.directory = new_directory()
        self.modules = os.path.join(self.directory, "modules")
        os.makedirs(self.modules)
        self.config = os.path.join(self.directory, "etc")
        os.makedirs(self.config)
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            file.write("compatibility_level = 3.6\nmyhostname = mx.test\nloud_mark = !!\n")

    def run(self, program, *words, environment=None):
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        own_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", *own_root, "sh", "-c", script, self.modules,
             os.path.join(build_root(), "modules"), command(program), *words],
            capture_output=True, timeout=60,
            env={"PATH": os.environ["PATH"], "MAIL_CONFIG": self.config, "MTAD_NO_FATAL_DELAY": "1", **(environment or {})})


def documented_example(checks, place):
    with open(os.path.join(project_root(), "docs", "table-modules.md")) as file:
        code = re.search(r"```c\n(.*?)```", file.read(), re.S).group(1)
    source = os.path.join(place.directory, "shout.c")
    with open(source, "w") as file:
        file.write(code)
    target = os.path.join(place.modules, "table_shout.so")
    built = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
                            "-I" + os.path.join(project_root(), "lib"), "-o", target, source], capture_output=True, timeout=60)
    checks.equal((built.returncode, built.stderr), (0, b""), "the example of the documentation builds out of the tree")
    path = os.path.join(place.directory, "x.cf")
    with open(path, "w") as file:
        file.write("mark = ?\ndomain = example.com\n")
    rows = [(["-q", "hello", "shout:x"], b"HELLO\n", 0), (["-q", "hello", "shout:loud"], b"HELLO!!\n", 0),
            (["-q", "123", "shout:loud"], b"", 1), (["-q", "a@example.com", "shout:" + path], b"A@EXAMPLE.COM?\n", 0),
            (["-q", "a@example.org", "shout:" + path], b"", 1), (["-q", b"\xff", "shout:x"], b"", 1)]
    for words, out, status in rows:
        done = place.run("postmap", *words)
        checks.equal((done.stdout, done.returncode), (out, status), f"postmap {words[0]} {words[1]!r} {os.path.basename(words[2])}")
    listed = place.run("postmap", "-s", "shout:x")
    checks.ok(listed.returncode == 1 and b"sequence operation is not supported" in listed.stderr,
              "a module without walk cannot be listed", listed.stderr)
    checks.ok(b"shout" in place.run("postconf", "-m").stdout.split(), "postconf -m lists it")
    os.unlink(target)
    checks.ok(b"shout" not in place.run("postconf", "-m").stdout.split(), "postconf -m lists it no more when the file is gone")
    gone = place.run("postmap", "-q", "a", "shout:x")
    checks.ok(gone.returncode == 1 and b"unsupported dictionary type: shout" in gone.stderr,
              "a type whose module is not there is named", gone.stderr)


def exceptions(checks, place):
    runtime = subprocess.run(["ldd", command("postmap")], capture_output=True, timeout=30).stdout
    checks.ok(b"libstdc++" not in runtime or b"libasan" in runtime, "postmap's C++ runtime is its own", runtime)
    shutil.copy(os.path.join(build_root(), "tests", "table", "table_throwing.so"), place.modules)
    symbols = subprocess.run(["nm", "-D", "--defined-only", os.path.join(place.modules, "table_throwing.so")],
                             capture_output=True, timeout=30).stdout.split()
    checks.equal(symbols[2:], [b"mtad_table_entry"], "a module shows one symbol")
    for key, text in (("runtime_error", b"thrown inside"), ("bad_alloc", b"bad_alloc"), ("number", b"unknown exception"),
                      ("out_of_range", b"at")):
        done = place.run("postmap", "-q", key, "throwing:x")
        checks.ok(done.returncode == 1 and b"query error" in done.stderr and text in done.stderr and not done.stdout,
                  f"{key} thrown inside a module is an answer that could not be given, not a crash and not \"absent\"",
                  f"{done.returncode} {done.stderr!r}")
    done = place.run("postmap", "-q", "plain", "throwing:x")
    checks.equal((done.returncode, done.stderr), (1, b""), "the same module answers \"absent\" where it does not throw")


def no_modules(checks, place):
    with open(os.path.join(place.modules, "table_text.so"), "w") as file:
        file.write("no shared object")
    done = place.run("postmap", "-q", "a", "text:x")
    checks.ok(done.returncode == 1 and b"unsupported dictionary type: text" in done.stderr, "a file that is no module is refused",
              done.stderr)
    source = os.path.join(place.directory, "old.c")
    with open(source, "w") as file:
        file.write("#include <mta/table/module.h>\nstatic const struct mtad_table_module m = {99, sizeof m, \"old\", 0, 0, 0, 0, 0};\n"
                   "const struct mtad_table_module *mtad_table_entry(void) { return &m; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-I" + os.path.join(project_root(), "lib"), "-o",
                    os.path.join(place.modules, "table_old.so"), source], check=True, timeout=60)
    done = place.run("postmap", "-q", "a", "old:x")
    checks.ok(done.returncode == 1 and b"is no module for this version" in done.stderr, "a module of another version is refused",
              done.stderr)
    done = place.run("postmap", "-q", "a", ":x")
    checks.ok(done.returncode == 1 and b'expecting "type:name" form' in done.stderr, "no name is no name of a module", done.stderr)
    for kind in ("../modules/table_old", "a/b", "OLD"):
        done = place.run("postmap", "-q", "a", f"{kind}:x")
        checks.ok(done.returncode == 1 and b"unsupported dictionary type" in done.stderr, f"{kind!r} is no name of a module",
                  done.stderr)


def fixed_place(checks, place):
    shutil.copy(os.path.join(build_root(), "tests", "table", "table_throwing.so"),
                os.path.join(place.directory, "table_throwing.so"))
    os.unlink(os.path.join(place.modules, "table_throwing.so"))
    done = place.run("postmap", "-q", "a", "throwing:x", environment={"LD_LIBRARY_PATH": place.directory, "MTAD_MODULES": place.directory})
    checks.ok(b"unsupported dictionary type" in done.stderr, "no environment variable says where modules are", done.stderr)
    text = subprocess.run(["readelf", "-d", command("postmap")], capture_output=True, timeout=30).stdout
    checks.ok(os.path.join(build_root(), "modules").encode() in text, "a program of the build tree notes the build's modules", text)


def main(checks):
    if not shutil.which("cc"):
        raise Skip("no C compiler")
    probe = subprocess.run(["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "true"], capture_output=True)
    if probe.returncode:
        raise Skip("no private mount namespace")
    place = Place()
    try:
        documented_example(checks, place)
        exceptions(checks, place)
        no_modules(checks, place)
        fixed_place(checks, place)
    finally:
        if not os.environ.get("MTAD_TEST_KEEP"):
            shutil.rmtree(place.directory, ignore_errors=True)


harness.run(main)
