#include <sys/stat.h>

#include <optional>

#include <mta/table/lmdb_library.hpp>
#include <mta/table/replacement_file.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {
namespace {

// Pages a bulk load needs at most for each byte of content, and the old content stays until the commit.
constexpr std::size_t room_factor = 3;

class lmdb_writer final : public table_writer {
public:
    static result<writer_ptr> start(const std::string& name, const writer_options& options) {
        auto out = std::unique_ptr<lmdb_writer>(new lmdb_writer(name, options));
        struct stat status {};
        bool exists = ::stat(out->path_.c_str(), &status) == 0;
        if (!exists && options.how == write_mode::change)
            return fail_errno("open database " + out->path_);
        if (!exists) {
            // An empty database would answer "not found" for all that is about to come.
            auto place = replacement_file::start(out->path_, options.mode);
            if (!place)
                return tl::make_unexpected(place.error());
            exists = ::stat(out->path_.c_str(), &status) == 0; // somebody was quicker
            if (!exists) {
                out->path_ = place->temporary();
                out->place_.emplace(std::move(*place));
            }
        }
        const auto size = exists ? static_cast<std::size_t>(status.st_size) : 0;
        out->map_size_ = std::max(options.map_size, size * 2);
        auto env = open_lmdb_env(out->path_, 0, out->map_size_, options.mode);
        if (!env)
            return tl::make_unexpected(env.error());
        out->env_ = std::move(*env);
        auto held = lmdb_lock::wait(out->env_.get(), lock_mode::exclusive);
        if (!held)
            return tl::make_unexpected(held.error());
        out->held_.emplace(std::move(*held));
        if (auto begun = out->begin(); !begun)
            return tl::make_unexpected(begun.error());
        if (options.how == write_mode::create)
            if (auto emptied = out->empty(); !emptied)
                return tl::make_unexpected(emptied.error());
        return out;
    }

    result<void> load(std::span<const database_entry> sorted) override {
        std::size_t bytes = 0;
        for (const auto& one : sorted)
            bytes += one.key.size() + one.value.size() + 16;
        struct stat status {};
        (void)::fstat(lmdb_descriptor(env_.get()), &status);
        if (auto room = make_room(static_cast<std::size_t>(status.st_size) + bytes * room_factor); !room)
            return room;
        // A NUL behind each of them leaves keys in the same order.
        for (const auto& one : sorted)
            if (auto done = put(one.key, one.value, extra(), MDB_APPEND); !done)
                return tl::make_unexpected(done.error());
        return {};
    }
    result<bool> insert(std::string_view key, std::string_view value) override {
        return put(key, value, extra(), MDB_NOOVERWRITE);
    }
    result<void> replace(std::string_view key, std::string_view value) override {
        auto done = put(key, value, extra(), 0);
        if (!done)
            return tl::make_unexpected(done.error());
        return {};
    }
    result<void> put_bare(std::string_view key, std::string_view value) override {
        auto done = put(key, value, 0, 0);
        if (!done)
            return tl::make_unexpected(done.error());
        return {};
    }
    result<bool> remove(std::string_view key) override {
        const std::string bytes(key);
        bool found = false;
        for (const std::size_t nul : {1U, 0U}) {
            if (options_.style == (nul != 0 ? terminator::without : terminator::with))
                continue;
            MDB_val from{bytes.size() + nul, const_cast<char*>(bytes.data())};
            const int code = ::mdb_del(txn_.get(), dbi_, &from, nullptr);
            if (code != 0 && code != MDB_NOTFOUND && code != MDB_BAD_VALSIZE)
                return lmdb_trouble("error deleting from " + path_, code);
            found = found || code == 0;
        }
        return found;
    }
    result<void> finish() override {
        const int code = ::mdb_txn_commit(txn_.release());
        held_.reset();
        if (code != 0)
            return lmdb_trouble("error writing " + path_, code);
        env_.reset();
        return place_ ? place_->commit() : result<void>();
    }

private:
    lmdb_writer(const std::string& name, const writer_options& options)
        : name_(name), path_(name + ".lmdb"), options_(options) {}

    [[nodiscard]] std::size_t extra() const noexcept { return options_.style == terminator::without ? 0 : 1; }

    result<void> begin() {
        MDB_txn* raw = nullptr;
        int code = ::mdb_txn_begin(env_.get(), nullptr, 0, &raw);
        if (code == 0) {
            txn_.reset(raw);
            code = ::mdb_dbi_open(raw, nullptr, 0, &dbi_);
        }
        if (code != 0)
            return lmdb_trouble("open database " + path_, code);
        return {};
    }
    result<void> empty() {
        if (const int code = ::mdb_drop(txn_.get(), dbi_, 0); code != 0)
            return lmdb_trouble("truncate database " + path_, code);
        return {};
    }
    // The size of the map can change only between transactions: before anything but empty() was done.
    result<void> make_room(std::size_t size) {
        if (size <= map_size_)
            return {};
        txn_.reset();
        map_size_ = size;
        if (const int code = ::mdb_env_set_mapsize(env_.get(), size); code != 0)
            return lmdb_trouble("open database " + path_, code);
        if (auto begun = begin(); !begun)
            return begun;
        return options_.how == write_mode::create ? empty() : result<void>();
    }
    // A full map: commits what is there, doubles the map, goes on.
    result<void> grow() {
        if (const int code = ::mdb_txn_commit(txn_.release()); code != 0)
            return lmdb_trouble("error writing " + path_, code);
        map_size_ *= 2;
        if (const int code = ::mdb_env_set_mapsize(env_.get(), map_size_); code != 0)
            return lmdb_trouble("open database " + path_, code);
        return begin();
    }
    // True: stored. False: the key is there (with MDB_NOOVERWRITE).
    result<bool> put(std::string_view key, std::string_view value, std::size_t nul, unsigned flags) {
        key_.assign(key);
        value_.assign(value);
        MDB_val from{key_.size() + nul, key_.data()};
        MDB_val to{value_.size() + nul, value_.data()};
        int code = ::mdb_put(txn_.get(), dbi_, &from, &to, flags);
        // load() has made room; a full map in single changes means a table that has outgrown twice its size.
        if (code == MDB_MAP_FULL && options_.how != write_mode::create) {
            if (auto grown = grow(); !grown)
                return tl::make_unexpected(grown.error());
            to = {value_.size() + nul, value_.data()};
            code = ::mdb_put(txn_.get(), dbi_, &from, &to, flags);
        }
        if (code == MDB_KEYEXIST)
            return false;
        if (code != 0)
            return lmdb_trouble("error updating lmdb:" + name_, code);
        return true;
    }
    std::string name_;
    std::string path_; // of the file that is written
    writer_options options_;
    std::optional<replacement_file> place_; // of a database that was not there
    std::size_t map_size_ = 0;
    lmdb_env_ptr env_;
    std::optional<lmdb_lock> held_;
    lmdb_txn_ptr txn_;
    MDB_dbi dbi_ = 0;
    std::string key_;
    std::string value_;
};

} // namespace

result<writer_ptr> write_lmdb(const std::string& name, const writer_options& options) {
    return lmdb_writer::start(name, options);
}

} // namespace mta::table
