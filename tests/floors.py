"""Fails when an include climbs a floor (docs/architecture.md), or a header takes in what headers must not.

A folder of lib/mta uses lower floors only; on one floor two areas do not use each other unless it is listed here."""
import os
import re
import sys

FLOORS = {
    "core": 1,
    "config": 2, "address": 2, "message": 2,
    "table": 3, "queue": 3,
    "net": 4,
    "rewrite": 5, "smtp": 5,
    "policy": 6, "filter": 6, "delivery": 6, "notify": 6, "intake": 6,
}
SIDEWAYS = {("message", "address"), ("intake", "policy"), ("intake", "filter")}
# Too dear to parse in every file that includes a header of ours.
HEAVY = re.compile(r"<(boost/asio\.hpp|regex|filesystem|iostream|ranges|CLI/CLI\.hpp)>")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])')


def complaints(root):
    found = []
    for base, _, names in os.walk(os.path.join(root, "lib", "mta")):
        area = os.path.relpath(base, os.path.join(root, "lib", "mta")).split(os.sep)[0]
        for name in sorted(names):
            if not name.endswith((".hpp", ".ipp", ".cpp")):
                continue
            path = os.path.join(base, name)
            shown = os.path.relpath(path, root)
            if area not in FLOORS:
                found.append(f"{shown}: {area} has no floor")
                continue
            with open(path, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    match = INCLUDE.match(line)
                    if not match:
                        continue
                    target = match.group(1)
                    where = f"{shown}:{number}"
                    if name.endswith(".hpp") and HEAVY.match(target):
                        found.append(f"{where}: a header must not include {target}")
                    if name.endswith(".hpp") and target[1:-1].endswith(".ipp"):
                        found.append(f"{where}: a header must not include {target}")
                    other = re.match(r"[<\"]mta/([a-z_]+)/", target)
                    if not other or other.group(1) == area:
                        continue
                    other = other.group(1)
                    if other not in FLOORS:
                        found.append(f"{where}: {other} has no floor")
                    elif FLOORS[other] > FLOORS[area]:
                        found.append(f"{where}: {area} (floor {FLOORS[area]}) climbs to {other} (floor {FLOORS[other]})")
                    elif FLOORS[other] == FLOORS[area] and (area, other) not in SIDEWAYS:
                        found.append(f"{where}: {area} and {other} stand on one floor")
    commands = os.path.join(root, "bin")
    for base, _, names in os.walk(commands):
        command = os.path.relpath(base, commands).split(os.sep)[0]
        for name in sorted(names):
            if not name.endswith((".hpp", ".cpp")):
                continue
            path = os.path.join(base, name)
            with open(path, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    match = INCLUDE.match(line)
                    if match and re.search(r"\.\./", match.group(1)) and match.group(1).count("../") > 0:
                        target = os.path.normpath(os.path.join(base, match.group(1)[1:-1]))
                        if os.path.relpath(target, commands).split(os.sep)[0] != command:
                            found.append(f"{os.path.relpath(path, root)}:{number}: {command} uses another command's file")
    return found


def self_check():
    """The check must notice what it is there for."""
    import tempfile
    with tempfile.TemporaryDirectory() as root:
        for folder in ("lib/mta/core", "lib/mta/queue", "bin"):
            os.makedirs(os.path.join(root, folder))
        with open(os.path.join(root, "lib/mta/core/text.hpp"), "w") as file:
            file.write("#include <mta/queue/record.hpp>\n#include <regex>\n")
        with open(os.path.join(root, "lib/mta/queue/record.hpp"), "w") as file:
            file.write("#include <mta/table/maps.hpp>\n#include <mta/core/text.hpp>\n")
        return len(complaints(root)) == 3


if __name__ == "__main__":
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not self_check():
        print("not ok - the check itself does not notice a climbing include")
        sys.exit(1)
    found = complaints(root)
    for line in found:
        print("not ok -", line)
    if not found:
        print("ok - no include climbs a floor")
    sys.exit(1 if found else 0)
