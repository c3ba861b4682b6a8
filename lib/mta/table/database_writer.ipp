#include <db.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/database_writer.hpp>

namespace mta::table {

struct database_writer::impl {
    struct closer {
        void operator()(DB* handle) const { handle->close(handle, 0); }
    };

    failure trouble(const char* what, int code) const {
        return fail(errc::temporary, std::string("error ") + what + " " + path + ": " + ::db_strerror(code));
    }
    result<int> put(std::string_view key, std::string_view value, terminator how, u_int32_t flags) {
        // The NUL of c_str() is part of what is stored.
        const std::string key_bytes(key);
        const std::string value_bytes(value);
        const std::size_t extra = how == terminator::without ? 0 : 1;
        DBT from{};
        DBT to{};
        from.data = const_cast<char*>(key_bytes.c_str());
        from.size = static_cast<u_int32_t>(key_bytes.size() + extra);
        to.data = const_cast<char*>(value_bytes.c_str());
        to.size = static_cast<u_int32_t>(value_bytes.size() + extra);
        const int code = db->put(db.get(), nullptr, &from, &to, flags);
        if (code != 0 && code != DB_KEYEXIST)
            return trouble("writing", code);
        return code;
    }

    std::string path;      // NAME.db
    std::string temporary; // empty when the file is changed in place
    terminator style = terminator::with;
    mode_t mode = 0644;
    unique_fd lock;
    std::unique_ptr<DB, closer> db;
};

namespace {

constexpr u_int32_t create_cache = 16U << 20U; // berkeley_db_create_buffer_size

} // namespace

database_writer::database_writer(std::unique_ptr<impl> opened) : impl_(std::move(opened)) {}
database_writer::database_writer(database_writer&&) noexcept = default;
database_writer& database_writer::operator=(database_writer&&) noexcept = default;
database_writer::~database_writer() {
    if (impl_ && !impl_->temporary.empty()) {
        impl_->db.reset();
        ::unlink(impl_->temporary.c_str());
    }
}

namespace {

result<DB*> open_for_writing(const std::string& type, const std::string& path, mode_t mode) {
    DB* db = nullptr;
    if (const int code = ::db_create(&db, nullptr, 0); code != 0)
        return fail(errc::temporary, std::string("create DB database: ") + ::db_strerror(code));
    db->set_errfile(db, nullptr);
    (void)db->set_cachesize(db, 0, create_cache, 0);
    // An existing file keeps its kind, whatever it is called now.
    struct stat status {};
    const bool exists = ::stat(path.c_str(), &status) == 0 && status.st_size > 0;
    const DBTYPE kind = exists ? DB_UNKNOWN : type == "btree" ? DB_BTREE : DB_HASH;
    if (const int code = db->open(db, nullptr, path.c_str(), nullptr, kind, exists ? 0 : DB_CREATE,
                                  static_cast<int>(mode));
        code != 0) {
        db->close(db, 0);
        return fail(errc::temporary, "open database " + path + ": " + ::db_strerror(code));
    }
    return db;
}

} // namespace

result<database_writer> database_writer::create(const std::string& type, const std::string& name, mode_t mode,
                                                terminator style) {
    auto out = std::make_unique<impl>();
    out->path = name + ".db";
    out->style = style;
    out->mode = mode;
    // The old database's lock keeps two builders apart and lets readers finish their lookup.
    if (auto lock = open_file(out->path, O_RDWR); lock) {
        if (auto held = wait_lock(lock->get(), lock_mode::exclusive); !held)
            return tl::make_unexpected(held.error());
        out->lock = std::move(*lock);
    }
    out->temporary = out->path + ".tmp" + std::to_string(::getpid());
    ::unlink(out->temporary.c_str());
    auto db = open_for_writing(type, out->temporary, mode);
    if (!db)
        return fail(db.error().code, db.error().text());
    out->db.reset(*db);
    return database_writer(std::move(out));
}

result<database_writer> database_writer::update(const std::string& type, const std::string& name, mode_t mode,
                                                terminator style) {
    auto out = std::make_unique<impl>();
    out->path = name + ".db";
    out->style = style;
    auto lock = open_file(out->path, O_RDWR | O_CREAT, mode);
    if (!lock)
        return fail(lock.error().code, "open database " + out->path);
    if (auto held = wait_lock(lock->get(), lock_mode::exclusive); !held)
        return tl::make_unexpected(held.error());
    out->lock = std::move(*lock);
    auto db = open_for_writing(type, out->path, mode);
    if (!db)
        return tl::make_unexpected(db.error());
    out->db.reset(*db);
    return database_writer(std::move(out));
}

result<bool> database_writer::insert(std::string_view key, std::string_view value) {
    auto code = impl_->put(key, value, impl_->style, DB_NOOVERWRITE);
    if (!code)
        return tl::make_unexpected(code.error());
    return *code == 0;
}

result<void> database_writer::replace(std::string_view key, std::string_view value) {
    auto code = impl_->put(key, value, impl_->style, 0);
    if (!code)
        return tl::make_unexpected(code.error());
    return {};
}

result<void> database_writer::put_bare(std::string_view key, std::string_view value) {
    auto code = impl_->put(key, value, terminator::without, 0);
    if (!code)
        return tl::make_unexpected(code.error());
    return {};
}

result<bool> database_writer::remove(std::string_view key) {
    bool found = false;
    const std::string bytes(key);
    for (const std::size_t extra : {std::size_t{1}, std::size_t{0}}) {
        DBT from{};
        from.data = const_cast<char*>(bytes.c_str());
        from.size = static_cast<u_int32_t>(bytes.size() + extra);
        const int code = impl_->db->del(impl_->db.get(), nullptr, &from, 0);
        if (code != 0 && code != DB_NOTFOUND)
            return impl_->trouble("deleting from", code);
        found = found || code == 0;
    }
    return found;
}

result<void> database_writer::finish() {
    if (const int code = impl_->db->sync(impl_->db.get(), 0); code != 0)
        return impl_->trouble("writing", code);
    impl_->db.reset();
    if (impl_->temporary.empty()) {
        impl_->lock.reset();
        return {};
    }
    struct stat old {};
    if (impl_->lock && ::fstat(impl_->lock.get(), &old) == 0) {
        // Who may read a table is its owner's decision, made once.
        if (::geteuid() == 0 && ::chown(impl_->temporary.c_str(), old.st_uid, old.st_gid) != 0)
            return fail_errno("set owner of " + impl_->temporary);
        if (::chmod(impl_->temporary.c_str(), old.st_mode & 0777) != 0)
            return fail_errno("set mode of " + impl_->temporary);
    } else if (::chmod(impl_->temporary.c_str(), impl_->mode) != 0) {
        return fail_errno("set mode of " + impl_->temporary);
    }
    auto fd = open_file(impl_->temporary, O_RDWR);
    if (!fd || ::fsync(fd->get()) != 0)
        return fail_errno("fsync " + impl_->temporary);
    if (::rename(impl_->temporary.c_str(), impl_->path.c_str()) != 0)
        return fail_errno("rename " + impl_->temporary + " to " + impl_->path);
    impl_->temporary.clear();
    impl_->lock.reset();
    return sync_directory(parent_directory(impl_->path));
}

} // namespace mta::table
