#!/usr/bin/env python3
"""Makes the typed keys (parameters.hpp) and the rows (parameter_rows.inc) from parameters.txt.

usage: generate_parameters.py parameters.txt parameters.hpp parameter_rows.inc option=value...
"""
import re
import sys

KINDS = ("text", "raw", "yes_no", "integer", "time", "list")


def stop(number, text):
    sys.exit(f"parameters.txt:{number}: {text}")


def parse_range(number, kind, text):
    """The limits of a value; without a range, what the kind can hold."""
    low, high = ("0" if kind in ("integer", "time") else "0"), "0x7fffffffffffffff"
    if text:
        match = re.fullmatch(r"(-?\d*)\.\.(\d*)", text.removesuffix("long"))
        if not match:
            stop(number, f"bad range: {text}")
        low, high = match.group(1) or low, match.group(2) or high
    return low, high


def read_rows(path, options):
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            if line[0] in " \t":
                if not rows:
                    stop(number, "help before any parameter")
                rows[-1]["help"] = (rows[-1]["help"] + " " + line.strip()).strip()
                continue
            words = line.split(None, 4)
            if len(words) < 4:
                stop(number, "expected: name kind acts users default")
            kind, _, limits = words[1].partition(":")
            if kind not in KINDS:
                stop(number, f"unknown kind: {kind}")
            default = words[4].strip() if len(words) > 4 else ""
            default = re.sub(r"@(\w+)@", lambda m: option(number, options, m.group(1)), default)
            computed = default == "(computed)"
            low, high = parse_range(number, kind, limits)
            unit = default[-1:] if kind == "time" and default[-1:] in list("smhdw") and not re.search(r"\$\w+$", default) else "s"
            if rows and not rows[-1]["name"] < words[0]:
                stop(number, f"not in order: {words[0]}")
            rows.append({"name": words[0], "kind": kind, "acts": "" if words[2] == "-" else words[2],
                         "users": "" if words[3] == "-" else words[3],
                         "default": "" if computed else default, "low": low, "high": high, "computed": computed,
                         "unit": unit, "help": ""})
    return rows


def option(number, options, name):
    if name not in options:
        stop(number, f"no build option {name}")
    return options[name]


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def row_text(row):
    computed = "true" if row["computed"] else "false"
    return (f'    {{{quote(row["name"])}, {quote(row["default"])}, {quote(row["acts"])}, {quote(row["users"])}, {quote(row["help"])}, '
            f'{row["low"]}, {row["high"]}, kind::{row["kind"]}, {computed}, \'{row["unit"]}\'}},\n')


def main():
    source, header, table = sys.argv[1:4]
    options = dict(word.split("=", 1) for word in sys.argv[4:])
    rows = read_rows(source, options)
    fixed = [row for row in rows if not row["name"].startswith("*")]
    families = [row for row in rows if row["name"].startswith("*")]
    for row in families:
        row["name"] = row["name"][1:]
    with open(header, "w", encoding="utf-8") as out:
        out.write("// Made by generate_parameters.py from parameters.txt. Do not edit.\n#pragma once\n\n"
                  "#include <mta/config/parameter.hpp>\n\nnamespace mta::config::param {\n\n")
        for index, row in enumerate(fixed):
            name = row["name"] if row["name"][0].isalpha() else "p_" + row["name"]
            out.write(f'inline constexpr {row["kind"]}_param {name}{{{index}}};\n')
        out.write("\n} // namespace mta::config::param\n")
    with open(table, "w", encoding="utf-8") as out:
        out.write("// Made by generate_parameters.py from parameters.txt. Do not edit.\n"
                  "constexpr parameter fixed_rows[] = {\n")
        out.writelines(map(row_text, fixed))
        out.write("};\nconstexpr parameter family_rows[] = {\n")
        out.writelines(map(row_text, families))
        out.write("};\n")


main()
