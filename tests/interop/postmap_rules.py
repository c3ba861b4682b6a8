"""Tables of rules beside the reference: the same rules, well-made and broken, the same keys, the same answers and
warnings."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import checks as harness
from tables import Tables, grown_old

EXPRESSIONS = [
    "/a/ x", "/^a(b)?c$/ [$1]", "/^(.*)@(.*)$/ $2!${1}!$(1)$$", "!/a/ not", "! /a/ not", "!!/a/ twice", "/a/", "/a/   ", "/a x", "a x", "/(/ x",
    "/a/z x", "/a/i x", "/A/i x", "/a/ii x", "/a.b/m x", "/a.b/s x", "/a # b/x x", "/a/X x", "/a/A x", "/a/E x", "/a/U x", "/^a$/m x",
    "/a/!/b/ x", "/a/!/b/i x", "/a/i!/b/ x", "!/a/!/b/ x", "/a/ $1", "/(a)/ $2", "/(a)/ $0", "/(a)/ $1x", "/(a)/ ${1}x", "/(a)/ $(1)x", "/(a)/ ${1",
    "/(a)/ $", "/(a)/ $$1", "/(a)/ $b", "/(a)/ ${b}", "/(a)/ $999", "!/(a)/ $1", "if /a/", "IF /a/", "if !/a/", "if/a/", "if /a/ x", "if a",
    "if", "endif", "ENDIF", "endif x", "endifx", "/a\\/b/ x", ",a, x", "|a|b| x", "/a/i\tx", "  /b/ continued", "# note", "", "/\\d+/ digit",
    "/[[:alpha:]]+/ alpha", "/(a)|(b)/ <$1|$2>", "/é/ accent", "/a{2,3}/ many", "/a+?/ lazy", "/(?=a)/ ahead", "/\\(a\\)/ paren", "/(a)(b)(c)/ $3$2$1",
    "/a/ REJECT no $ way", "/./ any", "/^$/ empty", "/(?i)B/ inline", "/\\bab\\b/ word", "*a* x", "(a) x", "[a] x", "\"a\" b", "/a", "/", "!", "!/", "/a/!",
    "/a/!/", "/x/ two  blanks ", "/a/\tx", "/(a/ x", "/[a/ x", "/a\\/ x", "/*a/ x", "if /(a)/", "/a/ ${1}$2", "/(b)/ $1 $1", "/a$/ end", "/\xff/ byte"]
KEYS = ["", "a", "b", "A", "ab", "abc", "ABC", "a@b", "u@d.test", "a/b", "xay", "aaa", "12", "é", "a\xa0b", "(a)", "a b", "a # b", "zzz", "ab ab", "b(a)c"]
NETWORKS = [
    "192.0.2.1 x", "192.0.2.0/24 x", "192.0.2.1/24 x", "192.0.2.0/33 x", "192.0.2.0/ x", "192.0.2.0/a x", "192.0.2 x", "192.0.2.0", "0.0.0.0/0 all",
    "0.0.0.0/1 x", "::/0 all6", "::1 x", "2001:db8::/32 x", "2001:db8::1/32 x", "[2001:db8::]/32 x", "[2001:db8::/32] x", "[::1] x", "[::1 x", "[::1]x y",
    "[192.0.2.0]/24 x", "!192.0.2.0/24 not", "! 192.0.2.0/24 not", "!!192.0.2.0/24 twice", "!::/0 x", "if 192.0.2.0/24", "IF 192.0.2.0/24", "if !192.0.2.0/24",
    "if 192.0.2.0/24 x", "if", "if x", "endif", "ENDIF", "endif x", "endifx", "  continued", "# note", "", "name x", "192.0.2.1,x y", "1.2.3.4.5 x",
    "192.000.002.001 x", "::ffff:192.0.2.1 x", "::ffff:0:0/96 x", "fe80::/10 x", "10.0.0.0/8 ten", "10.1.0.0/16 x", "10.1.2.3 x", "256.0.0.1 x", "/24 x",
    "!", "![ x", "192.0.2.0/24", "192.0.2.0/24\tx  y ", "if 0.0.0.0/0", "if ::/0", "192.0.2.0/-1 x", "192.0.2.0/024 x"]
ADDRESSES = ["192.0.2.1", "192.0.2.9", "192.0.3.1", "10.1.2.3", "10.2.2.3", "::1", "2001:db8::1", "2001:db9::1", "fe80::1", "::ffff:192.0.2.1", "name", "",
             "192.0.2", "192.0.2.01", "1", "255.255.255.255", "0.0.0.0", "2001:DB8::1", "[::1]", "fe80::1%eth0", "a:b"]
SIMPLE = ["a 1", "b 2", "A 3", "a  4 5 ", "c", "\"q q\" v", "  continued", "# note", "", "d: e", "\"u v", "é 6", "É 7", "\udcff 8", "e \udcff", "a\\ b c"]
PLAIN_KEYS = ["a", "b", "A", "c", "\"q q\"", "q q", "d:", "é", "É", "e", "a\\ b", ""]


def sources(kind):
    lines = {"regexp": EXPRESSIONS, "pcre": EXPRESSIONS, "cidr": NETWORKS, "texthash": SIMPLE}[kind]
    draw = random.Random(kind)
    for line in lines:  # each by itself, with something behind it
        yield line + "\n" + {"cidr": "0.0.0.0/0 rest\n", "texthash": "z 1\n"}.get(kind, "/./ rest\n")
    for _ in range(60):  # and in any company
        yield "\n".join(draw.choices(lines, k=draw.randint(2, 25))) + draw.choice(["", "\n"])


def main(checks):
    tables = Tables()
    keys = {"cidr": ADDRESSES, "texthash": PLAIN_KEYS}
    encode = lambda text: text.encode("utf-8", "surrogateescape")
    for kind in ("regexp", "pcre", "cidr", "texthash"):
        jobs = []
        for number, text in enumerate(sources(kind)):
            path = os.path.join(tables.directory, f"{kind}{number}")
            with open(path, "wb") as file:
                file.write(encode(text))
            grown_old(path)
            data = b"".join(encode(key) + b"\n" for key in keys.get(kind, KEYS))
            words = ["-q", "-", f"{kind}:{path}"]
            jobs.append((text, [tables.pool.submit(tables.postmap, side, words, data) for side in (0, 1)]))
        equal, different = 0, []
        for text, sides in jobs:
            theirs, ours = ((done.returncode, done.stdout, done.stderr) for done in (side.result() for side in sides))
            equal += theirs == ours
            if theirs != ours:
                different.append(f"{text!r:.400}\n  reference {theirs!r:.800}\n  ours      {ours!r:.800}")
        checks.ok(equal == len(jobs), f"{kind}: {equal}/{len(jobs)} sources equal", "\n".join(different))
    # Rules in the name itself.
    rows = ["regexp:{{/a/ x}}", "pcre:{{/(a)/ $1}, {/b/ y}}", "cidr:{{192.0.2.0/24 x}}", "regexp:{}", "regexp:{{/a/ x}", "regexp:{/a/ x}", "regexp:{{/a/ x} y}",
            "pcre:{{if /a/} {/b/ x} {endif}}", "regexp:{{/a/}}", "cidr:{ {!192.0.2.0/24 x} , {0.0.0.0/0 y} }", "regexp:/nonexistent", "cidr:/nonexistent"]
    tables.runs = []
    for table in rows:
        tables.compare("inline", table, ["a", "b", "ab", "192.0.2.1", "192.0.3.1"])
    tables.report(checks, "rules in the name")


harness.run(main)
