#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <vector>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/berkeley_library.hpp>
#include <mta/table/berkeley_pages.hpp>
#include <mta/table/replacement_file.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {
namespace {

constexpr std::size_t most_cache = 512U << 20U;
constexpr std::size_t hash_page = 4096;
constexpr std::size_t worth_sizing = 1000; // entries
// What the library adds to an entry in a page: two indexes and two type bytes.
constexpr std::size_t entry_overhead = 6;

// Entries that come in the order of their buckets are written page after page.
std::uint32_t bucket_hash(std::string_view key, bool with_nul) noexcept {
    const auto out = berkeley_hash(key);
    return with_nul ? berkeley_hash(std::string_view("", 1), out) : out;
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
        out->lock_ = std::move(*lock);
        if (auto opened = out->open(options.buffer, 0, 0); !opened)
            return tl::make_unexpected(opened.error());
        return out;
    }

    result<void> load(std::span<const database_entry> sorted) override {
        std::size_t bytes = 0;
        for (const auto& one : sorted)
            bytes += one.key.size() + one.value.size() + entry_overhead + 2 * extra();
        // All of the new file fits the cache, so that no page is written twice.
        const auto cache = std::clamp(bytes * 3, options_.buffer, std::max(most_cache, options_.buffer));
        const auto per_page =
            sorted.empty() ? 0 : std::max<std::size_t>(hash_page * 4 / 3 * sorted.size() / std::max<std::size_t>(bytes, 1), 2);
        if (auto opened = open(cache, sorted.size(), per_page); !opened)
            return opened;
        if (kind_ != DB_HASH || sorted.size() < worth_sizing)
            return put_many(sorted, [](std::size_t i) { return i; });
        const auto order = bucket_order(sorted, per_page);
        return put_many(sorted, [&order](std::size_t i) { return order[i]; });
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
    [[nodiscard]] std::vector<std::uint32_t> bucket_order(std::span<const database_entry> sorted,
                                                          std::size_t per_page) const {
        const auto mask = std::bit_ceil((sorted.size() - 1) / per_page + 1) - 1;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> order(sorted.size());
        for (std::uint32_t i = 0; i < sorted.size(); ++i)
            order[i] = {static_cast<std::uint32_t>(bucket_hash(sorted[i].key, extra() != 0) & mask), i};
        std::ranges::sort(order);
        std::vector<std::uint32_t> out(sorted.size());
        std::ranges::transform(order, out.begin(), [](const auto& one) { return one.second; });
        return out;
    }
    // New entries, index(0) first, many in a call of the library.
    template <class Index>
    result<void> put_many(std::span<const database_entry> entries, Index&& index) {
        constexpr std::size_t call = 1U << 18U;
        constexpr std::size_t most_alone = call / 8; // larger ones go by themselves
        std::vector<std::uint32_t> space(call / sizeof(std::uint32_t));
        for (std::size_t i = 0; i < entries.size();) {
            DBT bulk{};
            bulk.data = space.data();
            bulk.ulen = call;
            bulk.flags = DB_DBT_USERMEM;
            void* at = nullptr;
            DB_MULTIPLE_WRITE_INIT(at, &bulk);
            const auto first = i;
            for (; i < entries.size(); ++i) {
                const auto& one = entries[index(i)];
                if (one.key.size() + one.value.size() > most_alone)
                    break;
                DB_MULTIPLE_KEY_WRITE_NEXT(at, &bulk, one.key.data(), one.key.size() + extra(), one.value.data(),
                                           one.value.size() + extra());
                if (at == nullptr)
                    break;
            }
            if (i == first) {
                const auto& one = entries[index(i++)];
                if (auto done = replace(one.key, one.value); !done)
                    return done;
                continue;
            }
            DBT nothing{};
            if (const int code = db_->put(db_.get(), nullptr, &bulk, &nothing, DB_MULTIPLE_KEY); code != 0)
                return db_trouble("error writing " + path_, code);
        }
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

result<writer_ptr> write_hash(const std::string& name, const writer_options& options) {
    return berkeley_writer::start(DB_HASH, name + ".db", options);
}
result<writer_ptr> write_btree(const std::string& name, const writer_options& options) {
    return berkeley_writer::start(DB_BTREE, name + ".db", options);
}

} // namespace mta::table
