#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <unordered_set>

#include <mta/address/parts.hpp>
#include <mta/core/plain_text.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/brief_envelope.ipp>
#include <mta/queue/listing.hpp>
#include <mta/queue/listing_memory.hpp>
#include <mta/queue/message_log.hpp>
#include <mta/queue/queue_file.hpp>

namespace mta::queue::detail {

inline std::string shown_address(std::string_view internal, const listing_options& options) {
    if (internal.empty())
        return options.empty_address;
    std::string storage;
    const auto shown = address::quoted_view(internal, storage);
    return is_plain(shown) ? std::string(shown) : printable(shown);
}

// The two pieces of a file that a brief envelope is made of; its views are of them.
struct brief_buffers {
    std::array<char, 16384> head; // NOLINT: filled before they are read
    std::array<char, 8192> tail;  // NOLINT
};

// False: the file is for queue_file to read.
inline bool read_brief(int fd, std::size_t size, brief_buffers& buffers, brief_envelope& into) {
    const auto got = ::pread(fd, buffers.head.data(), buffers.head.size(), 0);
    if (got <= 0)
        return false;
    const std::string_view head(buffers.head.data(), std::min(static_cast<std::size_t>(got), size));
    const auto at = into.take_head(head, size);
    if (!at)
        return false;
    if (head.size() == size)
        return into.take_tail(head.substr(*at));
    const auto rest = size - *at;
    return rest <= buffers.tail.size() &&
           ::pread(fd, buffers.tail.data(), rest, static_cast<off_t>(*at)) == static_cast<ssize_t>(rest) &&
           into.take_tail({buffers.tail.data(), rest});
}

// Makes the listing of one message; nullopt when there is nothing to show (yet, or any more).
class message_lister {
public:
    message_lister(const spool& where, const listing_options& options, directory which)
        : where_(where), options_(options), which_(which) {}

    // entry.path is not looked at.
    std::optional<listed_message> list(const scan_entry& entry) const {
        return is_candidate(entry) ? list(entry.directory_fd, entry.name.data(), entry.name) : std::nullopt;
    }

    // The name ends with NUL at path. stamps: of the files before they are read.
    std::optional<listed_message> list(int directory_fd, const char* path, std::string_view id,
                                       listing_memory::stamps* stamps = nullptr) const {
        auto fd = open(directory_fd, path);
        if (!fd && errno != ENOENT)
            warn(id, fail_errno("open").value());
        struct stat status {};
        if (!fd || ::fstat(fd.get(), &status) != 0 || !is_complete(status.st_mode))
            return std::nullopt;
        if (stamps != nullptr)
            stamps->message = stamp_of(status);
        listed_message message;
        message.queue_name = name(which_);
        message.queue_id = id;
        message.size = status.st_size;
        message.forced_expire = is_force_expired(status.st_mode) && which_ != directory::maildrop;
        brief_buffers buffers; // NOLINT: filled before it is read
        brief_envelope brief;
        if (read_brief(fd.get(), static_cast<std::size_t>(status.st_size), buffers, brief)) {
            describe(message, brief.arrival, brief.content_size, brief.sender);
            recipients(message, brief.recipients, stamps);
            return message;
        }
        auto file = queue_file::adopt(std::move(fd));
        if (!file)
            return std::nullopt;
        envelope read;
        if (auto done = file->read_envelope(read, {.attributes = false}); !done) {
            warn(id, done.error());
            if (read.arrival.tv_sec == 0)
                return std::nullopt;
        }
        describe(message, read.arrival.tv_sec, read.size ? read.size->content_size : 0, read.sender);
        std::vector<std::string_view> addresses;
        for (const auto& to : read.recipients)
            addresses.push_back(to.address);
        recipients(message, addresses, stamps);
        return message;
    }

