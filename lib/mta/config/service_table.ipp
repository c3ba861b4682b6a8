// Bodies of service_table.hpp.
#include <mta/config/service_table.hpp>

#include <algorithm>
#include <utility>

#include <mta/config/main_cf.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

constexpr std::size_t column_count = service_columns.size();
constexpr std::size_t fold_width = 80;

// Words separated by blanks outside of braces; a brace that is never closed takes all the rest.
inline std::vector<std::string> braced_words(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = text.find_first_not_of(white_space, at)) != std::string_view::npos;) {
        const auto start = at;
        for (int depth = 0; at < text.size(); ++at) {
            if (text[at] == '{')
                ++depth;
            else if (text[at] == '}' && depth > 0)
                --depth;
            else if (depth == 0 && white_space.find(text[at]) != std::string_view::npos)
                break;
        }
        out.emplace_back(text.substr(start, at - start));
    }
    return out;
}

// Where the brace that opens a word is closed; npos when it is not.
inline std::size_t closing_brace(std::string_view word) noexcept {
    int depth = 0;
    for (std::size_t i = 0; i < word.size(); ++i) {
        if (word[i] == '{')
            ++depth;
        else if (word[i] == '}' && --depth == 0)
            return i;
    }
    return std::string_view::npos;
}

inline bool has_blanks(std::string_view word) noexcept {
    return word.find_first_of(white_space) != std::string_view::npos;
}

// Whether the word takes the next one as its value. A lone "-" does so in the reference.
inline bool wants_value(std::string_view word) noexcept {
    return word == "-" || (word.size() > 1 && word[0] == '-' && word[1] == 'o');
}

// "-vo" is "-v -o", "-oname=value" is "-o name=value".
inline void split_options(std::vector<std::string>& words, std::size_t at) {
    const std::string word = words[at];
    if (word.starts_with("--")) // taken apart it would read as the end of options
        return;
    const auto next = words.begin() + static_cast<std::ptrdiff_t>(at) + 1;
    const auto letter = word.find('o', 1);
    if (letter == 1 && word.size() > 2) {
        words.insert(next, word.substr(2));
        words[at] = "-o";
    } else if (letter != 1 && letter != std::string::npos) {
        words.insert(next, "-" + word.substr(letter));
        words[at] = word.substr(0, letter);
    }
}

// Brings options and arguments into their plain form and collects the settings.
inline void normalise(service_entry& entry) {
    auto& words = entry.words;
    const auto strip = [&](std::string& word) {
        if (!word.starts_with('{'))
            return;
        if (auto trouble = brace_trouble(word); !trouble.empty())
            entry.troubles.push_back(std::move(trouble));
        word = std::string(braced_text(word));
    };
    entry.settings.clear();
    std::size_t i = column_count;
    for (; i < words.size(); ++i) {
        const bool braced = words[i].starts_with('{');
        strip(words[i]);
        if (!words[i].starts_with('-') || words[i] == "--")
            break;
        if (!braced)
            split_options(words, i);
        if (!wants_value(words[i]) || i + 1 == words.size())
            continue;
        auto& value = words[++i];
        const bool braced_value = value.starts_with('{');
        strip(value);
        if (words[i - 1] == "-")
            continue;
        if (const auto setting = split_name_value(value)) {
            entry.settings.emplace_back(setting->name, setting->value);
            value = entry.settings.back().first + "=" + entry.settings.back().second;
        } else if (braced_value) {
            entry.troubles.push_back(setting.error().detail);
        }
    }
    for (; i < words.size(); ++i)
        strip(words[i]);
}

inline bool is_count(std::string_view word) noexcept {
    return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

// Only what makes a line unreadable; master.hpp checks the values for the daemon.
inline bool good_column(std::size_t column, std::string_view value) noexcept {
    constexpr std::array<std::string_view, 5> types{"inet", "unix", "fifo", "pass", "unix-dgram"};
    switch (column) {
    case 1:
        return std::find(types.begin(), types.end(), value) != types.end();
    case 2:
    case 3:
    case 4:
        return value == "-" || value == "y" || value == "n";
    case 5:
        if (value.size() > 1 && value.ends_with('?'))
            value.remove_suffix(1);
        return value == "-" || is_count(value);
    case 6:
        return value == "-" || is_count(value);
    default:
        return true;
    }
}

inline result<void> check_columns(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i < column_count; ++i)
        if (!good_column(i, words[i]))
            return fail(errc::malformed, "invalid " + std::string(service_columns[i]) + " field \"" + words[i] +
                                             "\" in \"" + join(words, " ") + '"');
    return {};
}

// A word that holds blanks needs its braces back.
inline std::string with_braces(const std::string& word) {
    return has_blanks(word) ? "{" + word + "}" : word;
}

// Writes the words behind the columns.
class argument_writer {
public:
    argument_writer(std::string& out, std::size_t width, service_layout layout)
        : out_(out), width_(width), fold_(layout == service_layout::folded) {}

    void write(const std::vector<std::string>& words) {
        bool options = true;
        for (std::size_t i = column_count; i < words.size(); ++i) {
            const auto& word = words[i];
            const bool ends_options = options && (!word.starts_with('-') || word == "--");
            if (options && !ends_options && wants_value(word) && i + 1 < words.size()) {
                line();
                put(word);
                put(with_braces(words[++i]));
                wrapped_ = true;
                continue;
            }
            if (std::exchange(wrapped_, false))
                line();
            put_folded(with_braces(word));
            options = options && !ends_options;
        }
    }

private:
    void line() {
        if (!fold_)
            return;
        out_ += "\n   ";
        width_ = 3;
    }
    void put(const std::string& word) {
        out_ += ' ';
        out_ += word;
        width_ += 1 + word.size();
    }
    void put_folded(const std::string& word) {
        if (width_ + 1 + word.size() >= fold_width)
            line();
        put(word);
    }

