"""Each parameter that a table type reads stands in its manual page, and each parameter there is read."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from checks import project_root, run  # noqa: E402

# What the openers share, by the file that reads it.
SHARED = {"sql_query.ipp": ("sqlite", "mysql", "pgsql"), "answer_builder.ipp": ("sqlite", "mysql", "pgsql", "ldap", "redis")}
SOURCES = {"mysql": "modules/mysql.cpp", "pgsql": "modules/pgsql.cpp", "sqlite": "modules/sqlite.cpp", "ldap": "modules/ldap.cpp",
           "memcache": "lib/mta/table/memcache_table.ipp", "redis": "lib/mta/table/redis_table.ipp"}
# Read in other ways, or said together with others.
ELSEWHERE = {"domain", "hosts", "idle_interval", "retry_interval", "result_format"}
HISTORIC = {"ldap": {"tls_random_file", "cache", "cache_expiry", "cache_size", "result_filter"}}


def text_of(path):
    with open(os.path.join(project_root(), path)) as file:
        return file.read()


def parameters(source):
    found = set(re.findall(r'(?:read|settings)\.(?:text|number|yes_no|words|find)\("(\w+)"', source))
    names = re.search(r"names\[\] = \{([^}]*)\}", source)
    return found | set(re.findall(r'"(\w+)"', names.group(1) if names else "")) | set(
        re.findall(r'read_template\(read, settings, "(\w+)"', source))


def named(page):
    out = set()
    for line in page.splitlines():
        if line.startswith((".It Cm ", ".Cm ")):
            out |= set(re.findall(r"[a-zA-Z_]+", line.split("Pq")[0].split(" ", 2 if line.startswith(".It") else 1)[-1]))
    return out


def main(checks):
    for kind, path in SOURCES.items():
        wanted = parameters(text_of(path))
        for shared, kinds in SHARED.items():
            if kind in kinds:
                wanted |= parameters(text_of(f"lib/mta/table/{shared}"))
        if kind != "pgsql":
            wanted.discard("select_function")
        page = named(text_of(f"man/{kind}_table.5"))
        if kind == "sqlite":  # what it shares with mysql: stands there
            page |= named(text_of("man/mysql_table.5"))
        missing = wanted - page - HISTORIC.get(kind, set())
        checks.ok(wanted and not missing, f"{kind}_table(5) names all {len(wanted)} parameters", repr(sorted(missing)))
        own = {line.split()[2] for line in text_of(f"man/{kind}_table.5").splitlines() if line.startswith(".It Cm ")}
        unread = {name for name in own if "_" in name or name in ("backup", "hash", "bind", "version")} - wanted - ELSEWHERE - HISTORIC.get(kind, set())
        checks.ok(not unread, f"and none that nobody reads ({kind})", repr(sorted(unread)))


run(main)
