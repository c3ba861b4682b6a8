#pragma once

#include <algorithm>
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
    std::array<long long, 6> fields{};
    std::size_t count = 0;
    for (auto rest = data; (rest = rest.substr(std::min(rest.find_first_not_of(' '), rest.size()))).size() > 0; ++count) {
        const auto word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(word.size());
        if (count >= fields.size())
            continue;
        const auto value = parse_integer(word);
        if (!value || *value < -1)
            return fail(errc::bad_size_record, "bad size record: " + printable(data));
        fields[count] = *value < 0 ? 0 : *value;
    }
    if (count < 3 || count > fields.size())
        return fail(errc::bad_size_record, "size record with " + std::to_string(count) + " fields");
    return size_record{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
}

} // namespace mta::queue
