// Handles of Berkeley DB. Only .ipp files of its tables include this.
#pragma once

#include <db.h>

#include <memory>
#include <string>

#include <mta/core/result.hpp>
#include <mta/table/terminator.hpp>

namespace mta::table {

struct db_closer {
    void operator()(DB* db) const { db->close(db, 0); }
};
using db_ptr = std::unique_ptr<DB, db_closer>;

[[nodiscard]] inline result<db_ptr> create_db_handle(std::size_t cache) {
    DB* raw = nullptr;
    if (const int code = ::db_create(&raw, nullptr, 0); code != 0)
        return fail(errc::temporary, std::string("create DB database: ") + ::db_strerror(code));
    raw->set_errfile(raw, nullptr);
    (void)raw->set_cachesize(raw, static_cast<u_int32_t>(cache >> 30U), static_cast<u_int32_t>(cache & 0x3FFFFFFFU), 1);
    return db_ptr(raw);
}

// Positive codes are errno's, the library's own are negative.
[[nodiscard]] inline failure db_trouble(std::string what, int code) {
    if (code > 0)
        return fail_errno(std::move(what), code);
    return fail(errc::temporary, std::move(what) + ": " + ::db_strerror(code));
}

[[nodiscard]] inline DBT thing(std::string_view bytes) noexcept {
    DBT out{};
    out.data = const_cast<char*>(bytes.data());
    out.size = static_cast<u_int32_t>(bytes.size());
    return out;
}

[[nodiscard]] inline std::string_view bytes_of(const DBT& part) noexcept {
    return {static_cast<const char*>(part.data), part.size};
}

} // namespace mta::table
