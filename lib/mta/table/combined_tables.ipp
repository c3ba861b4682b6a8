// Tables made of tables: unionmap (all answers, joined by commas), pipemap (the answer is the next one's key), and
// randmap (one of some values).
#include <algorithm>
#include <random>

#include <mta/core/text.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/braces.hpp>
#include <mta/table/function_table.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

class combined_table : public lookup_table {
public:
    combined_table(std::string name, std::vector<table_ptr> parts, const open_options& options)
        : lookup_table(std::move(name), traits_of(parts)), parts_(std::move(parts)), fold_(options.fold_case),
          utf8_(options.utf8) {}

    [[nodiscard]] bool changed() const override {
        return std::ranges::any_of(parts_, [](const auto& part) { return part->changed(); });
    }

protected:
    [[nodiscard]] const std::vector<table_ptr>& parts() const noexcept { return parts_; }
    // Each part has its own idea of upper and lower case.
    [[nodiscard]] result<std::optional<std::string>> ask(lookup_table& part, std::string_view key) const {
        return fold_ && !part.traits().exact_keys() ? part.lookup(folded_key(key, utf8_ && is_utf8(key))) : part.lookup(key);
    }

private:
    static table::traits traits_of(const std::vector<table_ptr>& parts) {
        table::traits out;
        for (const auto& part : parts) {
            out.patterns = out.patterns || part->traits().patterns;
            out.may_block = out.may_block || part->traits().may_block;
        }
        out.folds = false; // done for each part
        return out;
    }

    std::vector<table_ptr> parts_;
    bool fold_;
    bool utf8_;
};

class union_table final : public combined_table {
public:
    using combined_table::combined_table;
    result<std::optional<std::string>> lookup(std::string_view key) override {
        std::optional<std::string> out;
        for (const auto& part : parts()) {
            auto found = ask(*part, key);
            if (!found)
                return found;
            if (*found)
                out = out ? *out + "," + **found : **found;
        }
        return out;
    }
};

class pipe_table final : public combined_table {
public:
    using combined_table::combined_table;
    result<std::optional<std::string>> lookup(std::string_view key) override {
        std::string next(key);
        for (const auto& part : parts()) {
            auto found = ask(*part, next);
            if (!found || !*found)
                return found;
            next = std::move(**found);
        }
        return next;
    }
};

// The words between the braces of "{a, b}". kind and what are for the message.
result<std::vector<std::string>> words_of(const std::string& kind, const std::string& name, const std::string& what) {
    const auto inside = inside_braces(name);
    std::vector<std::string> out;
    if (inside) {
        auto rest = *inside;
        while (const auto word = next_word(rest))
            out.emplace_back(*word);
    }
    if (out.empty())
        return fail(errc::malformed,
                    "bad syntax: \"" + kind + ":" + name + "\"; need \"" + kind + ":{" + what + "...}\"");
    return out;
}

template <class Table>
result<table_ptr> open_combined(const std::string& kind, const std::string& name, const open_options& options) {
    const auto specs = words_of(kind, name, "type:name");
    if (!specs)
        return tl::make_unexpected(specs.error());
    std::vector<table_ptr> parts;
    for (const auto& spec : *specs) {
        if (spec.find(':') == std::string::npos)
            return fail(errc::malformed,
                        "bad syntax: \"" + kind + ":" + name + "\"; need \"" + kind + ":{type:name...}\"");
        auto part = open_table(spec, options);
        if (!part)
            return part;
        parts.push_back(std::move(*part));
    }
    return std::make_unique<Table>(kind + ":" + name, std::move(parts), options);
}

} // namespace

result<table_ptr> open_unionmap(const std::string& name, const open_options& options) {
    return open_combined<union_table>("unionmap", name, options);
}

result<table_ptr> open_pipemap(const std::string& name, const open_options& options) {
    return open_combined<pipe_table>("pipemap", name, options);
}

result<table_ptr> open_randmap(const std::string& name, const open_options&) {
    auto values = words_of("randmap", name, "value");
    if (!values)
        return tl::make_unexpected(values.error());
    table::traits traits;
    traits.patterns = true; // every key is as good as any other
    return std::make_unique<function_table>(
        "randmap:" + name, traits,
        [values = std::move(*values), draw = std::minstd_rand(std::random_device{}())](std::string_view) mutable {
            return result<std::optional<std::string>>(values[draw() % values.size()]);
        });
}

} // namespace mta::table
