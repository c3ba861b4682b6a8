// Exit statuses that mail programs give to each other (sysexits.h).
#pragma once

namespace mta {

enum exit_status : int {
    ex_ok = 0,
    ex_usage = 64,
    ex_dataerr = 65,
    ex_noinput = 66,
    ex_nouser = 67,
    ex_nohost = 68,
    ex_unavailable = 69,
    ex_software = 70,
    ex_oserr = 71,
    ex_osfile = 72,
    ex_cantcreat = 73,
    ex_ioerr = 74,
    ex_tempfail = 75,
    ex_protocol = 76,
    ex_noperm = 77,
    ex_config = 78,
};

} // namespace mta