    // The same in the form of showq, without opening files that the memory knows. False: nothing to show.
    bool append(std::string& out, const scan_entry& entry, listing_memory& memory, unsigned long listing) const {
        if (!is_candidate(entry))
            return false;
        listing_memory::stamps stamps;
        if (memory.knows(which_, entry.name) && look(entry, stamps) &&
            memory.append(out, which_, entry.name, stamps, listing))
            return true;
        stamps = {};
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        const auto message = list(entry.directory_fd, entry.name.data(), entry.name, &stamps);
        if (!message)
            return false;
        out += showq_message(*message);
        if (stamps.message.inode != 0)
            memory.keep(which_, *message, stamps, std::chrono::nanoseconds(now).count(), listing);
        return true;
    }

private:
    static bool is_candidate(const scan_entry& entry) {
        return (entry.type == DT_REG || entry.type == DT_UNKNOWN) && is_valid_queue_id(entry.name);
    }

    // Looking must not cost a write of each inode; only its owner and root may ask for that.
    static unique_fd open(int directory_fd, const char* path) {
        constexpr int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        unique_fd fd(::openat(directory_fd, path, flags | O_NOATIME));
        if (!fd && errno == EPERM)
            fd = unique_fd(::openat(directory_fd, path, flags));
        return fd;
    }

    // The state of both files. False: not to be had.
    bool look(const scan_entry& entry, listing_memory::stamps& stamps) const {
        struct stat status {};
        if (::fstatat(entry.directory_fd, entry.name.data(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !is_complete(status.st_mode))
            return false;
        stamps.message = stamp_of(status);
        if (which_ == directory::maildrop)
            return true;
        const auto log = where_.relative_path(directory::defer, entry.name);
        if (::fstatat(where_.root_fd(), log.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
            return errno == ENOENT;
        stamps.log = stamp_of(status);
        return true;
    }

    void describe(listed_message& message, long long arrival, long long content_size, std::string_view sender) const {
        message.arrival = arrival;
        if (content_size > 0)
            message.size = content_size;
        message.sender = shown_address(sender, options_);
    }

    void read_log(listed_message& message, listing_memory::stamps* stamps) const {
        struct stat status {};
        auto log = read_reasons(
            where_, directory::defer, message.queue_id,
            [&](std::string&& recipient, std::string&& reason) {
                message.recipients.push_back({std::move(recipient), std::move(reason)});
            },
            stamps != nullptr ? &status : nullptr);
        if (stamps != nullptr && log && *log)
            stamps->log = stamp_of(status);
        if (log)
            return;
        warn(message.queue_id, log.error());
        if (stamps != nullptr)
            stamps->message = {}; // nothing of this is to be remembered
    }

    void recipients(listed_message& message, const std::vector<std::string_view>& addresses,
                    listing_memory::stamps* stamps) const {
        // Most messages have few recipients: comparing them is cheaper than a set.
        constexpr std::size_t few = 8;
        std::unordered_set<std::string> logged;
        message.recipients.reserve(addresses.size());
        if (which_ != directory::maildrop)
            read_log(message, stamps);
        const auto count = std::min(message.recipients.size(), options_.duplicate_limit);
        if (count > few)
            for (std::size_t i = 0; i < message.recipients.size() && logged.size() < options_.duplicate_limit; ++i)
                logged.insert(message.recipients[i].address);
        const auto is_logged = [&](const std::string& shown) {
            return count > few ? logged.count(shown) != 0
                               : std::any_of(message.recipients.begin(),
                                             message.recipients.begin() + static_cast<std::ptrdiff_t>(count),
                                             [&](const listed_recipient& one) { return one.address == shown; });
        };
        for (const auto address : addresses) {
            auto shown = shown_address(address, options_);
            if (!is_logged(shown))
                message.recipients.push_back({std::move(shown), {}});
        }
    }

    void warn(std::string_view id, const error& problem) const {
        if (options_.warn)
            options_.warn(std::string(name(which_)) + " queue file " + std::string(id) + ": " + problem.text());
    }

    const spool& where_;
    const listing_options& options_;
    directory which_;
};

} // namespace mta::queue::detail
