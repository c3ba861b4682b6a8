#include <sys/stat.h>

#include <optional>

#include <mta/table/lmdb_library.hpp>
#include <mta/table/replacement_file.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {
namespace {

// Pages a bulk load needs at most for each byte of content, and the old content stays until the commit.
constexpr std::size_t room_factor = 3;
// Bytes of content. All pages that a transaction has written are in memory until its end.
constexpr std::size_t most_in_place = 32U << 20U;
constexpr std::size_t most_unwritten = 16U << 20U;

class lmdb_writer final : public table_writer {
public:
    static result<writer_ptr> start(const std::string& name, const writer_options& options) {
        auto out = std::unique_ptr<lmdb_writer>(new lmdb_writer(name, options));
        if (auto begun = out->open_locked_and_begin(false); !begun)
            return tl::make_unexpected(begun.error());
        return out;
    }

    result<void> load(entry_source& sorted) override {
        const auto all = sorted.at_most();
        if (options_.how == write_mode::create && !place_ && all.bytes > most_in_place) {
            txn_.reset();
            held_.reset();
            env_.reset();
            if (auto begun = open_locked_and_begin(true); !begun)
                return begun;
        }
        struct stat status {};
        (void)::fstat(lmdb_descriptor(env_.get()), &status);
        if (auto room = make_room(static_cast<std::size_t>(status.st_size) + (all.bytes + all.entries * 16) * room_factor); !room)
            return room;
        std::size_t bytes = 0; // of this transaction
        auto one = sorted.next();
        for (; one && *one != nullptr; one = sorted.next()) {
            // A NUL behind each of them leaves keys in the same order.
            if (auto done = put((*one)->key, (*one)->value, extra(), MDB_APPEND); !done)
                return tl::make_unexpected(done.error());
            bytes += (*one)->key.size() + (*one)->value.size();
            if (place_ && bytes > most_unwritten) {
                bytes = 0;
                if (auto written = commit(); !written)
                    return written;
                if (auto begun = begin(); !begun)
                    return begun;
            }
        }
        return one ? result<void>() : tl::make_unexpected(one.error());
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
        const auto done = commit();
        held_.reset();
        if (!done)
            return done;
        env_.reset();
        return place_ ? place_->commit() : result<void>();
    }

private:
    lmdb_writer(const std::string& name, const writer_options& options)
        : name_(name), path_(name + ".lmdb"), options_(options) {}

    [[nodiscard]] std::size_t extra() const noexcept { return options_.style == terminator::without ? 0 : 1; }

    result<void> open_locked_and_begin(bool beside) {
        for (;;) {
            if (auto opened = open(beside); !opened)
                return opened;
            auto held = lmdb_lock::wait(env_.get(), lock_mode::exclusive);
            if (!held)
                return tl::make_unexpected(held.error());
            held_.emplace(std::move(*held));
            if (stands_at(path_, lmdb_descriptor(env_.get())))
                break;
            // A builder had the lock, and has put another file here.
            held_.reset();
            env_.reset();
        }
        if (auto begun = begin(); !begun)
            return begun;
        return options_.how == write_mode::create && !place_ ? empty() : result<void>();
    }
    // A first content is made beside, since an empty database would answer "not found" for all that is about to come; one that
    // is there is changed in the file. beside: that one is replaced, where its directory may be written to.
    result<void> open(bool beside) {
        const auto path = name_ + ".lmdb";
        struct stat status {};
        const bool exists = ::stat(path.c_str(), &status) == 0;
        if (!exists && options_.how == write_mode::change)
            return fail_errno("open database " + path);
        path_ = path;
        place_.reset();
        if (!exists || beside) {
            auto place = replacement_file::start(path, options_.mode, lock_style::fcntl, without_room::give_up);
            if (!place && !exists)
                return tl::make_unexpected(place.error());
            if (place && !beside && ::stat(path.c_str(), &status) == 0)
                return open(beside); // somebody was quicker
            if (place) {
                path_ = place->temporary();
                place_.emplace(std::move(*place));
            }
        }
        map_size_ = std::max(options_.map_size, exists && !place_ ? static_cast<std::size_t>(status.st_size) * 2 : 0);
        auto env = open_lmdb_env(path_, place_ ? MDB_NOSYNC : 0, map_size_, options_.mode);
        if (!env)
            return tl::make_unexpected(env.error());
        env_ = std::move(*env);
        return {};
    }
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
        return options_.how == write_mode::create && !place_ ? empty() : result<void>();
    }
    result<void> commit() {
        if (const int code = ::mdb_txn_commit(txn_.release()); code != 0)
            return lmdb_trouble("error writing " + path_, code);
        return {};
    }
    // A full map: commits what is there, doubles the map, goes on.
    result<void> grow() {
        if (auto written = commit(); !written)
            return written;
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
    std::optional<replacement_file> place_; // of a new content
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
