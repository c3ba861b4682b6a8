#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <mta/table/notices.hpp>
#include <mta/table/rule_table.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

// A pattern that backtracks more is a mistake or an attack; the library's own limit (ten times that) takes a second.
constexpr std::uint32_t match_limit = 1'000'000;
// Matches before a pattern is worth a JIT compilation.
constexpr int worth_compiling = 3;

struct pcre_deleter {
    void operator()(pcre2_code* code) const { ::pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { ::pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { ::pcre2_match_context_free(context); }
};

std::string pcre_message(int code) {
    unsigned char text[256] = {};
    ::pcre2_get_error_message(code, text, sizeof text);
    return reinterpret_cast<const char*>(text);
}

// What all patterns of a table use in turn.
struct pcre_workspace {
    std::unique_ptr<pcre2_match_data, pcre_deleter> data;
    std::unique_ptr<pcre2_match_context, pcre_deleter> context;
};

class pcre_matcher final : public pattern_matcher {
public:
    static result<std::unique_ptr<pcre_matcher>> compile(const pattern& from, unsigned groups) {
        std::uint32_t options = PCRE2_CASELESS | PCRE2_DOTALL;
        for (const char flag : from.flags)
            options ^= option(flag);
        int code = 0;
        PCRE2_SIZE offset = 0;
        auto out = std::make_unique<pcre_matcher>();
        out->code_.reset(::pcre2_compile(reinterpret_cast<PCRE2_SPTR>(from.text.data()), from.text.size(), options,
                                         &code, &offset, nullptr));
        if (!out->code_)
            return fail(errc::malformed, "error in regex at offset " + std::to_string(offset) + ": " + pcre_message(code));
        ::pcre2_pattern_info(out->code_.get(), PCRE2_INFO_CAPTURECOUNT, &out->group_count_);
        out->wanted_ = groups == 0 ? 0 : groups + 1;
        return out;
    }
    void use(std::shared_ptr<pcre_workspace> shared) { shared_ = std::move(shared); }
    [[nodiscard]] std::uint32_t group_count() const noexcept { return group_count_; }

    result<bool> matches(std::string_view key, group_places& groups) override {
        if (tried_ < worth_compiling && ++tried_ == worth_compiling)
            (void)::pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE); // without it the interpreter does
        const int code = ::pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(key.data()), key.size(), 0, 0,
                                       shared_->data.get(), shared_->context.get());
        if (code == PCRE2_ERROR_NOMATCH)
            return false;
        if (code < 0)
            return fail(errc::temporary, pcre_message(code));
        groups.clear();
        const auto* places = ::pcre2_get_ovector_pointer(shared_->data.get());
        for (unsigned i = 0; i < wanted_; ++i) {
            const bool unset = i >= static_cast<unsigned>(code) || places[2 * i] == PCRE2_UNSET;
            groups.emplace_back(unset ? std::string::npos : places[2 * i], unset ? std::string::npos : places[2 * i + 1]);
        }
        return true;
    }

private:
    static std::uint32_t option(char flag) noexcept {
        switch (flag) {
        case 'i':
            return PCRE2_CASELESS;
        case 'm':
            return PCRE2_MULTILINE;
        case 's':
            return PCRE2_DOTALL;
        case 'x':
            return PCRE2_EXTENDED;
        case 'A':
            return PCRE2_ANCHORED;
        case 'E':
            return PCRE2_DOLLAR_ENDONLY;
        default:
            return PCRE2_UNGREEDY;
        }
    }

    std::unique_ptr<pcre2_code, pcre_deleter> code_;
    std::shared_ptr<pcre_workspace> shared_;
    std::uint32_t group_count_ = 0;
    unsigned wanted_ = 0;
    int tried_ = 0;
};

} // namespace

result<table_ptr> open_pcre(const std::string& name, const open_options& options) {
    auto source = read_rules("pcre", name);
    if (!source)
        return tl::make_unexpected(source.error());
    auto shared = std::make_shared<pcre_workspace>();
    std::vector<rule_table::rule> rules;
    std::uint32_t most_groups = 0;
    const auto accept = [&](const pattern_rule& from) {
        auto what = pcre_matcher::compile(from.what, from.highest_group);
        std::string trouble;
        if (!what)
            trouble = what.error().text();
        else if (from.highest_group > (*what)->group_count())
            trouble = "out of range replacement index \"" + std::to_string(from.highest_group) + "\": skipping this rule";
        if (!trouble.empty()) {
            warning(rule_place("pcre", name, from.line) + trouble);
            return false;
        }
        most_groups = std::max(most_groups, from.highest_group);
        (*what)->use(shared);
        rules.push_back({{}, std::move(*what), nullptr});
        return true;
    };
    auto parsed = parse_rules(pattern_dialect::pcre, name, source->text, accept);
    if (options.file_values)
        take_files("pcre", name, parsed);
    for (std::size_t i = 0; i < parsed.size(); ++i)
        rules[i].source = std::move(parsed[i]);
    shared->data.reset(::pcre2_match_data_create(most_groups + 1, nullptr));
    shared->context.reset(::pcre2_match_context_create(nullptr));
    if (!shared->data || !shared->context)
        return fail(errc::temporary, "pcre map " + name + ": out of memory");
    ::pcre2_set_match_limit(shared->context.get(), match_limit);
    return std::make_unique<rule_table>(pattern_dialect::pcre, name, std::move(rules), std::move(source->mark));
}

} // namespace mta::table
