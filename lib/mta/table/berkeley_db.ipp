#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/berkeley_library.hpp>
#include <mta/table/file_mark.hpp>
#include <mta/table/patience.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

constexpr std::size_t most_read_cache = 512U << 20U;

class db_table final : public lookup_table {
public:
    db_table(std::string name, unique_fd lock, db_ptr db, file_mark mark, terminator style)
        : lookup_table(std::move(name), {}), mark_(std::move(mark)), lock_(std::move(lock)), db_(std::move(db)),
          style_(style) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (auto locked = lock_patiently(lock_.get(), lock_mode::shared); !locked)
            return tl::make_unexpected(locked.error());
        key_.assign(key);
        auto answer = look_up_both(style_, key_, [this](std::string_view bytes) { return get(bytes); });
        unlock(lock_.get());
        return answer;
    }

    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        DBC* cursor = nullptr;
        if (const int code = db_->cursor(db_.get(), nullptr, &cursor, 0); code != 0)
            return trouble(code);
        DBT key{};
        DBT value{};
        int code = 0;
        while ((code = cursor->get(cursor, &key, &value, DB_NEXT)) == 0)
            if (!visit(without_nul(bytes_of(key)), without_nul(bytes_of(value))))
                break;
        cursor->close(cursor);
        if (code != 0 && code != DB_NOTFOUND)
            return trouble(code);
        return {};
    }

    [[nodiscard]] bool changed() const override { return mark_.changed(); }

private:
    [[nodiscard]] failure trouble(int code) const { return db_trouble("error reading " + mark_.path(), code); }
    result<std::optional<std::string>> get(std::string_view bytes) {
        DBT key = thing(bytes);
        DBT value{};
        const int code = db_->get(db_.get(), nullptr, &key, &value, 0);
        if (code == DB_NOTFOUND)
            return std::nullopt;
        if (code != 0)
            return trouble(code);
        return std::string(without_nul(bytes_of(value)));
    }

    file_mark mark_;
    unique_fd lock_;
    db_ptr db_;
    std::string key_;
    terminator style_;
};

result<table_ptr> open_db(const std::string& type, const std::string& name, const open_options& options, DBTYPE kind) {
    const std::string path = name + ".db";
    auto lock = open_file(path, O_RDONLY);
    if (!lock)
        return fail(lock.error().code, "open database " + path);
    struct stat opened {};
    if (::fstat(lock->get(), &opened) != 0)
        return fail_errno("open database " + path);
    // With less than the file every lookup of a random key reads a page anew.
    const auto whole = std::min(static_cast<std::size_t>(opened.st_size) / 4 * 5, most_read_cache);
    auto db = create_db_handle(options.many_lookups ? std::max(whole, options.read_buffer) : options.read_buffer);
    if (!db)
        return tl::make_unexpected(db.error());
    if (auto locked = lock_patiently(lock->get(), lock_mode::shared); !locked)
        return tl::make_unexpected(locked.error());
    const int code = (*db)->open(db->get(), nullptr, path.c_str(), nullptr, kind, DB_RDONLY, 0);
    unlock(lock->get());
    if (code != 0)
        return db_trouble("open database " + path, code);
    return std::make_unique<db_table>(type + ":" + path, std::move(*lock), std::move(*db), file_mark(path, opened), options.style);
}

} // namespace

// The file says itself what it is: either name opens either kind.
result<table_ptr> open_hash(const std::string& name, const open_options& options) {
    return open_db("hash", name, options, DB_UNKNOWN);
}
result<table_ptr> open_btree(const std::string& name, const open_options& options) {
    return open_db("btree", name, options, DB_UNKNOWN);
}

} // namespace mta::table
