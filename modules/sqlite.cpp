// sqlite: tables (sqlite_table(5)): a query in a database file, opened for reading.
//
// The file may be replaced by another while the table is open: that is noticed at most once a second. A database that
// is locked by a writer is waited for, for a second; then the answer is "try again later".
#include <sqlite3.h>
#include <sys/stat.h>

#include <chrono>

#include <mta/table/answer_builder.hpp>
#include <mta/table/client_module.hpp>
#include <mta/table/sql_query.hpp>

namespace mta::table {
namespace {

struct database_deleter {
    void operator()(sqlite3* database) const noexcept { ::sqlite3_close_v2(database); }
};
struct statement_deleter {
    void operator()(sqlite3_stmt* statement) const noexcept { ::sqlite3_finalize(statement); }
};
using database_ptr = std::unique_ptr<sqlite3, database_deleter>;
using statement_ptr = std::unique_ptr<sqlite3_stmt, statement_deleter>;

constexpr int lock_wait_ms = 1000;

void quote(std::string& out, std::string_view bytes, sql_context context) {
    append_doubled(out, bytes, context == sql_context::double_quotes ? '"' : '\'');
}

class sqlite_table final : public lookup_table {
public:
    sqlite_table(std::string name, std::string path, sql_query query, client_log log)
        : lookup_table(std::move(name), {.may_block = true}), path_(std::move(path)), query_(std::move(query)), log_(log) {}

    result<void> open() {
        sqlite3* raw = nullptr;
        const int status = ::sqlite3_open_v2(path_.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
        database_ptr opened(raw);
        if (status != SQLITE_OK || ::stat(path_.c_str(), &file_) != 0)
            return fail(errc::temporary, name() + ": can't open database " + path_ + ": " +
                                             (raw == nullptr ? ::sqlite3_errstr(status) : ::sqlite3_errmsg(raw)));
        ::sqlite3_busy_timeout(raw, lock_wait_ms);
        database_ = std::move(opened);
        return {};
    }

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto query = query_.expand(key, quote);
        if (!query)
            return std::nullopt;
        if (auto ready = refresh(); !ready)
            return tl::make_unexpected(ready.error());
        sqlite3_stmt* raw = nullptr;
        if (::sqlite3_prepare_v2(database_.get(), query->c_str(), static_cast<int>(query->size() + 1), &raw, nullptr) !=
            SQLITE_OK)
            return failed("SQL prepare failed");
        const statement_ptr statement(raw);
        if (!statement)
            return std::nullopt; // a comment alone
        answer_builder answer(query_.answers(), key);
        for (;;) {
            const int status = ::sqlite3_step(statement.get());
            if (status == SQLITE_DONE)
                break;
            if (status != SQLITE_ROW)
                return failed("SQL step failed");
            const auto* text = reinterpret_cast<const char*>(::sqlite3_column_text(statement.get(), 0));
            if (text == nullptr)
                continue;
            const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(statement.get(), 0));
            if (auto added = answer.add({text, size}); !added)
                return tl::make_unexpected(added.error());
        }
        return finished(std::move(answer), key, log_);
    }

private:
    failure failed(const std::string& what) const {
        return fail(errc::temporary, what + ": " + ::sqlite3_errmsg(database_.get()));
    }

    result<void> refresh() {
        const auto now = std::chrono::steady_clock::now();
        if (now - checked_ < std::chrono::seconds(1))
            return {};
        checked_ = now;
        struct stat seen {};
        if (::stat(path_.c_str(), &seen) != 0 || (seen.st_dev == file_.st_dev && seen.st_ino == file_.st_ino))
            return {};
        return open();
    }

    std::string path_;
    sql_query query_;
    client_log log_;
    database_ptr database_;
    struct stat file_ {};
    std::chrono::steady_clock::time_point checked_{};
};

result<table_ptr> open_sqlite(const client_settings& settings, const client_log& log) {
    auto path = settings.text("dbpath", {}, 1);
    if (!path)
        return tl::make_unexpected(path.error());
    auto query = sql_query::read(settings, sql_dialect::sqlite);
    if (!query)
        return tl::make_unexpected(query.error());
    auto table = std::make_unique<sqlite_table>("sqlite:" + settings.name(), std::move(*path), std::move(*query), log);
    if (auto opened = table->open(); !opened)
        return tl::make_unexpected(opened.error());
    return table_ptr(std::move(table));
}

} // namespace
} // namespace mta::table

extern "C" const mtad_table_module* mtad_table_entry() {
    static const auto module = mta::table::make_module<mta::table::open_sqlite>("sqlite", MTAD_TABLE_MAY_BLOCK);
    return &module;
}
