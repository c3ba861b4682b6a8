#include <algorithm>

#include <mta/core/text.hpp>
#include <mta/table/query_template.hpp>

namespace mta::table {
namespace {

// Whether the part that a letter stands for is missing from the address.
bool lacks(char what, const template_input& of) {
    switch (to_lower(what)) {
    case 'u':
        return of.user.empty();
    case 'd':
        return of.domain.empty();
    default:
        return what >= '1' && what <= '9' && split(of.domain, ".").size() < static_cast<std::size_t>(what - '0');
    }
}

std::string_view part(char what, const template_input& of) {
    switch (to_lower(what)) {
    case 's':
        return of.whole;
    case 'u':
        return of.user;
    case 'd':
        return of.domain;
    default: {
        const auto labels = split(of.domain, ".");
        return labels[labels.size() - static_cast<std::size_t>(what - '0')];
    }
    }
}

bool of_value(char what) { return what == 's' || what == 'u' || what == 'd'; }

} // namespace

result<query_template> query_template::parse(std::string_view text, std::string_view title, std::string_view where) {
    constexpr std::string_view letters = "sudSUD123456789";
    query_template out;
    const auto add_text = [&](std::string_view more) {
        if (out.pieces_.empty() || out.pieces_.back().what != 0)
            out.pieces_.push_back({0, {}});
        out.pieces_.back().text += more;
    };
    for (std::size_t at = 0; at < text.size();) {
        const auto percent = std::min(text.find('%', at), text.size());
        if (percent > at)
            add_text(text.substr(at, percent - at));
        at = percent + 2;
        if (percent == text.size())
            break;
        const char what = percent + 1 < text.size() ? text[percent + 1] : '\0';
        if (what == '%')
            add_text("%");
        else if (what != '\0' && letters.find(what) != std::string_view::npos)
            out.pieces_.push_back({what, {}});
        else
            return fail(errc::malformed, std::string(where) + ": invalid " + std::string(title) + " template \"" +
                                             std::string(text) + "\": after % comes one of %sudSUD or 1 to 9");
    }
    return out;
}

std::optional<std::string> query_template::fill(const template_input& key, const template_input& value,
                                                const quote& quoted) const {
    for (const auto& one : pieces_)
        if (one.what != 0 && lacks(one.what, of_value(one.what) ? value : key))
            return std::nullopt;
    std::string out;
    for (const auto& one : pieces_) {
        if (one.what == 0)
            out += one.text;
        else
            quoted(out, part(one.what, of_value(one.what) ? value : key));
    }
    return out;
}

std::optional<std::string> query_template::expand(std::string_view key, const quote& quoted) const {
    const template_input input(key);
    return fill(input, input, quoted);
}

std::optional<std::string> query_template::expand(std::string_view key, std::string_view value) const {
    return fill(template_input(key), template_input(value),
                [](std::string& out, std::string_view bytes) { out += bytes; });
}

bool query_template::accepts_key(std::string_view key) const {
    const template_input input(key);
    return std::ranges::none_of(pieces_, [&](const piece& one) {
        return one.what != 0 && !of_value(one.what) && lacks(one.what, input);
    });
}

} // namespace mta::table
