#pragma once

#include <algorithm>
#include <array>

#include <mta/core/text.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/selection.hpp>

namespace mta::queue {

namespace detail {

// A number with one of the units at its end, or without any.
inline result<long long> read_quantity(std::string_view text,
                                       std::initializer_list<std::pair<char, long long>> units) {
    long long factor = 1;
    for (const auto& [letter, value] : units)
        if (!text.empty() && text.back() == letter) {
            factor = value;
            text.remove_suffix(1);
            break;
        }
    const auto number = parse_integer(text);
    if (!number || *number < 0 || *number > 0x7fffffffffffffff / factor)
        return fail(errc::bad_criterion);
    return *number * factor;
}

inline bool like_any(std::string_view text, const std::vector<std::string>& patterns) {
    return patterns.empty() || std::any_of(patterns.begin(), patterns.end(),
                                           [&](const std::string& one) { return like(text, one); });
}

} // namespace detail

bool selection::is_criterion(std::string_view name) noexcept {
    constexpr std::array<std::string_view, 7> names = {"sender", "recipient", "domain", "reason",
                                                       "older",  "newer",     "size"};
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool add_criterion(selection& wanted, option_reader& reader, const option& word,
                   const std::function<void(const std::string&)>& fatal) {
    const auto name = option_reader::long_name(word);
    if (!selection::is_criterion(name))
        return false;
    if (const auto value = reader.long_value(word); !value)
        fatal("--" + std::string(name) + " needs a value");
    else if (const auto added = wanted.add(name, *value); !added)
        fatal(added.error().text());
    return true;
}

bool like(std::string_view text, std::string_view pattern) noexcept {
    std::size_t at = 0;
    std::size_t in = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (at < text.size()) {
        if (in < pattern.size() && pattern[in] == '*') {
            star = in++;
            resume = at;
        } else if (in < pattern.size() &&
                   (pattern[in] == '?' || to_lower(pattern[in]) == to_lower(text[at]))) {
            ++in;
            ++at;
        } else if (star != std::string_view::npos) {
            in = star + 1;
            at = ++resume;
        } else
            return false;
    }
    return pattern.find_first_not_of('*', in) == std::string_view::npos;
}

result<void> selection::add(std::string_view name, std::string_view value) {
    const auto bad = [&](const char* wanted) {
        return fail(errc::bad_criterion,
                    "--" + std::string(name) + ": bad value \"" + printable(value) + "\": " + wanted);
    };
    // An empty shell variable would choose everything.
    if (value.empty())
        return bad("expected a value");
    if (name == "sender")
        senders_.emplace_back(value);
    else if (name == "recipient")
        recipients_.emplace_back(value);
    else if (name == "domain")
        domains_.emplace_back(value);
    else if (name == "reason")
        reasons_.push_back(value.find_first_of("*?") == std::string_view::npos
                               ? '*' + std::string(value) + '*'
                               : std::string(value));
    else if (name == "older" || name == "newer") {
        const auto age =
            detail::read_quantity(value, {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}});
        if (!age)
            return bad("expected an age, for example 90s, 15m, 2h, 3d or 1w");
        (name == "older" ? older_ : newer_) = *age;
    } else {
        const auto size = detail::read_quantity(value.substr(value.empty() ? 0 : 1),
                                                {{'k', 1024}, {'K', 1024}, {'M', 1 << 20}, {'G', 1 << 30}});
        if (!size || (value.front() != '+' && value.front() != '-'))
            return bad("expected +N or -N bytes, for example +1M or -10k");
        (value.front() == '+' ? larger_ : smaller_) = *size;
    }
    used_ = true;
    return {};
}

bool selection::matches(const listed_recipient& to) const {
    const auto at = to.address.rfind('@');
    const std::string_view domain =
        at == std::string::npos ? std::string_view() : std::string_view(to.address).substr(at + 1);
    return detail::like_any(to.address, recipients_) && detail::like_any(domain, domains_) &&
           detail::like_any(to.reason, reasons_);
}

bool selection::matches(const listed_message& message, long long now, std::string_view empty_address) const {
    const auto age = now - message.arrival;
    if ((older_ && age <= *older_) || (newer_ && age >= *newer_) || (larger_ && message.size <= *larger_) ||
        (smaller_ && message.size >= *smaller_))
        return false;
    if (!senders_.empty() && !detail::like_any(message.sender, senders_) &&
        (message.sender != empty_address ||
         std::find(senders_.begin(), senders_.end(), "<>") == senders_.end()))
        return false;
    if (recipients_.empty() && domains_.empty() && reasons_.empty())
        return true;
    return std::any_of(message.recipients.begin(), message.recipients.end(),
                       [&](const listed_recipient& to) { return matches(to); });
}

} // namespace mta::queue
