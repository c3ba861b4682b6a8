#pragma once

#include <array>
#include <cstdio>

#include <mta/core/text.hpp>
#include <mta/queue/size_record.hpp>

namespace mta::queue {

std::string format_size_record(const size_record& fields) {
    std::array<char, 192> text{};
    const int length = std::snprintf(text.data(), text.size(), "%15lld %15lld %15lld %15lld %15lld %15lld",
                                     fields.content_size, fields.data_offset, fields.recipients, fields.hints,
                                     fields.content_length, fields.send_options);
    return {text.data(), static_cast<std::size_t>(length)};
}

result<size_record> parse_size_record(std::string_view data) {
    const auto words = split(data, " ");
    if (words.size() < 3 || words.size() > 6)
        return fail(errc::bad_size_record, "size record with " + std::to_string(words.size()) + " fields");
    std::array<long long, 6> fields{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto value = parse_integer(words[i]);
        if (!value || *value < -1)
            return fail(errc::bad_size_record, "bad size record: " + printable(data));
        fields[i] = *value < 0 ? 0 : *value;
    }
    return size_record{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
}

} // namespace mta::queue
