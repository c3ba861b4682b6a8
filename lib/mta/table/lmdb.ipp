#include <sys/stat.h>

#include <mta/core/file.hpp>
#include <mta/table/file_mark.hpp>
#include <mta/table/lmdb_library.hpp>
#include <mta/table/terminator.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

class lmdb_table final : public lookup_table {
public:
    lmdb_table(std::string name, lmdb_env_ptr env, MDB_dbi dbi, file_mark mark, terminator style)
        : lookup_table(std::move(name), {}), env_(std::move(env)), dbi_(dbi), mark_(std::move(mark)), style_(style) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (!reading_) {
            auto held = lmdb_lock::wait(env_.get(), lock_mode::shared);
            if (!held)
                return tl::make_unexpected(held.error());
            auto txn = begin();
            if (!txn)
                return tl::make_unexpected(txn.error());
            reading_.emplace(reading{std::move(*held), std::move(*txn)});
        }
        key_.assign(key);
        auto answer = look_up_both(style_, key_, [&](std::string_view bytes) { return get(reading_->txn.get(), bytes); });
        if (!batch_)
            reading_.reset();
        return answer;
    }
    void begin_batch() override { batch_ = true; }
    void end_batch() override {
        batch_ = false;
        reading_.reset();
    }

    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        const auto held = lmdb_lock::wait(env_.get(), lock_mode::shared);
        if (!held)
            return tl::make_unexpected(held.error());
        const auto txn = begin();
        if (!txn)
            return tl::make_unexpected(txn.error());
        MDB_cursor* raw = nullptr;
        if (const int code = ::mdb_cursor_open(txn->get(), dbi_, &raw); code != 0)
            return trouble(code);
        const lmdb_cursor_ptr cursor(raw);
        MDB_val key{};
        MDB_val value{};
        int code = 0;
        while ((code = ::mdb_cursor_get(raw, &key, &value, MDB_NEXT)) == 0)
            if (!visit(text(key), text(value)))
                return {};
        if (code != MDB_NOTFOUND)
            return trouble(code);
        return {};
    }
    // Other processes' changes inside the file need no new opening.
    [[nodiscard]] bool changed() const override { return mark_.replaced(); }

private:
    struct reading {
        lmdb_lock held;
        lmdb_txn_ptr txn; // ends before the lock does
    };
    [[nodiscard]] failure trouble(int code) const { return lmdb_trouble("error reading " + mark_.path(), code); }
    static std::string_view text(const MDB_val& part) {
        return without_nul({static_cast<const char*>(part.mv_data), part.mv_size});
    }
    result<lmdb_txn_ptr> begin() {
        MDB_txn* raw = nullptr;
        int code = ::mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &raw);
        if (code == MDB_MAP_RESIZED) {
            // Somebody made the file larger than our map: take its size.
            (void)::mdb_env_set_mapsize(env_.get(), 0);
            code = ::mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &raw);
        }
        if (code != 0)
            return trouble(code);
        return lmdb_txn_ptr(raw);
    }
    result<std::optional<std::string>> get(MDB_txn* txn, std::string_view bytes) const {
        MDB_val key{bytes.size(), const_cast<char*>(bytes.data())};
        MDB_val value{};
        const int code = ::mdb_get(txn, dbi_, &key, &value);
        // A key over the size that can be stored is not there.
        if (code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE)
            return std::nullopt;
        if (code != 0)
            return trouble(code);
        return std::string(text(value));
    }

    lmdb_env_ptr env_;
    MDB_dbi dbi_;
    file_mark mark_;
    terminator style_;
    std::string key_;
    bool batch_ = false;
    std::optional<reading> reading_; // ends before env_ does
};

} // namespace

result<table_ptr> open_lmdb(const std::string& name, const open_options& options) {
    const std::string path = name + ".lmdb";
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0)
        return fail_errno("open database " + path);
    const auto map_size = std::max(options.map_size, static_cast<std::size_t>(status.st_size));
    auto env = open_lmdb_env(path, MDB_RDONLY, map_size, 0);
    if (!env)
        return tl::make_unexpected(env.error());
    const auto held = lmdb_lock::wait(env->get(), lock_mode::shared);
    if (!held)
        return tl::make_unexpected(held.error());
    MDB_txn* raw = nullptr;
    MDB_dbi dbi = 0;
    int code = ::mdb_txn_begin(env->get(), nullptr, MDB_RDONLY, &raw);
    lmdb_txn_ptr txn(raw);
    if (code == 0)
        code = ::mdb_dbi_open(raw, nullptr, 0, &dbi);
    // Only a handle whose transaction was committed may be used by others.
    if (code == 0)
        code = ::mdb_txn_commit(txn.release());
    if (code != 0)
        return lmdb_trouble("open database " + path, code);
    return std::make_unique<lmdb_table>("lmdb:" + name, std::move(*env), dbi, file_mark(path, status),
                                        options.style);
}

} // namespace mta::table
