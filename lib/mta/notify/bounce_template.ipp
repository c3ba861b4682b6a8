// Bodies of bounce_template.hpp.
#include <mta/notify/bounce_template.hpp>

#include <algorithm>

#include <mta/config/expand.hpp>
#include <mta/config/main_cf.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

namespace mta::notify {
namespace detail {

struct time_unit {
    std::string_view suffix;
    long long seconds;
};
constexpr time_unit time_units[] = {
    {"_seconds", 1}, {"_minutes", 60}, {"_hours", 3600}, {"_days", 86400}, {"_weeks", 604800},
};

inline std::string quoted(std::string_view text) {
    return '"' + std::string(text) + '"';
}

// One template's lines, in parts. A complaint says why the template cannot be used.
class template_reader {
public:
    template_reader(const bounce_template& standard, std::string_view path) : out_(standard), path_(path) {}

    // Empty when the template is good.
    std::string read(const std::vector<std::string>& lines) {
        std::size_t at = 0;
        while (at < lines.size() && is_header(lines[at]))
            if (auto complaint = header(lines[at++]); !complaint.empty())
                return complaint;
        if (at < lines.size() && trim(lines[at]).empty())
            ++at;
        if (at == lines.size())
            return path_ + ": missing message text in " + out_.name + " template -- ignoring this template";
        out_.text.assign(lines.begin() + static_cast<std::ptrdiff_t>(at), lines.end());
        const bool plain = std::all_of(out_.text.begin(), out_.text.end(), is_ascii);
        if (!plain && iequals(out_.charset, "us-ascii"))
            return path_ + ": 8-bit message text in " + out_.name + " template\n" +
                   "please specify a charset value other than us-ascii\n-- ignoring this template for now";
        return {};
    }

    [[nodiscard]] const bounce_template& result() const { return out_; }

private:
    static bool is_header(std::string_view line) {
        const auto colon = line.find(':');
        return colon != std::string_view::npos && colon != 0 &&
               std::none_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon),
                            [](char c) { return c <= ' ' || c >= 127; });
    }

    std::string header(std::string_view line) {
        const auto colon = line.find(':');
        const auto label = line.substr(0, colon);
        const auto value = trim(line.substr(colon + 1));
        const auto complain = [&](std::string_view what, std::string_view part) {
            return path_ + ": " + std::string(what) + ' ' + quoted(label) + ' ' + std::string(part) + " in " +
                   out_.name + " template -- ignoring this template";
        };
        std::string* place = iequals(label, "charset")              ? &out_.charset
                             : iequals(label, "from")               ? &out_.from
                             : iequals(label, "subject")            ? &out_.subject
                             : iequals(label, "postmaster-subject") ? &out_.postmaster_subject
                                                                    : nullptr;
        if (place == nullptr)
            return complain("unknown", "header label");
        if (place == &out_.postmaster_subject && out_.postmaster_subject.empty())
            return complain("inapplicable", "header label");
        if (value.empty())
            return complain("empty", "header value");
        if (!is_ascii(value))
            return complain("non-ASCII", "header value");
        *place = value;
        return {};
    }

    bounce_template out_;
    std::string path_;
};

// Values of main.cf; a time parameter also in another unit.
class template_names final : public config::macro_source {
public:
    explicit template_names(const config::configuration& cfg) : cfg_(cfg) {}

    std::optional<std::string_view> find(std::string_view name) override {
        for (const auto& unit : time_units)
            if (name.ends_with(unit.suffix))
                if (const auto time = in_unit(name.substr(0, name.size() - unit.suffix.size()), unit.seconds)) {
                    value_ = *time;
                    return value_;
                }
        if (!cfg_.unexpanded(name)) {
            unknown_ = name;
            return std::nullopt;
        }
        value_ = cfg_.text(name);
        return value_;
    }

    [[nodiscard]] const std::string& unknown() const { return unknown_; }

private:
    [[nodiscard]] std::optional<std::string> in_unit(std::string_view name, long long seconds) const {
        if (name != "delay_warning_time" && name != "maximal_queue_lifetime")
            return std::nullopt;
        const auto time = cfg_.time(name);
        return time ? std::optional(std::to_string(time->count() / seconds)) : std::nullopt;
    }

    const config::configuration& cfg_;
    std::string value_;
    std::string unknown_;
};

// The lines of one entry, of which a "<<MARK" value takes those up to MARK.
class template_file {
public:
    template_file(std::string_view text, std::string_view path) : text_(text), path_(path) {}

