#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <mta/core/text.hpp>
#include <mta/queue/record_file.hpp>

namespace mta::queue {

namespace detail {
inline constexpr std::size_t window_bytes = 64U << 10U;
inline constexpr std::size_t first_bytes = 16U << 10U; // an envelope, and all of most messages
inline constexpr std::size_t longest_header = 6;
} // namespace detail

// Makes the window begin at offset and hold at least need bytes, or all that the file has.
result<void> record_file::load(long long offset, std::size_t need) {
    const auto rest = static_cast<std::size_t>(size_ - offset);
    const auto want = std::min(rest, std::max(need, offset == 0 ? detail::first_bytes : detail::window_bytes));
    if (capacity_ < want) {
        window_ = std::make_unique_for_overwrite<char[]>(want);
        capacity_ = want;
    }
    start_ = offset;
    filled_ = 0;
    while (filled_ < std::min(need, rest)) {
        const auto got =
            ::pread(fd_, window_.get() + filled_, want - filled_, static_cast<off_t>(offset + static_cast<long long>(filled_)));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read queue file");
        if (got == 0)
            return fail(errc::truncated_record, "the file became shorter while it was read");
        filled_ += static_cast<std::size_t>(got);
    }
    return {};
}

result<std::string_view> record_file::bytes(std::size_t need) {
    const auto rest = static_cast<std::size_t>(size_ - at_);
    need = std::min(need, rest);
    const bool inside = at_ >= start_ && at_ - start_ <= static_cast<long long>(filled_) &&
                        filled_ - static_cast<std::size_t>(at_ - start_) >= need;
    if (!inside)
        if (auto loaded = load(at_, need); !loaded)
            return tl::make_unexpected(loaded.error());
    const auto skip = static_cast<std::size_t>(at_ - start_);
    return std::string_view(window_.get() + skip, filled_ - skip);
}

result<std::optional<file_record>> record_file::next() {
    for (;;) {
        if (at_ < 0 || at_ >= size_)
            return std::nullopt;
        auto head = bytes(detail::longest_header);
        if (!head)
            return tl::make_unexpected(head.error());
        auto header = parse_record_header(*head, max_record_length);
        if (!header)
            return tl::make_unexpected(header.error());
        const auto offset = at_;
        if (!*header)
            return fail(errc::truncated_record, "record at offset " + std::to_string(offset) + " is cut short");
        const auto whole = (*header)->header_size + (*header)->length;
        if (static_cast<long long>(whole) > size_ - offset)
            return fail(errc::truncated_record, "record at offset " + std::to_string(offset) + " is cut short");
        auto body = bytes(whole);
        if (!body)
            return tl::make_unexpected(body.error());
        at_ += static_cast<long long>(whole);
        // No record is reached twice on an honest way, so the way is no longer than the file.
        walked_ += static_cast<long long>(whole);
        if (walked_ > size_)
            return fail(errc::pointer_loop, "pointer records form a loop at offset " + std::to_string(offset));
        const auto type = (*header)->type;
        const auto data = body->substr((*header)->header_size, (*header)->length);
        if (mode_ == pointers::follow && type == record_type::padding)
            continue;
        if (mode_ == pointers::follow && type == record_type::pointer) {
            auto target = parse_pointer(data);
            if (!target)
                return tl::make_unexpected(target.error());
            if (*target >= size_)
                return fail(errc::bad_pointer, "pointer beyond the end at offset " + std::to_string(offset));
            if (*target > 0)
                at_ = *target;
            continue;
        }
        return file_record{type, data, offset};
    }
}

result<long long> parse_pointer(std::string_view data) {
    const auto value = parse_integer(trim(data));
    if (!value || *value < 0)
        return fail(errc::bad_pointer, "bad pointer record: " + printable(data));
    return *value;
}

std::string format_pointer(long long offset) {
    std::array<char, 32> text{};
    const int length = std::snprintf(text.data(), text.size(), "%15lld", offset);
    return {text.data(), static_cast<std::size_t>(length)};
}

} // namespace mta::queue
