#include <mta/config/expand.hpp>
#include <mta/config/values.hpp>
#include <mta/delivery/forward_paths.hpp>

namespace mta::delivery {
namespace {

class forward_macros final : public config::macro_source {
public:
    explicit forward_macros(const forward_names& names) : names_(names) {}
    std::optional<std::string_view> find(std::string_view name) override {
        struct row {
            std::string_view name;
            std::string forward_names::*value;
        };
        static constexpr row rows[] = {
            {"user", &forward_names::user},           {"home", &forward_names::home},
            {"shell", &forward_names::shell},         {"recipient", &forward_names::recipient},
            {"extension", &forward_names::extension}, {"domain", &forward_names::domain},
            {"local", &forward_names::local},         {"recipient_delimiter", &forward_names::delimiter},
        };
        for (const auto& r : rows)
            if (r.name == name && !(names_.*r.value).empty())
                return names_.*r.value;
        undefined = true;
        return std::nullopt;
    }
    bool undefined = false;

private:
    const forward_names& names_;
};

} // namespace

std::vector<std::string> expand_paths(std::string_view list, const forward_names& names) {
    std::vector<std::string> out;
    for (const auto& word : config::split_list(list)) {
        forward_macros macros(names);
        auto text = config::expand_macros(word, macros, config::values_are::taken_as_is);
        // A plain $name without a value takes its path out; ${name?…} speaks for itself.
        if (text && !text->empty() && (!macros.undefined || word.find('?') != std::string::npos))
            out.push_back(std::move(*text));
    }
    return out;
}

std::optional<std::string> expand_names(std::string_view text, const forward_names& names) {
    forward_macros macros(names);
    auto out = config::expand_macros(text, macros, config::values_are::taken_as_is);
    return out ? std::optional(std::move(*out)) : std::nullopt;
}

} // namespace mta::delivery
