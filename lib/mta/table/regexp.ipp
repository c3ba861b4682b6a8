#include <regex.h>

#include <mta/table/notices.hpp>
#include <mta/table/rule_table.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

class regexp_matcher final : public pattern_matcher {
public:
    // groups: as many as the result refers to.
    static result<std::unique_ptr<regexp_matcher>> compile(const pattern& from, unsigned groups) {
        int flags = REG_ICASE | REG_EXTENDED;
        for (const char flag : from.flags)
            flags ^= flag == 'i' ? REG_ICASE : flag == 'm' ? REG_NEWLINE : REG_EXTENDED;
        if (groups == 0)
            flags |= REG_NOSUB;
        auto out = std::make_unique<regexp_matcher>();
        if (const int code = ::regcomp(&out->expression_, from.text.c_str(), flags); code != 0) {
            char reason[256] = {};
            ::regerror(code, &out->expression_, reason, sizeof reason);
            return fail(errc::malformed, reason);
        }
        out->compiled_ = true;
        out->places_.resize(groups == 0 ? 0 : groups + 1);
        return out;
    }
    regexp_matcher() = default;
    regexp_matcher(const regexp_matcher&) = delete;
    regexp_matcher& operator=(const regexp_matcher&) = delete;
    ~regexp_matcher() override {
        if (compiled_)
            ::regfree(&expression_);
    }

    [[nodiscard]] std::size_t group_count() const noexcept { return expression_.re_nsub; }

    result<bool> matches(std::string_view key, group_places& groups) override {
        const int code = ::regexec(&expression_, key.data(), places_.size(), places_.data(), 0);
        if (code == REG_NOMATCH)
            return false;
        if (code != 0)
            return fail(errc::temporary, "out of memory");
        groups.clear();
        for (const auto& place : places_)
            groups.emplace_back(place.rm_so < 0 ? std::string::npos : static_cast<std::size_t>(place.rm_so),
                                place.rm_so < 0 ? std::string::npos : static_cast<std::size_t>(place.rm_eo));
        return true;
    }

private:
    regex_t expression_{};
    bool compiled_ = false;
    std::vector<regmatch_t> places_;
};

} // namespace

result<table_ptr> open_regexp(const std::string& name, const open_options& options) {
    auto source = read_rules("regexp", name);
    if (!source)
        return tl::make_unexpected(source.error());
    std::vector<rule_table::rule> rules;
    const auto accept = [&](const pattern_rule& from) {
        const auto complain = [&](const std::string& what) {
            warning(rule_place("regexp", name, from.line) + what);
            return false;
        };
        rule_table::rule out;
        auto what = regexp_matcher::compile(from.what, from.highest_group);
        if (!what)
            return complain(what.error().text());
        if (from.highest_group > (*what)->group_count())
            return complain("out of range replacement index \"" + std::to_string(from.highest_group) +
                            "\": skipping this rule");
        if (from.has_unless) {
            auto unless = regexp_matcher::compile(from.unless, 0);
            if (!unless)
                return complain(unless.error().text());
            out.unless = std::move(*unless);
        }
        out.what = std::move(*what);
        rules.push_back(std::move(out));
        return true;
    };
    auto parsed = parse_rules(pattern_dialect::regexp, name, source->text, accept);
    if (options.file_values)
        take_files("regexp", name, parsed);
    for (std::size_t i = 0; i < parsed.size(); ++i)
        rules[i].source = std::move(parsed[i]);
    return std::make_unique<rule_table>(pattern_dialect::regexp, name, std::move(rules), std::move(source->mark));
}

} // namespace mta::table
