// The attribute-list codec of the mail system's local sockets: name NUL value NUL pairs, an empty name ends the
// list. Numbers travel in decimal. docs/queue-format.md lists the protocols that use it.
//
// No I/O. attr_reader points into the caller's bytes and is safe on hostile input.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/core/text.hpp>

namespace mta {

class attr_writer {
public:
    // A NUL inside name or value would break the framing: such bytes are dropped.
    attr_writer& put(std::string_view name, std::string_view value) {
        append(name);
        append(value);
        return *this;
    }
    attr_writer& put(std::string_view name, long long value) { return put(name, std::to_string(value)); }

    // The finished list; the writer starts a new one.
    [[nodiscard]] std::string finish() {
        out_ += '\0';
        return std::exchange(out_, {});
    }

private:
    void append(std::string_view text) {
        if (text.find('\0') == std::string_view::npos) {
            out_ += text;
        } else {
            for (const char c : text)
                if (c != '\0')
                    out_ += c;
        }
        out_ += '\0';
    }
    std::string out_;
};

class attr_reader {
public:
    explicit attr_reader(std::string_view bytes) noexcept : bytes_(bytes) {}

    // The next pair, nullopt at the end of the list, errc::truncated when the bytes stop before it.
    [[nodiscard]] result<std::optional<std::pair<std::string_view, std::string_view>>> next() {
        const auto name_end = bytes_.find('\0', at_);
        if (name_end == std::string_view::npos)
            return fail(errc::truncated, "attribute list ends inside a name");
        const auto name = bytes_.substr(at_, name_end - at_);
        if (name.empty()) {
            at_ = name_end + 1;
            return std::nullopt;
        }
        const auto value_end = bytes_.find('\0', name_end + 1);
        if (value_end == std::string_view::npos)
            return fail(errc::truncated, "attribute list ends inside a value");
        at_ = value_end + 1;
        return std::pair(name, bytes_.substr(name_end + 1, value_end - name_end - 1));
    }

    // How many bytes the lists read so far took.
    [[nodiscard]] std::size_t consumed() const noexcept { return at_; }

private:
    std::string_view bytes_;
    std::size_t at_ = 0;
};

// One whole list, in order; names may repeat.
class attr_list {
public:
    // Reads one list from the start of bytes and stores in used (if given) how long it was.
    [[nodiscard]] static result<attr_list> parse(std::string_view bytes, std::size_t* used = nullptr) {
        attr_list list;
        attr_reader reader(bytes);
        for (;;) {
            auto pair = reader.next();
            if (!pair)
                return tl::make_unexpected(pair.error());
            if (!*pair)
                break;
            list.pairs_.emplace_back(std::string((*pair)->first), std::string((*pair)->second));
        }
        if (used != nullptr)
            *used = reader.consumed();
        return list;
    }

    // The first value under name, or nullopt.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const {
        for (const auto& [key, value] : pairs_)
            if (key == name)
                return value;
        return std::nullopt;
    }
    [[nodiscard]] std::string_view get(std::string_view name, std::string_view otherwise = {}) const {
        return find(name).value_or(otherwise);
    }
    [[nodiscard]] long long number(std::string_view name, long long otherwise = 0) const {
        const auto value = find(name);
        return value ? parse_integer(*value).value_or(otherwise) : otherwise;
    }
    [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& pairs() const noexcept { return pairs_; }

private:
    std::vector<std::pair<std::string, std::string>> pairs_;
};

} // namespace mta
