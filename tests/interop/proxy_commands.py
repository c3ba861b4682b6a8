"""postmap and postalias through proxy: tables, beside the reference's: each side's commands with the daemon of its own, and with the
other one's."""
import concurrent.futures
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from checks import command, wait_until
from mtad import Mtad
from reference import Reference, library_path, tool

PARAMETERS = {"proxy_read_maps": "proxy:btree:$data_directory/bt proxy:hash:$config_directory/known proxy:inline:{a=b} proxy:fail:x "
                                 "proxy:hash:$config_directory/none proxy:regexp:$config_directory/re",
              "proxy_write_maps": "proxy:btree:$data_directory/bt proxy:hash:$config_directory/known proxy:inline:{a=b} proxy:fail:x "
                                  "proxy:lmdb:$data_directory/lm proxy:cdb:$data_directory/cd"}


def rows():
    """Command, words, standard input; D and C are the two directories."""
    bt, known = "proxy:btree:D/bt", "proxy:hash:C/known"
    for words, data in ((["-q", "a", bt], b""), (["-q", "-", bt], b"a\nA\nnosuch\n"), (["-fq", "A", bt], b""), (["-s", bt], b""), (["-i", bt], b"z 1\n"),
                        (["-ir", bt], b"z 1\n"), ([bt], b""), (["-r", bt], b""), (["-d", "a", bt], b""), (["-d", "a", bt], b""), (["-d", "B", bt], b""),
                        (["-d", "-", bt], b"c\nnosuch\n"), (["-d", "-", bt], b"nosuch\n"), (["-fd", "F", bt], b""), (["-d", "\udcff", bt], b""),
                        (["-ud", "\udcff", bt], b""), (["-d", "", bt], b""), (["-nd", "n", bt], b""), (["-Nd", "m", bt], b""),
                        (["-d", "p", "proxy:proxy:btree:D/bt"], b""), (["-q", "q", "proxy:proxy:btree:D/bt"], b""),
                        (["-d", "q", known, bt], b""), (["-q", "q", known, bt], b""), (["-q", "-", bt, known], b"q\njoe\n"),
                        (["-s", known], b""), (["-q", "-", known], b"a\njoe\nnosuch\n"), ([known], b""), (["-q", "joe", known], b""),
                        (["-d", "joe", known], b""), (["-i", "proxy:hash:C/other"], b"a 1\n"), (["-d", "a", "proxy:hash:C/other"], b""),
                        (["-q", "a", "proxy:hash:C/other"], b""), (["-i", "proxy:inline:{a=b}"], b"a 1\n"),
                        (["-q", "a", "proxy:inline:{a=b}"], b""), (["-s", "proxy:inline:{a=b}"], b""), (["-i", "proxy:fail:x"], b"a 1\n"),
                        (["-q", "a", "proxy:fail:x"], b""), (["-s", "proxy:regexp:C/re"], b""), (["-q", "xY", "proxy:regexp:C/re"], b""),
                        (["-i", "proxy:cdb:D/cd"], b"a 1\n"), (["-i", "proxy:"], b"a 1\n"), (["-i", "proxy:nosuch:x"], b"a 1\n"),
                        (["-d", "a", "proxy:hash:C/none"], b""), (["-q", "a", "proxy:hash:C/none"], b""), (["-s", "proxy:hash:C/none"], b"")):
        yield "postmap", words, data
    for words, data in ((["-i", bt], b"x: y\n"), (["-q", "x", bt], b""), (["-q", "-", bt], b"x\n"), (["-d", "x", bt], b""), (["-s", known], b"")):
        yield "postalias", words, data


def fill(server):
    """What is in the table that both services have: put there as a daemon would."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        link.connect(os.path.join(server.spool, "private", "proxywrite"))
        link.recv(1000)
        for key in "abcdfmnpqxF":
            link.sendall(f"request\0update\0table\0btree:{server.data}/bt\0flags\000524353\0key\0{key}\0value\0of {key}\0\0".encode())
            link.recv(1000)


def outcome(side, server, which, words, data):
    words = [word.replace("D/", server.data + "/").replace("C/", server.config + "/") for word in words]
    environment = {**server.environment(), "MTAD_NO_FATAL_DELAY": "1", "LD_LIBRARY_PATH": library_path()}
    done = subprocess.run([tool(which) if side == 0 else command(which), *words], input=data, capture_output=True, env=environment,
                          timeout=60)
    out, err = (text.replace(server.directory.encode(), b"") for text in (done.stdout, done.stderr))
    if "-s" in words:
        out = b"".join(sorted(line for line in out.splitlines(True) if not line.startswith(b"YP_LAST")))
    return done.returncode, out, err


def outcomes(side, server):
    """All rows in their order, after the table is what it was at first. The first row waits until lookups see that."""
    fill(server)
    first = next(rows())
    wait_until(lambda: outcome(side, server, *first)[0] == 0, 20, 0.3)
    return [outcome(side, server, *row) for row in rows()]


def compare(checks, label, right, seen, left_out=lambda words: False):
    chosen = [row for row in zip(rows(), right, seen) if not left_out(row[0][1])]
    different = [f"{row}\n  reference {theirs!r:.600}\n  ours      {ours!r:.600}" for row, theirs, ours in chosen if theirs != ours]
    checks.ok(chosen and not different, f"{label}: {len(chosen) - len(different)}/{len(chosen)} equal", "\n".join(different))


def write_tables(server):
    server.write_configuration()
    for name, text in (("known", "a 1\njoe known\n"), ("re", "/^x(.)/ got-$1\n")):
        with open(os.path.join(server.config, name), "w") as file:
            file.write(text)
    subprocess.run([command("postmap"), f"hash:{server.config}/known"], env={"MAIL_CONFIG": server.config, "PATH": "/usr/bin:/bin"}, check=True)


def main(checks):
    if os.geteuid() != 0:
        raise harness.Skip("the reference's daemon needs root")
    servers = [kind(parameters=PARAMETERS) for kind in (Reference, Reference, Mtad)]
    theirs, other, ours = servers
    for server in servers:
        write_tables(server)
    try:
        for server in servers:
            server.start(configure=False)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:  # the reference waits a second when it fails
            right, mixed, seen = pool.map(outcomes, (0, 1, 1), (theirs, other, ours))
        compare(checks, "our commands with our daemon, beside the reference's", right, seen)
        compare(checks, "our commands with the reference's daemon", right, mixed, lambda words: words[0] == "-s" and "none" in words[1])
        # What cannot be built is said in words that hang on files that the other one's directory lacks.
        compare(checks, "the reference's commands with our daemon", right, outcomes(0, ours), lambda words: words[0] in ("-i", "-ir"))
    finally:
        for server in servers:
            server.stop()
    for server in servers:
        server.remove()


harness.run(main)