    std::string& out_;
    std::size_t width_;
    bool fold_;
    bool wrapped_ = false; // an -o has its own line: what follows begins another
};

} // namespace detail

std::string_view braced_text(std::string_view word) noexcept {
    const auto end = detail::closing_brace(word);
    if (end != std::string_view::npos)
        return trim(word.substr(1, end - 1));
    word.remove_prefix(1);
    return word.substr(std::min(word.find_first_not_of(white_space), word.size()));
}

std::string brace_trouble(std::string_view word) {
    const auto end = detail::closing_brace(word);
    if (end == std::string_view::npos)
        return "missing '}' in \"" + std::string(word) + '"';
    return end + 1 < word.size() ? "syntax error after '}' in \"" + std::string(word) + '"' : std::string();
}

result<service_entry> read_service(std::string_view text) {
    service_entry out;
    out.words = detail::braced_words(text);
    if (out.words.size() < detail::column_count)
        return fail(errc::malformed, "bad field count: \"" + std::string(text) + '"');
    if (auto done = detail::check_columns(out.words); !done)
        return tl::make_unexpected(done.error());
    detail::normalise(out);
    return out;
}

result<std::vector<service_entry>> read_services(std::string_view text, std::string_view path) {
    std::vector<service_entry> out;
    logical_line line;
    std::size_t at = 0;
    for (int number = 0; next_logical_line(text, at, number, line);) {
        if (begins_blank(line))
            continue;
        auto entry = read_service(line.text);
        if (!entry) {
            const std::string_view why = entry.error().detail;
            const bool count = why.starts_with("bad field count");
            return fail(errc::malformed, "file " + std::string(path) + ": line " + std::to_string(line.first) + ": " +
                                             std::string(count ? "bad field count" : why));
        }
        entry->file = path;
        entry->line = line.first;
        entry->begin = line.begin;
        entry->end = line.end;
        out.push_back(std::move(*entry));
    }
    return out;
}

void set_parameter(service_entry& entry, const std::string& name, const std::string& value) {
    const auto setting = name + "=" + value;
    auto& words = entry.words;
    std::size_t place = detail::column_count;
    bool found = false;
    for (std::size_t i = detail::column_count; i < words.size() && words[i].starts_with('-') && words[i] != "--"; ++i) {
        const bool pair = detail::wants_value(words[i]) && i + 1 < words.size();
        if (pair && words[i + 1].starts_with(name + "=")) {
            words[i + 1] = setting;
            found = true;
        }
        i += pair ? 1 : 0;
        place = i + 1;
    }
    if (!found) {
        const auto at = words.begin() + static_cast<std::ptrdiff_t>(place);
        words.insert(words.insert(at, setting), "-o");
    }
    entry.settings.emplace_back(name, value);
}

bool remove_parameter(service_entry& entry, std::string_view name) {
    auto& words = entry.words;
    bool removed = false;
    for (std::size_t i = detail::column_count; i < words.size() && words[i].starts_with('-') && words[i] != "--";) {
        const bool pair = detail::wants_value(words[i]) && i + 1 < words.size();
        if (pair && words[i + 1].starts_with(std::string(name) + "=")) {
            const auto at = words.begin() + static_cast<std::ptrdiff_t>(i);
            words.erase(at, at + 2);
            removed = true;
            continue;
        }
        i += pair ? 2 : 1;
    }
    std::erase_if(entry.settings, [&](const auto& setting) { return setting.first == name; });
    return removed;
}

void replace_values(service_entry& entry, const std::function<std::string(std::string_view)>& change) {
    auto& words = entry.words;
    entry.settings.clear();
    for (std::size_t i = detail::column_count; i < words.size() && words[i].starts_with('-') && words[i] != "--"; ++i) {
        if (!detail::wants_value(words[i]) || i + 1 == words.size())
            continue;
        const bool setting = words[i] != "-";
        const std::string word = words[++i];
        const auto parts = split_name_value(word);
        if (!setting || !parts)
            continue;
        entry.settings.emplace_back(parts->name, change(parts->value));
        words[i] = entry.settings.back().first + "=" + entry.settings.back().second;
    }
}

result<void> check_column(std::size_t column, std::string_view value) {
    if (trim(value).empty())
        return fail(errc::malformed,
                    "a field of master.cf cannot be empty: " + std::string(service_columns[column]) + " (\"-\" is the default)");
    if (!detail::good_column(column, value))
        return fail(errc::malformed, "invalid " + std::string(service_columns[column]) + " field \"" +
                                         std::string(value) + "\" in \"" + std::string(value) + '"');
    return {};
}

result<void> set_column(service_entry& entry, std::size_t column, std::string_view value) {
    if (auto good = check_column(column, value); !good)
        return good;
    if (column + 1 == detail::column_count) {
        entry.words.resize(column);
        for (auto& word : detail::braced_words(value))
            entry.words.push_back(std::move(word));
    } else {
        entry.words[column] = value;
    }
    detail::normalise(entry);
    return {};
}

std::string format_service(const service_entry& entry, service_layout layout) {
    constexpr std::array<std::size_t, detail::column_count> starts{0, 11, 17, 25, 33, 41, 49, 57};
    std::string out;
    for (std::size_t i = 0; i < starts.size(); ++i) {
        if (i > 0)
            out.append(out.size() < starts[i] ? starts[i] - out.size() : 1, ' ');
        out += entry.words[i];
    }
    detail::argument_writer(out, out.size(), layout).write(entry.words);
    return out;
}

std::string format_command(const service_entry& entry) {
    auto out = entry.program();
    detail::argument_writer(out, 0, service_layout::one_line).write(entry.words);
    return out;
}

} // namespace mta::config
