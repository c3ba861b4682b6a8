"""Compiles every header of lib/ alone, so that each includes what it uses."""
import concurrent.futures
import glob
import json
import os
import shlex
import subprocess
import sys

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
build = os.environ.get("MTAD_BUILD", os.path.join(root, "build", "main"))


def compiler_and_flags():
    """The compiler with the definitions and include directories that the build itself uses."""
    with open(os.path.join(build, "compile_commands.json")) as file:
        entries = json.load(file)
    command, flags = None, []
    for entry in entries:
        if "/lib/mta/" not in os.path.normpath(os.path.join(entry["directory"], entry["file"])):
            continue
        words = [word for word in shlex.split(entry["command"]) if not word.endswith("ccache")]
        command = command or words[0]
        take = False
        for word in words[1:]:
            if take or word.startswith(("-I", "-D", "-isystem", "-std=")):
                if take or word not in flags or word == "-isystem":
                    flags.append(word)
                take = word == "-isystem"
    return command, flags


def check(header):
    done = subprocess.run(
        [compiler, *flags, "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-fsyntax-only",
         "-x", "c++", "-include", header, "/dev/null"], cwd=build, capture_output=True, text=True)
    return header, done.returncode, done.stderr


compiler, flags = compiler_and_flags()
headers = sorted(glob.glob(os.path.join(root, "lib/mta/**/*.hpp"), recursive=True))
failed = 0
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for header, status, errors in pool.map(check, headers):
        if status:
            failed += 1
            print("not ok -", os.path.relpath(header, root))
            print("\n".join("#   " + line for line in errors.splitlines()[:15]))
print(f"# {len(headers)} headers compiled alone, {failed} failed")
sys.exit(1 if failed or not headers else 0)
