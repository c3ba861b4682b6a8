"""A parameter that nearly every program uses has a value that it cannot have: the same commands refuse to run, in the same words
and with the same status, as the reference's."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import Skip, run  # noqa: E402
from mtad import Mtad  # noqa: E402
from reference import Reference, reference_root  # noqa: E402

SETTINGS = [("line_length_limit", value) for value in ("511", "512", "0", "-1", "x", "", "2147483648", "99999999999999999999")]
SETTINGS += [("hash_queue_depth", "0"), ("hash_queue_depth", "1"), ("header_size_limit", "0"), ("header_size_limit", "1k"),
             ("ipc_timeout", "0"), ("ipc_timeout", "-1"), ("ipc_timeout", "1y"), ("trigger_timeout", "0"), ("fork_attempts", "0"),
             ("deliver_lock_attempts", "0"), ("mail_owner", ""), ("queue_directory", ""), ("enable_long_queue_ids", "maybe"),
             ("hopcount_limit", "0"), ("delay_warning_time", "x"), ("message_size_limit", "-1"), ("default_process_limit", "0"),
             ("message_size_limit", "2147483648"), ("message_size_limit", "x"),
             ("lmdb_map_size", "2147483648"), ("dont_remove", "-1"), ("line_length_limit", "${config_directory}"),
             ("maillog_file_prefixes", "/nowhere"), ("maillog_file_prefixes", "")]
COMMANDS = [("postdrop", ["-r"], b""), ("sendmail", ["a@b.test"], b"x\n"), ("sendmail", ["-bs"], b"QUIT\r\n"), ("sendmail", ["-bp"], b""),
            ("postqueue", ["-p"], b""), ("postsuper", ["-s"], b""), ("postcat", ["/dev/null"], b""), ("postlog", ["text"], b""),
            ("postlock", ["LOCKFILE", "true"], b""), ("postkick", ["public", "nobody", "W"], b""),
            ("postmap", ["-q", "x", "inline:{x=y}"], b"")]


def said(text, *directories):
    """Without what is not about the setting: places, the name a program was called by, that nothing runs."""
    text = text.decode(errors="replace")
    for one in directories:
        text = text.replace(one, "HERE")
    lines = re.sub(r"^\S*/", "", text, flags=re.M).splitlines()
    return [line for line in lines if ": fatal: " in line and "mail system is down" not in line]


def outcomes(kind):
    system = kind({})
    try:
        system.write_configuration()
        if kind is Reference:
            system.run("postfix", "check", timeout=60)
        with open(os.path.join(system.config, "main.cf")) as file:
            base = file.read()

        def play(job):
            number, (name, value), (program, words, text) = job
            place = os.path.join(system.directory, f"etc{number}")
            shutil.copytree(system.config, place)
            with open(os.path.join(place, "main.cf"), "w") as file:
                file.write(f"{base}\nalternate_config_directories = {place}\n{name} = {value}\n")
            lock = os.path.join(place, "lock")
            with open(lock, "w"):
                pass
            done = subprocess.run([system.command(program), *[lock if word == "LOCKFILE" else word for word in words]], input=text,
                                  capture_output=True, cwd="/", timeout=120,
                                  env={**system.environment(), "MAIL_CONFIG": place, "MTAD_NO_FATAL_DELAY": "1"})
            return f"{name} = {value}: {program} {words[0]}", (done.returncode, said(done.stderr, place, system.directory))
        jobs = [(number, setting, words) for number, (setting, words) in
                enumerate((setting, words) for setting in SETTINGS for words in COMMANDS)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:  # a fatal error takes the reference a second
            return dict(pool.map(play, jobs))
    finally:
        system.remove()


def main(checks):
    reference_root()
    if os.geteuid() != 0:
        raise Skip("the reference's programs need root here")
    theirs, ours = outcomes(Reference), outcomes(Mtad)
    refused = 0
    for what, expected in theirs.items():
        checks.equal(ours[what], expected, what)
        refused += expected[0] != 0
    checks.ok(refused > 50, "many are refused", str(refused))


run(main)
