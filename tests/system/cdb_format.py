"""docs/cdb-format.md tells the format as it is: a reader and a writer made from that page beside our postmap."""
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cdb_file import Reader, key_hash, written
from checks import command, project_root, run


def entries(number):
    draw = random.Random(5)
    letters = [bytes([byte]) for byte in range(1, 256) if byte not in b" \t\r\n\v\f\"\\#:"]
    return {b"%d" % index + b"".join(draw.choices(letters, k=draw.randint(0, 40))): b"".join(draw.choices(letters, k=draw.randint(1, 50)))
            for index in range(number)}


def main(checks):
    with open(os.path.join(project_root(), "docs", "cdb-format.md"), encoding="utf-8") as file:
        examples = re.findall(r"\| (?:`(\w+)`|\(empty\)) \| (\d+), (0x[0-9a-f]+) \|", file.read())
    wrong = [row for row in examples if not key_hash(row[0].encode()) == int(row[1]) == int(row[2], 16)]
    checks.ok(len(examples) == 3 and not wrong, "the page's examples of the hash are right", wrong)

    with tempfile.TemporaryDirectory() as directory:
        open(os.path.join(directory, "main.cf"), "w").close()
        path = os.path.join(directory, "t")

        def postmap(words, data=b""):
            return subprocess.run([command("postmap"), "-c", directory, *words], input=data, capture_output=True, timeout=60)
        for number in (0, 1, 2, 5000):
            known = entries(number)
            with open(path, "wb") as file:
                file.write(b"".join(b"%s %s\n" % pair for pair in known.items()))
            for letters, nul in (("-fu", b""), ("-fuN", b"\0")):
                done = postmap([letters, f"cdb:{path}"])
                with open(path + ".cdb", "rb") as file:
                    made = file.read()
                found = Reader(made)
                checks.ok(done.returncode == 0 and list(found.records()) == [(k + nul, v + nul) for k, v in sorted(known.items())]
                          and all(found.find(k + nul) == [v + nul] for k, v in known.items()) and not found.find(b"absent" + nul)
                          and made == written(found.records()),
                          f"the page's reader finds {number} entries of postmap {letters}, and its writer writes the same bytes",
                          done.stderr)
            with open(path + ".cdb", "wb") as file:
                file.write(written([*known.items(), *((key, b"later") for key in known)]))
            asked = postmap(["-fuq", "-", f"cdb:{path}"], b"".join(key + b"\n" for key in [*known, b"absent"]))
            checks.ok(asked.stdout == b"".join(b"%s\t%s\n" % pair for pair in known.items()) and not asked.stderr,
                      f"postmap finds {number} entries of the page's writer, of two with one key the first", asked.stderr)

        # The page: what lies outside is "cannot tell", never "not there".
        good = written([(b"key", b"value")])
        place = key_hash(b"key") % 256 * 8
        for sentence, broken in (("a table outside the file", good[:place] + b"\xff\xff\xff\xff" + good[place + 4:]),
                                 ("a record outside the file", good[:2052] + b"\xff\xff\xff\xff" + good[2056:]),
                                 ("a file shorter than its header", good[:2047])):
            with open(path + ".cdb", "wb") as file:
                file.write(broken)
            asked = postmap(["-q", "key", f"cdb:{path}"])
            checks.ok(asked.returncode == 1 and b"fatal" in asked.stderr and not asked.stdout, f"{sentence} is trouble", asked)
        full = b"".join(bytes(8) if at != place else (2048 + 16).to_bytes(4, "little") + (1).to_bytes(4, "little")
                        for at in range(0, 2048, 8))
        record = (3).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"kex" + b"value"
        with open(path + ".cdb", "wb") as file:
            file.write(full + record + (key_hash(b"key")).to_bytes(4, "little") + (2048).to_bytes(4, "little"))
        asked = postmap(["-q", "key", f"cdb:{path}"])
        checks.ok((asked.returncode, asked.stdout, asked.stderr) == (1, b"", b""), "a search in a full table ends", asked)


run(main)
