#include <db.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/database_writer.hpp>
#include <mta/table/patience.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

struct db_closer {
    void operator()(DB* db) const { db->close(db, 0); }
};
using db_ptr = std::unique_ptr<DB, db_closer>;



class db_table final : public lookup_table {
public:
    db_table(std::string name, std::string path, unique_fd lock, db_ptr db, const struct stat& opened)
        : lookup_table(std::move(name), {}), path_(std::move(path)), lock_(std::move(lock)), db_(std::move(db)),
          opened_(opened) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (auto locked = lock_patiently(lock_.get(), lock_mode::shared); !locked)
            return tl::make_unexpected(locked.error());
        auto answer = look_up(key);
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
            if (!visit(text(key), text(value)))
                break;
        cursor->close(cursor);
        if (code != 0 && code != DB_NOTFOUND)
            return trouble(code);
        return {};
    }

    bool changed() const override {
        struct stat now {};
        return ::stat(path_.c_str(), &now) != 0 || now.st_ino != opened_.st_ino ||
               now.st_mtim.tv_sec != opened_.st_mtim.tv_sec || now.st_mtim.tv_nsec != opened_.st_mtim.tv_nsec;
    }

private:
    // Without the NUL that most databases end their strings with.
    static std::string_view text(const DBT& part) {
        std::string_view bytes(static_cast<const char*>(part.data), part.size);
        if (bytes.ends_with('\0'))
            bytes.remove_suffix(1);
        return bytes;
    }
    failure trouble(int code) const {
        return fail(errc::temporary, "error reading " + path_ + ": " + ::db_strerror(code));
    }
    result<std::optional<std::string>> look_up(std::string_view key) {
        std::string bytes(key);
        if (style_ != terminator::without) {
            auto found = get(std::string_view(bytes.c_str(), bytes.size() + 1));
            if (!found || *found) {
                style_ = found ? terminator::with : style_;
                return found;
            }
        }
        if (style_ != terminator::with) {
            auto found = get(bytes);
            if (found && *found)
                style_ = terminator::without;
            return found;
        }
        return std::nullopt;
    }
    result<std::optional<std::string>> get(std::string_view key) {
        DBT from{};
        DBT to{};
        from.data = const_cast<char*>(key.data());
        from.size = static_cast<u_int32_t>(key.size());
        const int code = db_->get(db_.get(), nullptr, &from, &to, 0);
        if (code == DB_NOTFOUND)
            return std::nullopt;
        if (code != 0)
            return trouble(code);
        return std::string(text(to));
    }

    std::string path_;
    unique_fd lock_;
    db_ptr db_;
    struct stat opened_;
    terminator style_ = terminator::unknown;
};

result<table_ptr> open_db(const std::string& type, const std::string& name, DBTYPE kind) {
    const std::string path = name + ".db";
    auto lock = open_file(path, O_RDONLY);
    if (!lock)
        return fail(lock.error().code, "open database " + path);
    struct stat opened {};
    if (::fstat(lock->get(), &opened) != 0)
        return fail_errno("open database " + path);
    DB* raw = nullptr;
    if (const int code = ::db_create(&raw, nullptr, 0); code != 0)
        return fail(errc::temporary, std::string("create DB database: ") + ::db_strerror(code));
    db_ptr db(raw);
    db->set_errfile(raw, nullptr);
    (void)db->set_cachesize(raw, 0, 131072, 0);
    if (auto locked = lock_patiently(lock->get(), lock_mode::shared); !locked)
        return tl::make_unexpected(locked.error());
    const int code = db->open(raw, nullptr, path.c_str(), nullptr, kind, DB_RDONLY, 0);
    unlock(lock->get());
    if (code != 0)
        return fail(errc::temporary, "open database " + path + ": " + ::db_strerror(code));
    return std::make_unique<db_table>(type + ":" + name, path, std::move(*lock), std::move(db), opened);
}

} // namespace

result<table_ptr> open_hash(const std::string& name, const open_options&) { return open_db("hash", name, DB_UNKNOWN); }
result<table_ptr> open_btree(const std::string& name, const open_options&) {
    return open_db("btree", name, DB_UNKNOWN);
}

} // namespace mta::table
