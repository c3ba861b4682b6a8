#pragma once

#include <dirent.h>
#include <fcntl.h>

#include <mta/queue/errc.hpp>
#include <mta/queue/spool.hpp>

namespace mta::queue {

namespace detail {
struct directory_closer {
    void operator()(DIR* handle) const noexcept { ::closedir(handle); }
};
using directory_handle = std::unique_ptr<DIR, directory_closer>;

// Deeper trees cannot be made by configuration; a hostile one is not followed.
inline constexpr std::size_t max_scan_depth = 8;
} // namespace detail

struct scanner::impl {
    struct level {
        detail::directory_handle handle;
        std::size_t path_length; // of the parent's path
    };

    spool where;
    std::string path;
    std::vector<level> levels;
    bool started = false;
    skip_report skipped;

    impl(const spool& queues, std::string top, skip_report report)
        : where(queues), path(std::move(top)), skipped(std::move(report)) {}

    // False: it vanished.
    result<bool> enter(int parent, const char* directory_name, std::size_t path_length) {
        unique_fd fd(::openat(parent, directory_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        if (!fd) {
            if (errno == ENOENT && !levels.empty())
                return false;
            return fail_errno("open directory " + path);
        }
        detail::directory_handle handle(::fdopendir(fd.get()));
        if (!handle)
            return fail_errno("open directory " + path);
        (void)fd.release();
        levels.push_back({std::move(handle), path_length});
        return true;
    }

    void skip(const error& why) const {
        if (skipped)
            skipped(why);
    }
};

scanner::scanner(const spool& where, directory which, skip_report skipped)
    : scanner(where, std::string(name(which)), std::move(skipped)) {}
scanner::scanner(const spool& where, std::string path, skip_report skipped)
    : impl_(std::make_unique<impl>(where, std::move(path), std::move(skipped))) {}
scanner::~scanner() = default;
scanner::scanner(scanner&&) noexcept = default;
scanner& scanner::operator=(scanner&&) noexcept = default;

result<std::optional<scan_entry>> scanner::next() {
    auto& self = *impl_;
    if (!std::exchange(self.started, true))
        if (auto entered = self.enter(self.where.root_fd(), self.path.c_str(), 0); !entered)
            return tl::make_unexpected(entered.error());
    while (!self.levels.empty()) {
        auto& level = self.levels.back();
        errno = 0;
        const dirent* entry = ::readdir(level.handle.get());
        if (entry == nullptr) {
            if (errno != 0) {
                const failure unreadable = fail_errno("read directory " + self.path);
                if (self.levels.size() == 1)
                    return unreadable;
                self.skip(unreadable.value());
            }
            self.path.resize(level.path_length);
            self.levels.pop_back();
            continue;
        }
        const std::string_view name = entry->d_name;
        if (name.front() == '.')
            continue;
        // One character names a hash directory, of any depth: the layout may have been another one yesterday.
        if (name.size() == 1 && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
            self.levels.size() < detail::max_scan_depth) {
            const auto path_length = self.path.size();
            self.path.append(1, '/').append(name);
            auto entered = self.enter(::dirfd(level.handle.get()), entry->d_name, path_length);
            if (entered && *entered)
                continue;
            const bool no_directory = !entered && entered.error().code == std::errc::not_a_directory;
            if (!entered && !no_directory)
                self.skip(entered.error());
            self.path.resize(path_length);
            if (!no_directory)
                continue;
        }
        return scan_entry{name, ::dirfd(level.handle.get()), self.path, entry->d_type};
    }
    return std::nullopt;
}

result<void> scan(const spool& where, directory which, const std::function<scan_step(const scan_entry&)>& visit,
                  scanner::skip_report skipped) {
    scanner walk(where, which, std::move(skipped));
    for (;;) {
        auto entry = walk.next();
        if (!entry)
            return tl::make_unexpected(entry.error());
        if (!*entry || visit(**entry) == scan_step::stop)
            return {};
    }
}

} // namespace mta::queue
