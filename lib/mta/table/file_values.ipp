#include <mta/core/base64.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/table/braces.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/notices.hpp>

namespace mta::table {
namespace {

class decoder final : public lookup_table {
public:
    explicit decoder(table_ptr inner) : lookup_table(inner->name(), inner->traits()), inner_(std::move(inner)) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        auto found = inner_->lookup(key);
        if (!found || !*found)
            return found;
        auto decoded = from_base64(**found);
        if (decoded)
            return decoded;
        complain(key, **found);
        return fail(errc::malformed);
    }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        return inner_->walk([&](std::string_view key, std::string_view value) {
            const auto decoded = from_base64(value);
            if (decoded)
                return visit(key, *decoded);
            complain(key, value);
            return true;
        });
    }
    [[nodiscard]] std::string last_place() const override { return inner_->last_place(); }
    [[nodiscard]] bool changed() const override { return inner_->changed(); }

private:
    void complain(std::string_view key, std::string_view value) const {
        warning("table " + name() + ": key " + std::string(key) + ": malformed BASE64 value: " +
                std::string(value.substr(0, 30)));
    }
    table_ptr inner_;
};

} // namespace

result<std::string> joined_files(std::string_view list) {
    std::string out;
    bool first = true;
    for (const auto path : split(list, list_separators)) {
        auto text = read_file(std::string(path));
        if (!text)
            return tl::make_unexpected(text.error());
        if (!first)
            out += '\n';
        first = false;
        out += *text;
    }
    if (first)
        return fail(errc::malformed, "empty pathname list");
    return out;
}

result<std::string> encoded_files(std::string_view list) {
    auto text = joined_files(list);
    if (!text)
        return text;
    return to_base64(*text);
}

table_ptr decoding_table(table_ptr inner) { return std::make_unique<decoder>(std::move(inner)); }

} // namespace mta::table
