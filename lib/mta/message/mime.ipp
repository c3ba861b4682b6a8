// Bodies of mime.hpp.
#include <mta/message/mime.hpp>

#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/message/header.hpp>

namespace mta::message {

namespace {

// Skips blanks and comments.
std::size_t skip_space(std::string_view text, std::size_t at) noexcept {
    int depth = 0;
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '(') {
            ++depth;
        } else if (c == ')' && depth > 0) {
            --depth;
        } else if (c == '\\' && depth > 0) {
            ++at;
        } else if (depth == 0 && white_space.find(c) == std::string_view::npos) {
            return at;
        }
    }
    return text.size();
}

// One word or quoted string at a place; moves the place behind it.
std::string take_word(std::string_view text, std::size_t& at) {
    std::string out;
    if (at < text.size() && text[at] == '"') {
        for (++at; at < text.size() && text[at] != '"'; ++at) {
            if (text[at] == '\\' && at + 1 < text.size())
                ++at;
            if (text[at] != '\n')
                out += text[at];
        }
        at = std::min(at + 1, text.size());
        return out;
    }
    constexpr std::string_view ends = "()<>@,;:\\\"[]?= \t\r\n";
    while (at < text.size() && ends.find(text[at]) == std::string_view::npos)
        out += text[at++];
    return out;
}

} // namespace

std::string header_parameter(std::string_view value, std::string_view name) {
    std::size_t at = 0;
    while ((at = value.find_first_of(";\"(", at)) != std::string_view::npos) {
        if (value[at] == '"') {
            (void)take_word(value, at);
            continue;
        }
        if (value[at] == '(') {
            at = skip_space(value, at);
            continue;
        }
        at = skip_space(value, at + 1);
        const auto key = take_word(value, at);
        at = skip_space(value, at);
        if (at >= value.size() || value[at] != '=')
            continue;
        at = skip_space(value, at + 1);
        auto text = take_word(value, at);
        if (iequals(key, name))
            return text;
    }
    return {};
}

void mime_tracker::header(std::string_view name, std::string_view value) {
    if (iequals(name, "content-transfer-encoding")) {
        std::size_t at = skip_space(value, 0);
        const auto word = take_word(value, at);
        eight_bit_ = eight_bit_ || iequals(word, "8bit") || iequals(word, "binary");
    } else if (iequals(name, "content-type")) {
        std::size_t at = skip_space(value, 0);
        const auto type = take_word(value, at);
        multipart_ = false;
        message_ = false;
        if (type.size() > 10 && iequals(std::string_view(type).substr(0, 10), "multipart/")) {
            boundary_ = header_parameter(value, "boundary");
            boundary_.resize(std::min(boundary_.size(), limits_.boundary_length));
            multipart_ = !boundary_.empty();
        } else {
            message_ = iequals(type, "message/rfc822") || iequals(type, "message/global");
        }
    }
}

void mime_tracker::flush_header() {
    if (const auto split = split_header(pending_))
        header(split->name, split->value);
    pending_.clear();
}

void mime_tracker::end_of_header() {
    in_header_ = message_;
    if (multipart_ && boundaries_.size() < limits_.nesting)
        boundaries_.push_back(std::move(boundary_));
    multipart_ = false;
    message_ = false;
    boundary_.clear();
}

line_kind mime_tracker::body_line(std::string_view line) {
    if (line.size() > 2 && line[0] == '-' && line[1] == '-' && !boundaries_.empty()) {
        const auto rest = line.substr(2);
        for (auto level = boundaries_.size(); level-- > 0;) {
            const std::string& have = boundaries_[level];
            if (rest.substr(0, have.size()) != have)
                continue;
            const bool closes = rest.substr(have.size(), 2) == "--";
            flush_header(); // of a part that ends within its header
            boundaries_.resize(level + (closes ? 0 : 1));
            in_header_ = !closes;
            multipart_ = message_ = false;
            return line_kind::body;
        }
    }
    if (!in_header_)
        return line_kind::body;
    if (is_continuation(line) && !pending_.empty()) {
        if (pending_.size() + line.size() < limits_.header)
            pending_.append(1, '\n').append(line);
        return line_kind::continuation;
    }
    flush_header();
    if (header_name_length(line) > 0) {
        pending_ = line.substr(0, limits_.header);
        return line_kind::header;
    }
    end_of_header();
    return line_kind::body;
}

} // namespace mta::message
