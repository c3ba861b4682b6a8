"""nis: tables: a host without a NIS domain finds nothing and says so; one with a domain asks its server, here a client library of
the test's own in front of the system's."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import checks as harness  # noqa: E402
from checks import Skip, command  # noqa: E402
from server import new_directory  # noqa: E402

LIBRARY = r"""
#include <rpcsvc/ypclnt.h>
#include <stdlib.h>
#include <string.h>
int getdomainname(char *name, size_t size) { return strncpy(name, "site.test", size) == NULL; }
int yp_get_default_domain(char **name) { static char domain[] = "site.test"; *name = domain; return 0; }
int yp_match(const char *domain, const char *map, const char *key, const int size, char **value, int *value_size) {
    const int nul = strcmp(map, "texts") != 0; /* whether keys of this map end in a NUL */
    if (strcmp(domain, "site.test") != 0 || strcmp(map, "absent") == 0)
        return YPERR_MAP;
    if (strcmp(map, "down") == 0)
        return YPERR_YPBIND;
    if (size != 3 + nul || memcmp(key, "ann", (size_t)(3 + nul)) != 0)
        return YPERR_KEY;
    *value = strdup("one, two");
    *value_size = 8 + nul;
    return 0;
}
"""


def main(checks):
    place = new_directory()
    with open(os.path.join(place, "main.cf"), "w") as file:
        file.write(f"queue_directory = {place}\ndata_directory = {place}\nmaillog_file = {place}/log\nmaillog_file_prefixes = /\n")
    with open(os.path.join(place, "nis.c"), "w") as file:
        file.write(LIBRARY)
    library = os.path.join(place, "nis.so")
    built = subprocess.run(["cc", "-shared", "-fPIC", "-o", library, os.path.join(place, "nis.c")], capture_output=True, text=True)
    if "rpcsvc" in built.stderr:
        raise Skip("no NIS client library to build with")
    checks.equal(built.stderr, "", "the library of the test is built")

    def run(*words, preload=True, data=b""):
        environment = {"MAIL_CONFIG": place, "PATH": "/usr/bin:/bin", "MTAD_NO_FATAL_DELAY": "1",
                       **({"LD_PRELOAD": library} if preload else {})}
        done = subprocess.run([command("postmap"), *words], capture_output=True, env=environment, timeout=60, input=data)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    checks.equal(run("-q", "ann", "nis:mail.aliases", preload=False),
                 (1, "", "postmap: warning: dict_nis_init: NIS domain name not set - NIS lookups disabled\n"),
                 "without a domain nothing is found")
    checks.equal(run("-q", "ann", "nis:mail.aliases"), (0, "one, two\n", ""), "a key that ends in a NUL is found")
    checks.equal(run("-q", "ann", "nis:texts"), (0, "one, two\n", ""), "and one that does not")
    checks.equal(run("-q", "-", "nis:texts", data=b"joe\nANN\nann\nann\n"),
                 (0, "ANN\tone, two\nann\tone, two\nann\tone, two\n", ""), "keys are folded")
    checks.equal(run("-q", "joe", "nis:mail.aliases"), (1, "", ""), "an absent key is absent")
    for name in ("absent", "down"):
        status, out, errors = run("-q", "ann", "nis:" + name)
        checks.ok(status == 1 and out == "" and f"table nis:{name}: query error: NIS map {name} in domain site.test: " in errors,
                  f"{name}: no answer, not \"not found\"", errors)
    shutil.rmtree(place, ignore_errors=True)


harness.run(main)
