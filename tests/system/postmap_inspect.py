"""postmap's own options: --explain, --check, --stats, --convert and --json."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command
from server import new_directory


def main(checks):
    directory = new_directory()
    with open(os.path.join(directory, "main.cf"), "w") as file:
        file.write(f"recipient_delimiter = +\nmyhostname = mx.test\nqueue_directory = {directory}\ndata_directory = {directory}\n"
                   f"maillog_file = {directory}/maillog\nmaillog_file_prefixes = /tmp, /var\n")
    for name, text in (("map", "joe+x@d.test 1\njoe@d.test 2\n@d.test 3\nA 1\nb 2\na 2\nbad\n"), ("rules", "/^joe/ r\n/^Joe/ s\n/^joe/ t\n/(/ u\n"),
                       ("nets", "10.0.0.0/8 a\n10.1.0.0/16 b\nif 192.0.2.0/24\n192.0.2.1 x\nendif\n192.0.2.1 y\n"), ("good", "a 1\nb 2\n")):
        with open(os.path.join(directory, name), "w") as file:
            file.write(text)

    def run(*words, program="postmap"):
        done = subprocess.run([command(program), *words], capture_output=True, text=True, cwd=directory, timeout=60,
                              env={"MAIL_CONFIG": directory, "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1"})
        return done.returncode, done.stdout, done.stderr

    checks.equal(run("--explain", "joe+y@d.test", "static:", "texthash:map")[0], 0, "--explain finds")
    checks.equal(run("--explain", "joe+y@d.test", "texthash:good", "texthash:map")[1].splitlines(), [
        'texthash:good: "joe+y@d.test": not found', 'texthash:good: "joe@d.test": not found', 'texthash:good: "joe+y": not found',
        'texthash:good: "joe": not found', 'texthash:good: "@d.test": not found', 'texthash:map: "joe+y@d.test": not found',
        'texthash:map: "joe@d.test": found: 2 (map:2)'], "--explain tells every key, and the file and line that answered")
    status, out, _ = run("--explain=joe@d.test", "--json", "regexp:{{/x/ y}}", "pcre:rules")
    rows = [json.loads(line) for line in out.splitlines()]
    checks.equal((status, [row["outcome"] for row in rows], rows[-1]["place"]), (0, ["not found", "found"], "rules:1"),
                 "rules are asked for the whole key once; --json is an object a line")
    checks.equal(run("--explain", "a", "fail:x", "static:y")[:2], (1, 'fail:x: "a": error: Application error\n'),
                 "trouble ends the search")
    checks.equal(run("--check", "hash:good"), (0, "", ""), "--check has nothing to say about a good source")
    status, _, errors = run("--check", "map", "pcre:rules", "cidr:nets")
    checks.equal((status, errors.splitlines()), (1, [
        'postmap: warning: map, line 6: duplicate entry: "a" is on line 4 already',
        "postmap: warning: map, line 7: expected format: key whitespace value",
        "postmap: warning: pcre map rules, line 4: error in regex at offset 1: missing closing parenthesis",
        "postmap: warning: rules, line 3: /^joe/ is never reached: line 1 answers first",
        "postmap: warning: nets, line 2: 10.1.0.0/16 is never reached: line 1 answers first"]),
        "--check names duplicates, bad lines and rules that are never reached")
    checks.equal(run("hash:good")[0], 0, "a database is built")
    for old, new in (("hash", "lmdb"), ("lmdb", "cdb"), ("cdb", "btree")):
        name = {"btree": "again"}.get(new, "good")
        checks.equal((run("--convert", f"{old}:good", f"{new}:{name}")[0], run("-q", "b", f"{new}:{name}")[1]), (0, "2\n"),
                     f"--convert makes {new} of {old}")
    status, out, _ = run("--stats", "--json", "lmdb:good")
    seen = json.loads(out)
    checks.equal((status, seen["entries"], seen["bytes"], seen["longest_key"], seen["file_size"] > 0), (0, 2, 4, 1, True), "--stats counts")
    checks.equal(run("--stats", "cdb:good")[1].split(" file_size")[0], "cdb:good.cdb: entries=2 bytes=4 longest_key=1 longest_value=1",
                 "--stats for people")
    checks.equal(run("--json", "-q", "a", "hash:good")[1], '{"a": "1"}\n', "an answer as JSON")
    checks.equal(sorted(run("--json", "-s", "hash:good")[1].splitlines()), ['{"a": "1"}', '{"b": "2"}'], "a listing as JSON")
    checks.equal(run("--convert", "hash:good")[0], 1, "--convert needs two tables")
    os.chmod(os.path.join(directory, "good.db"), 0o600)
    with open(os.path.join(directory, "good.hash"), "w"):  # no database of ours
        os.chmod(os.path.join(directory, "good.hash"), 0o644)
    modes = []
    for words in (["--convert", "hash:good", "cdb:closed"], ["-p", "--convert", "hash:good", "cdb:open"],
                  ["--convert", "inline:{a=b}", "cdb:other"]):
        run(*words)
        modes.append(os.stat(os.path.join(directory, words[-1][4:] + ".cdb")).st_mode & 0o777)
    checks.equal(modes, [0o600, 0o644, 0o644], "what --convert makes may be read by who could read what it was made of")
    checks.ok("file_size=0" in run("--stats", "internal:good")[1], "a table that is in no file has no size")
    for words in (["--explain", "a", "--check", "good"], ["-q", "a", "--stats", "good"], ["--check", "--convert", "good", "cdb:x"],
                  ["-i", "--check", "good"]):
        checks.equal(run(*words), (1, "", "postmap: fatal: specify only one of -d -i -q -s --explain --check --stats --convert\n"),
                     f"{' '.join(words)}: one thing at a time")
    for words in (["--json", "good"], ["--json", "--check", "good"], ["--json", "-d", "a", "hash:good"]):
        checks.equal(run(*words)[0], 1, f"{' '.join(words)}: nothing to say in JSON")
    checks.ok(run("--nosuch")[0] == 64, "an unknown long option is a mistake in usage")


harness.run(main)
