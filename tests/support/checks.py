"""Prints one line a check and turns the tally into the exit status meson expects (0, 1, or 77 for "skipped")."""
import os
import signal
import sys
import time
import traceback


class Skip(Exception):
    """Raised by a script that cannot run here; the text says what is missing."""


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def ok(self, condition, sentence, detail=""):
        if condition:
            self.passed += 1
            print(f"ok - {sentence}", flush=True)
        else:
            self.failed += 1
            print(f"not ok - {sentence}", flush=True)
            if detail:
                for line in str(detail).splitlines()[:40]:
                    print(f"#   {line}", flush=True)
        return bool(condition)

    def equal(self, seen, expected, sentence):
        return self.ok(seen == expected, sentence, f"expected {expected!r:.2000}\nseen     {seen!r:.2000}")

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)


def run(main):
    """Runs main(checks) and exits as meson expects. A script without a single check has failed."""
    checks = Checks()
    # A test that is told to end must still stop the servers it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        main(checks)
    except Skip as reason:
        print(f"# skipped: {reason}", flush=True)
        sys.exit(77 if not checks.failed else 1)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        checks.failed += 1
    print(f"# {checks.passed} passed, {checks.failed} failed", flush=True)
    sys.exit(0 if checks.passed and not checks.failed else 1)


def wait_until(condition, seconds=10.0, step=0.02):
    """Waits for condition() to be true; returns its last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        time.sleep(step)


def project_root():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def build_root():
    return os.environ.get("MTAD_BUILD") or os.path.join(project_root(), "build", "main")


def command(name):
    """Path of one of our commands in the build tree; raises Skip when it has not been built."""
    home = {"mailq": "sendmail", "newaliases": "sendmail"}.get(name, name)
    path = os.path.join(build_root(), "bin", home, home)
    if not os.access(path, os.X_OK):
        raise Skip(f"{name} is not built")
    return path


def need(*programs):
    import shutil
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")
