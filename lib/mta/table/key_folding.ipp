#include <algorithm>
#include <iterator>

#include <mta/core/text.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {
namespace {

struct folding_row {
    char32_t from;
    char to[8];
};

constexpr folding_row foldings[] = {
#include <mta/table/case_folding.inc>
};

char32_t code_point(std::string_view bytes) noexcept {
    const auto first = static_cast<unsigned char>(bytes.front());
    char32_t out = bytes.size() == 1 ? first : first & (0x7FU >> bytes.size());
    for (const char c : bytes.substr(1))
        out = out << 6U | (static_cast<unsigned char>(c) & 0x3FU);
    return out;
}

} // namespace

void fold_unicode(std::string_view text, std::string& out) {
    while (!text.empty()) {
        const auto length = std::max<std::size_t>(utf8_length(text), 1);
        const auto letter = text.substr(0, length);
        text.remove_prefix(length);
        if (length == 1) {
            out += to_lower(letter.front());
            continue;
        }
        const auto code = code_point(letter);
        const auto row = std::ranges::lower_bound(foldings, code, {}, &folding_row::from);
        if (row != std::end(foldings) && row->from == code)
            out += row->to;
        else
            out += letter;
    }
}

std::string folded_key(std::string_view key, bool utf8) {
    if (!utf8 || is_ascii(key))
        return lower(key);
    std::string out;
    fold_unicode(key, out);
    return out;
}

std::string_view key_folder::operator()(std::string_view key, bool utf8) {
    if (utf8 && !is_ascii(key)) {
        folded_.clear();
        fold_unicode(key, folded_);
        return folded_;
    }
    folded_.resize(key.size());
    std::ranges::transform(key, folded_.begin(), to_lower);
    return folded_;
}

} // namespace mta::table
