// Bodies of master.hpp.
#include <mta/config/master.hpp>

#include <algorithm>
#include <iterator>

#include <mta/config/file_snapshot.hpp>
#include <mta/config/legacy_default.hpp>
#include <mta/config/main_cf.hpp>
#include <mta/config/pieces.hpp>
#include <mta/config/values.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

// The words of a line; {…} is one word, given without its outer braces when it is an argument.
inline std::vector<std::string> master_words(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = text.find_first_not_of(white_space, at)) != std::string_view::npos;) {
        const auto start = at;
        if (text[at] == '{') {
            int depth = 0;
            for (; at < text.size(); ++at) {
                if (text[at] == '{')
                    ++depth;
                else if (text[at] == '}' && --depth == 0)
                    break;
            }
            out.emplace_back(text.substr(start, std::min(at + 1, text.size()) - start));
            at = std::min(at + 1, text.size());
        } else {
            at = std::min(text.find_first_of(white_space, at), text.size());
            out.emplace_back(text.substr(start, at - start));
        }
    }
    return out;
}

inline bool braced_word(const std::string& word) {
    return word.size() >= 2 && word.front() == '{' && word.back() == '}';
}

inline std::string without_braces(const std::string& word) {
    return braced_word(word) ? std::string(trim(std::string_view(word).substr(1, word.size() - 2))) : word;
}

class master_reader {
public:
    master_reader(std::string_view path, const configuration& cfg) : path_(path), cfg_(cfg) {}

    result<service_line> line(const logical_line& source) {
        where_ = "file " + std::string(path_) + ": line " + std::to_string(source.first) + ": ";
        auto words = master_words(source.text);
        if (words.size() < 8)
            return fail(errc::malformed, where_ + "bad field count");
        text_ = join(words, " ");
        service_line out;
        out.line = source.first;
        out.fields.assign(words.begin(), words.begin() + 8);
        out.name = words[0];
        out.program = words[7];
        if (auto done = columns(out); !done)
            return tl::make_unexpected(done.error());
        if (auto done = arguments({words.begin() + 8, words.end()}, out); !done)
            return tl::make_unexpected(done.error());
        return out;
    }

private:
    failure invalid(std::string_view field, const std::string& value) {
        return fail(errc::malformed,
                    where_ + "invalid " + std::string(field) + " field \"" + value + "\" in \"" + text_ + '"');
    }

    static std::optional<bool> yes_no(const std::string& word, bool standard) {
        return word == "-" ? standard : word == "y" ? true : word == "n" ? std::optional(false) : std::nullopt;
    }

    static std::optional<int> number(std::string_view word, int standard) {
        if (word == "-")
            return standard;
        const auto value = parse_integer(word);
        if (!value || word.front() < '0' || word.front() > '9' || *value > 2147483647)
            return std::nullopt;
        return static_cast<int>(*value);
    }

    result<void> columns(service_line& out) {
        const auto& words = out.fields;
        bool known = false;
        for (const auto type : {service_type::inet, service_type::local, service_type::fifo, service_type::pass,
                                service_type::local_datagram})
            if (words[1] == to_string(type)) {
                out.type = type;
                known = true;
            }
        if (!known)
            return invalid("type", words[1]);
        const auto priv = yes_no(words[2], out.type != service_type::inet);
        if (!priv)
            return invalid("private", words[2]);
        const auto unpriv = yes_no(words[3], true);
        if (!unpriv)
            return invalid("unprivileged", words[3]);
        const auto chroot = yes_no(words[4], chroot_default());
        if (!chroot)
            return invalid("chroot", words[4]);
        std::string_view wakeup = words[5];
        if (wakeup.size() > 1 && wakeup.ends_with('?')) {
            out.wakeup_if_used = true;
            wakeup.remove_suffix(1);
        }
        const auto seconds = number(wakeup, 0);
        if (!seconds)
            return invalid("wakeup", words[5]);
        const auto limit = number(words[6], -1);
        if (!limit)
            return invalid("process_limit", words[6]);
        out.priv = *priv && out.type != service_type::inet; // a network socket cannot be hidden
        out.unpriv = *unpriv;
        out.chroot = *chroot;
        out.chroot_by_default = words[4] == "-" && *chroot;
        out.wakeup = *seconds;
        out.maxproc = *limit;
        return {};
    }

    [[nodiscard]] bool chroot_default() const {
        return below_level(cfg_, "1");
    }

    // Options before the first operand; what stands behind (pipe's flags=, argv=) is the program's.
    result<void> arguments(std::vector<std::string> words, service_line& out) {
        bool operands = false;
        for (std::size_t i = 0; i < words.size(); ++i) {
            const auto& word = words[i];
            operands = operands || word.size() < 2 || word.front() != '-';
            const bool option_o = !operands && word.size() >= 2 && word[1] == 'o';
            if (!option_o) {
                out.args.push_back(without_braces(word));
                continue;
            }
            std::string value = without_braces(word.substr(2));
            out.args.push_back("-o");
            if (word.size() == 2) {
                if (i + 1 == words.size())
                    return fail(errc::malformed, where_ + "option -o requires an argument: " + text_);
                value = without_braces(words[++i]);
            }
            const auto setting = split_name_value(value);
            if (!setting)
                return fail(errc::malformed, where_ + setting.error().detail);
            out.settings.emplace_back(setting->name, setting->value);
            out.args.push_back(std::string(setting->name) + "=" + std::string(setting->value));
        }
        return {};
    }

    std::string_view path_;
    const configuration& cfg_;
    std::string where_;
    std::string text_;
};

} // namespace detail

std::string_view to_string(service_type type) noexcept {
    switch (type) {
    case service_type::inet:
        return "inet";
    case service_type::local:
        return "unix";
    case service_type::fifo:
        return "fifo";
    case service_type::pass:
        return "pass";
    case service_type::local_datagram:
        return "unix-dgram";
    }
    return "";
}

result<std::vector<service_line>> parse_master(std::string_view text, std::string_view path, const configuration& cfg) {
    std::vector<service_line> out;
    detail::master_reader reader(path, cfg);
    logical_line line;
    std::size_t at = 0;
    for (int number = 0; next_logical_line(text, at, number, line);) {
        if (begins_blank(line))
            continue;
        auto entry = reader.line(line);
        if (!entry)
            return tl::make_unexpected(entry.error());
        out.push_back(std::move(*entry));
    }
    return out;
}

result<std::vector<service_line>> load_master(const configuration& cfg) {
    std::vector<service_line> out;
    const auto paths = master_files(cfg);
    if (!paths)
        return tl::make_unexpected(paths.error());
    for (const auto& path : *paths) {
        const auto text = read_configuration_file(path);
        if (!text)
            return tl::make_unexpected(text.error());
        auto lines = parse_master(*text, path, cfg);
        if (!lines)
            return lines;
        out.insert(out.end(), std::make_move_iterator(lines->begin()), std::make_move_iterator(lines->end()));
    }
    return out;
}

result<std::vector<std::string>> master_files(const configuration& cfg) {
    std::vector<std::string> out{cfg.directory() + "/master.cf"};
    auto pieces = piece_files(cfg, cfg[param::mtad_master_cf_directory]);
    if (!pieces)
        return pieces;
    out.insert(out.end(), pieces->begin(), pieces->end());
    return out;
}

} // namespace mta::config
