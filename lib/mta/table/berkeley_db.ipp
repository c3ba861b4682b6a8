#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <ctime>

#include <mta/core/file.hpp>
#include <mta/core/lock.hpp>
#include <mta/table/berkeley_library.hpp>
#include <mta/table/berkeley_pages.hpp>
#include <mta/table/file_mark.hpp>
#include <mta/table/page_cache.hpp>
#include <mta/table/patience.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

// With less than the file every lookup of a random key reads a page anew.
constexpr std::size_t most_read_cache = 512U << 20U;
constexpr std::size_t read_at_once = 1U << 16U;
// Two changes within a tick of the system's clock leave the same time of change, and a server's clock may be ahead of ours.
constexpr long long telling_age = 50'000'000; // nanoseconds

// Whether a file that was changed then could be changed again without a trace.
bool is_young(const struct timespec& changed) noexcept {
    struct timespec now {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto age = static_cast<long long>(now.tv_sec) - changed.tv_sec;
    return age < 0 || (age < 2 && age * 1'000'000'000 + (now.tv_nsec - changed.tv_nsec) < telling_age);
}

// Reads pages itself where it knows them; the library, which is slower, is opened for the rest.
class db_table final : public lookup_table {
public:
    db_table(const std::string& type, const std::string& path, unique_fd file, const struct stat& opened, const open_options& options)
        : lookup_table(type + ":" + path, {}), mark_(path, opened), file_(std::move(file)), options_(options), style_(options.style) {}

    // Whether the file is a database. Call it once, first.
    result<void> open() {
        if (auto locked = lock(); !locked)
            return locked;
        const auto opened = pages_ ? result<void>() : open_library();
        release();
        return opened;
    }

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (auto locked = lock(); !locked)
            return tl::make_unexpected(locked.error());
        if (cache_)
            cache_->trim();
        key_.assign(key);
        auto answer = look_up_both(style_, key_, [this](std::string_view bytes) { return get(bytes); });
        if (!batch_)
            release();
        return answer;
    }
    void begin_batch() override { batch_ = true; }
    void end_batch() override {
        batch_ = false;
        release();
    }

    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        if (auto locked = lock(); !locked)
            return locked;
        const auto opened = open_library();
        release();
        if (!opened)
            return opened;
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

    // What was read before somebody else had the lock may be of the past.
    result<void> lock() {
        if (locked_)
            return {};
        if (auto had = lock_patiently(file_.get(), lock_mode::shared); !had)
            return had;
        struct stat now {};
        if (::fstat(file_.get(), &now) != 0) {
            const auto trouble = fail_errno("open database " + mark_.path());
            unlock(file_.get());
            return trouble;
        }
        locked_ = true;
        if (seen_ && !seen_young_ && now.st_size == seen_->st_size && now.st_mtim.tv_sec == seen_->st_mtim.tv_sec &&
            now.st_mtim.tv_nsec == seen_->st_mtim.tv_nsec)
            return {};
        seen_ = now;
        seen_young_ = is_young(now.st_mtim);
        db_.reset();
        read_layout();
        return {};
    }
    void release() noexcept {
        if (std::exchange(locked_, false))
            unlock(file_.get());
    }
    void read_layout() {
        pages_.reset();
        cut_short_ = false;
        std::array<char, berkeley_head_size> head{};
        if (::pread(file_.get(), head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()))
            return;
        const auto layout = read_berkeley_layout({head.data(), head.size()});
        if (!layout)
            return;
        const auto size = static_cast<std::size_t>(seen_->st_size);
        cut_short_ = size / layout->page_size <= layout->last_page;
        const page_cache::limits bounds{options_.many_lookups ? most_read_cache : options_.read_buffer,
                                        options_.many_lookups ? read_at_once : 0};
        cache_ = page_cache::make(file_.get(), size, layout->page_size, bounds);
        if (cache_)
            pages_.emplace(*layout, *cache_);
    }
    result<void> open_library() {
        if (db_)
            return {};
        const auto whole = std::min(static_cast<std::size_t>(seen_->st_size) / 4 * 5, most_read_cache);
        auto db = create_db_handle(options_.many_lookups ? std::max(whole, options_.read_buffer) : options_.read_buffer);
        if (!db)
            return tl::make_unexpected(db.error());
        // The file says itself what it is: either name opens either kind.
        const int code = (*db)->open(db->get(), nullptr, mark_.path().c_str(), nullptr, DB_UNKNOWN, DB_RDONLY, 0);
        if (code != 0)
            return db_trouble("open database " + mark_.path(), code);
        db_ = std::move(*db);
        return {};
    }

    result<std::optional<std::string>> get(std::string_view bytes) {
        std::string_view found;
        const auto outcome = pages_ ? pages_->find(bytes, found) : berkeley_pages::outcome::odd;
        if (outcome == berkeley_pages::outcome::odd)
            return get_by_library(bytes);
        if (outcome == berkeley_pages::outcome::absent)
            return std::nullopt;
        return std::string(without_nul(found));
    }
    result<std::optional<std::string>> get_by_library(std::string_view bytes) {
        if (auto opened = open_library(); !opened)
            return tl::make_unexpected(opened.error());
        DBT key = thing(bytes);
        DBT value{};
        const int code = db_->get(db_.get(), nullptr, &key, &value, 0);
        // The library takes pages that the file has lost for empty ones.
        if (code == DB_NOTFOUND && cut_short_)
            return fail(errc::temporary, "error reading " + mark_.path() + ": the file is cut short");
        if (code == DB_NOTFOUND)
            return std::nullopt;
        if (code != 0)
            return trouble(code);
        return std::string(without_nul(bytes_of(value)));
    }

    file_mark mark_;
    unique_fd file_;
    open_options options_;
    terminator style_;
    std::string key_;
    bool batch_ = false;
    bool locked_ = false;
    bool cut_short_ = false;
    std::optional<struct stat> seen_; // the file as it was when pages were first read
    bool seen_young_ = false;         // so that it tells nothing
    std::unique_ptr<page_cache> cache_;
    std::optional<berkeley_pages> pages_; // of cache_
    db_ptr db_;
};

result<table_ptr> open_db(const std::string& type, const std::string& name, const open_options& options) {
    const std::string path = name + ".db";
    auto file = open_file(path, O_RDONLY);
    if (!file)
        return fail(file.error().code, "open database " + path);
    struct stat status {};
    if (::fstat(file->get(), &status) != 0)
        return fail_errno("open database " + path);
    auto out = std::make_unique<db_table>(type, path, std::move(*file), status, options);
    if (auto opened = out->open(); !opened)
        return tl::make_unexpected(opened.error());
    return out;
}

} // namespace

result<table_ptr> open_hash(const std::string& name, const open_options& options) { return open_db("hash", name, options); }
result<table_ptr> open_btree(const std::string& name, const open_options& options) { return open_db("btree", name, options); }

} // namespace mta::table
