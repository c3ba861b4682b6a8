#!/usr/bin/env python3
"""Makes the completions of postconf for bash, zsh and fish from the parameter table.

usage: generate_completion.py parameters.txt postconf.bash _postconf postconf.fish
"""
import sys

OPTIONS = [("-d", "defaults"), ("-n", "only what main.cf sets"), ("-h", "values only"), ("-H", "names only"),
           ("-x", "replace references"), ("-f", "fold long lines"), ("-e", "change"), ("-X", "remove"),
           ("-#", "comment out"), ("-M", "services"), ("-F", "columns of services"), ("-P", "parameters of services"),
           ("-a", "SASL of the server"), ("-A", "SASL of the client"), ("-l", "lock styles"), ("-m", "table types"),
           ("-b", "texts of notices"), ("-t", "templates of notices"), ("-j", "JSON"), ("-q", "no warnings"),
           ("--json", "JSON"), ("--origin", "where values are set"), ("--explain", "all about a parameter"),
           ("--check", "look at both files"), ("--help", "usage"), ("--version", "version")]


def read_table(path):
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line[0] in "#\n*":
                continue
            if line[0] in " \t":
                if rows and not rows[-1][1]:
                    rows[-1][1] = line.strip()
            else:
                rows.append([line.split()[0], ""])
    return rows


def bash(rows):
    names = " ".join(name for name, _ in rows)
    return f"""# bash completion of postconf. Made by generate_completion.py; do not edit.
_postconf() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    case $before in
    -c) COMPREPLY=($(compgen -d -- "$word")); return ;;
    -C) COMPREPLY=($(compgen -W 'builtin service user all' -- "$word")); return ;;
    -T) COMPREPLY=($(compgen -W 'compile-version run-version public-key-algorithms' -- "$word")); return ;;
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W '-c -C -o -T {" ".join(option for option, _ in OPTIONS)}' -- "$word"))
        return
    fi
    COMPREPLY=($(compgen -W '{names}' -- "$word"))
}}
complete -F _postconf postconf
"""


def quoted(text):
    return text.replace("'", "'\\''").replace(":", "\\:").replace("[", "\\[").replace("]", "\\]")


def zsh(rows):
    options = "\n".join(f"    '{option}[{quoted(text)}]' \\" for option, text in OPTIONS)
    names = "\n".join(f"    '{name}:{quoted(text)}'" for name, text in rows)
    return f"""#compdef postconf
# Made by generate_completion.py; do not edit.
_postconf_names() {{
    local -a names=(
{names}
    )
    _describe parameter names
}}
_arguments -s \\
{options}
    '-c[configuration directory]:directory:_directories' \\
    '-C[classes]:class:(builtin service user all)' \\
    '-o[pretend]:name=value:_postconf_names' \\
    '-T[TLS]:mode:(compile-version run-version public-key-algorithms)' \\
    '*:parameter:_postconf_names'
"""


def fish(rows):
    text = lambda words: "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"
    out = ["# fish completion of postconf. Made by generate_completion.py; do not edit.", "complete -c postconf -f"]
    for option, words in OPTIONS:
        flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {text(option[1:])}"
        out.append(f"complete -c postconf {flag} -d {text(words)}")
    out += ["complete -c postconf -s c -r -a '(__fish_complete_directories)' -d 'configuration directory'",
            "complete -c postconf -s C -x -a 'builtin service user all' -d 'classes'",
            "complete -c postconf -s o -x -d 'pretend a setting'",
            "complete -c postconf -s T -x -a 'compile-version run-version public-key-algorithms' -d 'TLS'"]
    out += [f"complete -c postconf -a {name} -d {text(words)}" for name, words in rows]
    return "\n".join(out) + "\n"


def main():
    rows = read_table(sys.argv[1])
    for path, make in zip(sys.argv[2:], (bash, zsh, fish)):
        with open(path, "w", encoding="utf-8") as out:
            out.write(make(rows))


if __name__ == "__main__":
    main()
