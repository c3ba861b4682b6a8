#!/usr/bin/env python3
"""What our postconf does beyond the reference's: explanations, origins, JSON, checks, a configuration in pieces."""
import json
import os
import pathlib
import subprocess
import tempfile

from checks import Skip, run

MAIN = """compatibility_level = 3.6
myhostname = mail.example.test
mtad_main_cf_directory = main.d
mtad_master_cf_directory = $config_directory/master.d
relayhost = first.example.test
greeting = hello from $myhostname
smtpd_banner = $greeting ESMTP
relay_hsot = typo
queue_run_delay = soon
virtual_alias_maps = texthash:$config_directory/missing
"""


def main(checks):
    program = pathlib.Path(os.environ.get("MTAD_BUILD", "")) / "bin/postconf/postconf"
    if not program.exists():
        raise Skip("set MTAD_BUILD to a build with postconf")
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        (top / "main.cf").write_text(MAIN)
        (top / "master.cf").write_text("smtp inet n - n - - smtpd\n    -o smtpd_banner=other\n")
        for folder, file, text in (("main.d", "10.cf", "relayhost = second.example.test\n"), ("main.d", "20.txt", "broken"),
                                   ("master.d", "x.cf", "slow unix - - n - 1 smtp\n")):
            (top / folder).mkdir(exist_ok=True)
            (top / folder / file).write_text(text)

        def postconf(*words):
            return subprocess.run([program, *words], capture_output=True, text=True, timeout=60,
                                  env={**os.environ, "MAIL_CONFIG": name, "MTAD_NO_FATAL_DELAY": "1"})

        checks.equal(postconf("-h", "relayhost").stdout, "second.example.test\n", "a piece counts more than main.cf")
        checks.equal(postconf("-H", "-n", "slow_destination_rate_delay").stderr.count("unknown"), 0,
                     "a service of a piece has its parameters")
        checks.equal(postconf("--origin", "relayhost", "myhostname", "soft_bounce").stdout.splitlines(),
                     [f"{top}/main.d/10.cf:1: relayhost = second.example.test",
                      f"{top}/main.cf:2: myhostname = mail.example.test", "default: soft_bounce = no"],
                     "--origin tells file and line")
        postconf("-e", "relayhost=third.example.test", "soft_bounce=yes")
        checks.equal((top / "main.d/10.cf").read_text(), "relayhost = third.example.test\n",
                     "-e changes the file where the name is set last")
        checks.ok((top / "main.cf").read_text().endswith("soft_bounce = yes\n"), "and main.cf for a new name")
        told = postconf("--explain", "smtpd_banner").stdout
        checks.ok(f"{top}/main.cf:7" in told and "hello from mail.example.test ESMTP" in told and "through" in told
                  and "smtp/inet = other" in told, "--explain tells place, text, way and overriding services", told)
        near = postconf("--explain", "relayhots")
        checks.ok("did you mean relayhost?" in near.stderr and near.returncode == 1, "a near name is told", near.stderr)
        about = json.loads(postconf("--json", "--explain", "relayhost").stdout)
        checks.equal((about["value"], about["set_in"]), ("third.example.test", f"{top}/main.d/10.cf:1"),
                     "--json --explain is one object")
        pairs = [json.loads(line) for line in postconf("--json", "-n").stdout.splitlines()]
        checks.ok({"relayhost": "third.example.test"} in pairs, "--json gives an object a line", pairs)
        for words in (["-M"], ["-F"], ["-P"]):
            lines = postconf("--json", "--origin", *words).stdout.splitlines()
            checks.ok(lines and all({"name", "value", "origin"} == set(json.loads(line)) for line in lines),
                      f"--json --origin {words[0]} has three members", lines)
        (top / "main.cf").chmod(0o666)
        found = postconf("--check")
        for text in (f"{top}/main.cf:8: warning: unused parameter: relay_hsot; did you mean relayhost?",
                     f"{top}/main.cf:9: error: ", "texthash:" + name + "/missing: there is no such file",
                     f"{top}/main.cf: error: others than its owner may write it"):
            checks.ok(text in found.stdout, f"--check tells: {text.replace(name, 'DIR')}", found.stdout)
        checks.equal(found.returncode, 2, "and says by its status that there were errors")
        (top / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = mail.example.test\n")
        (top / "main.cf").chmod(0o644)
        top.chmod(0o755)
        fine = postconf("--check")
        checks.equal((fine.stdout, fine.returncode), ("", 0), "a good configuration has no findings")


run(main)
