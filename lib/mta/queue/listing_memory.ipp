#pragma once

#include <algorithm>
#include <iterator>
#include <utility>

#include <mta/queue/listing_memory.hpp>

namespace mta::queue {

namespace detail {

// Stands before the number of a reason; addresses and reasons as they are shown have no control characters. Of the
// number's bytes none is NUL, which would end the value.
inline constexpr char reason_mark = '\x01';
inline constexpr std::size_t marked_length = 5;

inline std::string marked(std::uint32_t number) {
    std::string made(1, reason_mark);
    for (; made.size() < marked_length; number >>= 7U)
        made += static_cast<char>(0x80U | (number & 0x7FU));
    return made;
}

inline std::uint32_t number_after(std::string_view mark) {
    std::uint32_t number = 0;
    for (std::size_t i = marked_length; --i > 0;)
        number = (number << 7U) | (static_cast<unsigned char>(mark[i]) & 0x7FU);
    return number;
}

inline constexpr std::size_t shared_reason_length = 16; // shorter ones stay where they are
// Of the tables, beside the text itself.
inline constexpr std::size_t entry_overhead = 200;
inline constexpr std::size_t reason_overhead = 160;

} // namespace detail

file_stamp stamp_of(const struct stat& status) noexcept {
    return {status.st_ino, status.st_ctim.tv_sec * 1'000'000'000LL + status.st_ctim.tv_nsec, status.st_size};
}

std::string listing_memory::key(directory which, std::string_view id) {
    std::string made(1, static_cast<char>('a' + static_cast<int>(which)));
    return made.append(id);
}

std::size_t listing_memory::cost(const std::string& key, const entry& one) noexcept {
    return key.size() + one.text.size() + detail::entry_overhead;
}

template <class Visit>
void listing_memory::each_mark(std::string_view text, const Visit& visit) {
    for (std::size_t at = 0; (at = text.find(detail::reason_mark, at)) != std::string_view::npos;) {
        visit(at, detail::number_after(text.substr(at)));
        at += detail::marked_length;
    }
}

unsigned long listing_memory::begin() {
    const std::lock_guard lock(mutex_);
    return ++listings_;
}

void listing_memory::finish(unsigned long listing) {
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end();)
        at = at->second.listing < listing ? forget(at) : std::next(at);
}

bool listing_memory::knows(directory which, std::string_view id) const {
    const std::lock_guard lock(mutex_);
    return entries_.contains(key(which, id));
}

bool listing_memory::append(std::string& out, directory which, std::string_view id, const stamps& now,
                            unsigned long listing) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key(which, id));
    if (found == entries_.end())
        return false;
    auto& one = found->second;
    if (one.state != now) {
        forget(found);
        return false;
    }
    one.listing = std::max(one.listing, listing);
    std::size_t done = 0;
    each_mark(one.text, [&](std::size_t at, std::uint32_t number) {
        out.append(one.text, done, at - done).append(reasons_[number].text);
        done = at + detail::marked_length;
    });
    out.append(one.text, done);
    return true;
}

void listing_memory::keep(directory which, const listed_message& message, const stamps& then, long long read_at,
                          unsigned long listing) {
    if (std::max(then.message.changed, then.log.changed) > read_at - settling_)
        return;
    auto made = key(which, message.queue_id);
    const auto whole = showq_message(message);
    auto needed = made.size() + whole.size() + detail::entry_overhead; // at most
    for (const auto& to : message.recipients)
        needed += 2 * to.reason.size() + detail::reason_overhead;
    const std::lock_guard lock(mutex_);
    if (whole.find(detail::reason_mark) != std::string::npos || bytes_ + needed > limit_)
        return;
    if (const auto found = entries_.find(made); found != entries_.end())
        forget(found);
    auto brief = message;
    for (auto& to : brief.recipients)
        if (to.reason.size() >= detail::shared_reason_length)
            to.reason = share(to.reason);
    entry one{showq_message(brief), then, listing};
    one.text.shrink_to_fit();
    bytes_ += cost(made, one);
    entries_.emplace(std::move(made), std::move(one));
}

std::size_t listing_memory::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

// The mark and the number.
std::string listing_memory::share(std::string_view reason) {
    const auto [at, added] = numbers_.try_emplace(std::string(reason), 0);
    if (added) {
        if (unused_.empty()) {
            unused_.push_back(static_cast<std::uint32_t>(reasons_.size()));
            reasons_.emplace_back();
        }
        at->second = unused_.back();
        unused_.pop_back();
        reasons_[at->second].text = reason;
        bytes_ += 2 * reason.size() + detail::reason_overhead;
    }
    ++reasons_[at->second].uses;
    return detail::marked(at->second);
}

listing_memory::entries::iterator listing_memory::forget(entries::iterator at) {
    each_mark(at->second.text, [&](std::size_t, std::uint32_t number) {
        auto& reason = reasons_[number];
        if (--reason.uses > 0)
            return;
        bytes_ -= 2 * reason.text.size() + detail::reason_overhead;
        numbers_.erase(reason.text);
        std::string().swap(reason.text);
        unused_.push_back(number);
    });
    bytes_ -= cost(at->first, at->second);
    return entries_.erase(at);
}

} // namespace mta::queue