    // False at the end. A value without << is the only line.
    [[nodiscard]] mta::result<bool> next(std::string& name, std::vector<std::string>& lines,
                                         std::vector<std::string>& warnings) {
        lines.clear();
        std::string_view line;
        do {
            if (at_ >= text_.size())
                return false;
            line = take_line();
        } while (trim(line).empty() || trim(line).starts_with('#'));
        const auto setting = config::split_name_value(line);
        if (!setting)
            return fail(errc::malformed, where() + setting.error().detail);
        name = setting->name;
        if (!setting->value.starts_with("<<")) {
            lines.emplace_back(setting->value);
            return true;
        }
        const auto mark = trim(setting->value.substr(2));
        while (at_ < text_.size()) {
            const auto body = take_line();
            if (body == mark)
                return true;
            lines.emplace_back(body);
        }
        warnings.push_back(where() + "missing " + quoted(mark) + " end marker");
        return true;
    }

    [[nodiscard]] std::string where() const { return std::string(path_) + ", line " + std::to_string(line_) + ": "; }

private:
    std::string_view take_line() {
        const auto end = std::min(text_.find('\n', at_), text_.size());
        auto line = text_.substr(at_, end - at_);
        at_ = std::min(end + 1, text_.size());
        ++line_;
        return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
    }

    std::string_view text_;
    std::string_view path_;
    std::size_t at_ = 0;
    int line_ = 0;
};

} // namespace detail

const bounce_templates& standard_templates() {
    static const bounce_templates out{{
        {"failure", "us-ascii", "Mail Delivery System <MAILER-DAEMON>", "Undelivered Mail Returned to Sender",
         "Postmaster Copy: Undelivered Mail",
         {"This is the mail system at host $myhostname.", "",
          "Your message could not be delivered to the recipients below, and no further",
          "attempt will be made. The message, or its header, is attached.", "",
          "If you need help, please write to postmaster and include this report.", "",
          "                   The mail system"}},
        {"delay", "us-ascii", "Mail Delivery System <MAILER-DAEMON>", "Delayed Mail (still being retried)",
         "Postmaster Warning: Delayed Mail",
         {"This is the mail system at host $myhostname.", "",
          "THIS IS ONLY A WARNING. You do not need to send your message again.", "",
          "For $delay_warning_time_hours hour(s) now your message could not be delivered to the",
          "recipients below. Further attempts will be made until it is $maximal_queue_lifetime_days day(s) old.", "",
          "If you need help, please write to postmaster and include this report.", "",
          "                   The mail system"}},
        {"success", "us-ascii", "Mail Delivery System <MAILER-DAEMON>", "Successful Mail Delivery Report", "",
         {"This is the mail system at host $myhostname.", "",
          "Your message was delivered to the recipients below. Where it was handed to a",
          "system that sends no such reports, this is the last you hear of it.", "",
          "                   The mail system"}},
        {"verify", "us-ascii", "Mail Delivery System <MAILER-DAEMON>", "Mail Delivery Status Report", "",
         {"This is the mail system at host $myhostname.", "",
          "Below is the report about mail delivery that you asked for.", "", "                   The mail system"}},
    }};
    return out;
}

result<bounce_templates> parse_templates(std::string_view text, std::string_view path,
                                         std::vector<std::string>& warnings) {
    auto out = standard_templates();
    detail::template_file file(text, path);
    std::array<std::vector<std::string>, 4> texts; // of several templates with one name the last counts
    std::string name;
    std::vector<std::string> lines;
    for (;;) {
        const auto more = file.next(name, lines, warnings);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more)
            break;
        const auto place = std::find_if(out.begin(), out.end(),
                                        [&](const bounce_template& one) { return one.name + "_template" == name; });
        if (place == out.end())
            warnings.push_back(file.where() + "unknown template name: " + name + " -- ignoring this template");
        else
            texts[static_cast<std::size_t>(place - out.begin())] = lines;
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (texts[i].empty())
            continue;
        detail::template_reader reader(out[i], path);
        const auto complaint = reader.read(texts[i]);
        if (complaint.empty())
            out[i] = reader.result();
        for (auto& line : split_copy(complaint, "\n"))
            warnings.push_back(std::move(line));
    }
    return out;
}

std::string format_template(const bounce_template& from) {
    auto out = "Charset: " + from.charset + "\nFrom: " + from.from + "\nSubject: " + from.subject + '\n';
    if (!from.postmaster_subject.empty())
        out += "Postmaster-Subject: " + from.postmaster_subject + '\n';
    out += '\n';
    for (const auto& line : from.text)
        out += line + '\n';
    return out;
}

result<std::vector<std::string>> expand_text(const bounce_template& from, const config::configuration& cfg) {
    std::vector<std::string> out;
    for (const auto& line : from.text) {
        detail::template_names names(cfg);
        auto expanded = config::expand_macros(line, names, config::values_are::taken_as_is);
        if (!expanded)
            return fail(errc::malformed, expanded.error().detail + "\nbad $name syntax in " + from.name +
                                             " template: " + line);
        if (!names.unknown().empty())
            return fail(errc::malformed, "undefined $name in " + from.name + " template: " + line);
        out.push_back(std::move(*expanded));
    }
    return out;
}

} // namespace mta::notify
