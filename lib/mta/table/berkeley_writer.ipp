#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/berkeley_library.hpp>
#include <mta/table/berkeley_pages.hpp>
#include <mta/table/replacement_file.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {
namespace {

constexpr std::size_t hash_page = 4096;
constexpr std::size_t worth_sizing = 1000; // entries
// What the library adds to an entry in a page: two indexes and two type bytes.
constexpr std::size_t entry_overhead = 6;

// The bucket of a key is the last bits of its hash, as many as the size of the table asks for. Read backwards they put the keys
// of a bucket together whatever that size is, so that a bucket's pages are written once and a small cache does.
std::uint32_t backwards(std::uint32_t bits) noexcept {
    bits = (bits >> 1U & 0x55555555U) | (bits & 0x55555555U) << 1U;
    bits = (bits >> 2U & 0x33333333U) | (bits & 0x33333333U) << 2U;
    bits = (bits >> 4U & 0x0F0F0F0FU) | (bits & 0x0F0F0F0FU) << 4U;
    return __builtin_bswap32(bits);
}
std::uint32_t rank_without_nul(std::string_view key) { return backwards(berkeley_hash(key)); }
std::uint32_t rank_with_nul(std::string_view key) {
    return backwards(berkeley_hash(std::string_view("", 1), berkeley_hash(key)));
}

class berkeley_writer final : public table_writer {
public:
    static result<writer_ptr> start(DBTYPE kind, const std::string& path, const writer_options& options) {
        auto out = std::unique_ptr<berkeley_writer>(new berkeley_writer(kind, options));
        if (options.how == write_mode::create) {
            auto place = replacement_file::start(path, options.mode);
            if (!place)
                return tl::make_unexpected(place.error());
            out->place_.emplace(std::move(*place));
            out->path_ = out->place_->temporary();
            return out;
        }
        out->path_ = path;
        auto lock = open_locked(path, options.how == write_mode::update ? O_RDWR | O_CREAT : O_RDWR, options.mode);
        if (!lock)
            return fail(lock.error().code, "open database " + path);
        struct stat status {};
        if (options.how == write_mode::change && ::fstat(lock->get(), &status) == 0 && status.st_size == 0)
            return fail(std::make_error_code(std::errc::invalid_argument), "open database " + path); // nothing to change
        out->lock_ = std::move(*lock);
        if (auto opened = out->open(options.buffer, 0, 0); !opened)
            return tl::make_unexpected(opened.error());
        return out;
    }

    result<void> load(entry_source& sorted) override {
        std::size_t entries = 0;
        std::size_t per_page = 0;
        if (kind_ == DB_HASH && sorted.at_most().entries >= worth_sizing) {
            // How many buckets there are is decided before the first entry comes.
            const auto all = count(sorted);
            if (!all)
                return tl::make_unexpected(all.error());
            entries = all->entries;
            const auto bytes = all->bytes + entries * (entry_overhead + 2 * extra());
            per_page = std::max<std::size_t>(hash_page * 4 / 3 * entries / bytes, 2);
        }
        if (auto opened = open(options_.buffer, entries, per_page); !opened)
            return opened;
        return put_many(sorted);
    }
    result<bool> insert(std::string_view key, std::string_view value) override {
        auto code = put(key, value, extra(), DB_NOOVERWRITE);
        if (!code)
            return tl::make_unexpected(code.error());
        return *code == 0;
    }
    result<void> replace(std::string_view key, std::string_view value) override {
        auto code = put(key, value, extra(), 0);
        if (!code)
            return tl::make_unexpected(code.error());
        return {};
    }
    result<void> put_bare(std::string_view key, std::string_view value) override {
        auto code = put(key, value, 0, 0);
        if (!code)
            return tl::make_unexpected(code.error());
        return {};
    }
    result<bool> remove(std::string_view key) override {
        const std::string bytes(key);
        bool found = false;
        for (const std::size_t nul : {1U, 0U}) {
            if (options_.style == (nul != 0 ? terminator::without : terminator::with))
                continue;
            DBT from = thing({bytes.data(), bytes.size() + nul});
            const int code = db_->del(db_.get(), nullptr, &from, 0);
            if (code != 0 && code != DB_NOTFOUND)
                return db_trouble("error deleting from " + path_, code);
            found = found || code == 0;
        }
        return found;
    }
    result<void> finish() override {
        if (!db_)
            if (auto opened = open(options_.buffer, 0, 0); !opened)
                return opened;
        if (const int code = db_->sync(db_.get(), 0); code != 0)
            return db_trouble("error writing " + path_, code);
        db_.reset();
        lock_.reset();
        return place_ ? place_->commit() : result<void>();
    }

private:
    berkeley_writer(DBTYPE kind, const writer_options& options) : kind_(kind), options_(options) {}

