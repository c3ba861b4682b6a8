"""Adds up the results of all test runs, names what failed or was skipped, prints the closing line."""
import glob
import json
import os
import sys

logs, ci, broken = sys.argv[1], sys.argv[2] == "yes", sys.argv[3] != "0"
passed = failed = skipped = 0
for path in sorted(glob.glob(os.path.join(logs, "*.json"))):
    run = os.path.basename(path)[:-5].removeprefix("meson-")
    with open(path) as file:
        for line in file:
            if not line.strip():
                continue
            test = json.loads(line)
            if test["result"] in ("OK", "EXPECTEDFAIL"):
                passed += 1
                continue
            label = test["name"] if test["name"] == run else f"{run}: {test['name']}"
            if test["result"] == "SKIP":
                skipped += 1
                print(f"skipped: {label}")
            else:
                failed += 1
                print(f"failed: {label} ({test['result'].lower()})")
if passed + failed == 0:
    print("no test ran")
    failed = 1
if broken and not failed:
    print("a test run did not end as it should")
    failed = 1
if ci and skipped:
    print("skipped tests count as failed here")
    failed, skipped = failed + skipped, 0
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