    [[nodiscard]] std::size_t extra() const noexcept { return options_.style == terminator::without ? 0 : 1; }

    result<void> open(std::size_t cache, std::size_t entries, std::size_t per_page) {
        auto db = create_db_handle(cache);
        if (!db)
            return tl::make_unexpected(db.error());
        // An existing file keeps its kind, whatever it is called now.
        struct stat status {};
        const bool exists = ::stat(path_.c_str(), &status) == 0 && status.st_size > 0;
        if (!exists && kind_ == DB_HASH && entries >= worth_sizing) {
            (void)(*db)->set_pagesize(db->get(), hash_page);
            (void)(*db)->set_h_ffactor(db->get(), static_cast<u_int32_t>(per_page));
            (void)(*db)->set_h_nelem(db->get(), static_cast<u_int32_t>(entries));
        }
        const int code = (*db)->open(db->get(), nullptr, path_.c_str(), nullptr, exists ? DB_UNKNOWN : kind_,
                                     exists ? 0 : DB_CREATE, static_cast<int>(options_.mode));
        if (code != 0)
            return db_trouble("open database " + path_, code);
        db_ = std::move(*db);
        return {};
    }
    static result<entry_source::totals> count(entry_source& sorted) {
        entry_source::totals out;
        for (;;) {
            const auto one = sorted.next();
            if (!one)
                return tl::make_unexpected(one.error());
            if (*one == nullptr)
                break;
            ++out.entries;
            out.bytes += (*one)->key.size() + (*one)->value.size();
        }
        if (auto again = sorted.rewind(); !again)
            return tl::make_unexpected(again.error());
        return out;
    }
    // New entries, many in a call of the library.
    result<void> put_many(entry_source& entries) {
        constexpr std::size_t call = 1U << 18U;
        constexpr std::size_t most_alone = call / 8; // larger ones go by themselves
        std::vector<std::uint32_t> space(call / sizeof(std::uint32_t));
        auto one = entries.next();
        while (one && *one != nullptr) {
            DBT bulk{};
            bulk.data = space.data();
            bulk.ulen = call;
            bulk.flags = DB_DBT_USERMEM;
            void* at = nullptr;
            DB_MULTIPLE_WRITE_INIT(at, &bulk);
            bool some = false;
            for (; one && *one != nullptr && (*one)->key.size() + (*one)->value.size() <= most_alone; one = entries.next()) {
                DB_MULTIPLE_KEY_WRITE_NEXT(at, &bulk, (*one)->key.data(), (*one)->key.size() + extra(), (*one)->value.data(),
                                           (*one)->value.size() + extra());
                if (at == nullptr)
                    break;
                some = true;
            }
            if (some) {
                DBT nothing{};
                if (const int code = db_->put(db_.get(), nullptr, &bulk, &nothing, DB_MULTIPLE_KEY); code != 0)
                    return db_trouble("error writing " + path_, code);
            } else if (one && *one != nullptr) {
                if (auto done = replace((*one)->key, (*one)->value); !done)
                    return done;
                one = entries.next();
            }
        }
        if (!one)
            return tl::make_unexpected(one.error());
        return {};
    }
    result<int> put(std::string_view key, std::string_view value, std::size_t nul, u_int32_t flags) {
        if (!db_)
            if (auto opened = open(options_.buffer, 0, 0); !opened)
                return tl::make_unexpected(opened.error());
        key_.assign(key);
        value_.assign(value);
        DBT from = thing({key_.data(), key_.size() + nul}); // the NUL of std::string
        DBT to = thing({value_.data(), value_.size() + nul});
        const int code = db_->put(db_.get(), nullptr, &from, &to, flags);
        if (code != 0 && code != DB_KEYEXIST)
            return db_trouble("error writing " + path_, code);
        return code;
    }

    DBTYPE kind_;
    writer_options options_;
    std::string path_; // of the file that is written
    std::optional<replacement_file> place_;
    unique_fd lock_;
    db_ptr db_;
    std::string key_;
    std::string value_;
};

} // namespace

key_rank hash_rank(const writer_options& options) {
    return options.style == terminator::without ? rank_without_nul : rank_with_nul;
}

result<writer_ptr> write_hash(const std::string& name, const writer_options& options) {
    return berkeley_writer::start(DB_HASH, name + ".db", options);
}
result<writer_ptr> write_btree(const std::string& name, const writer_options& options) {
    return berkeley_writer::start(DB_BTREE, name + ".db", options);
}

} // namespace mta::table
