// A table that lies in memory whole: what texthash, inline and internal become once they are read.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <mta/table/file_mark.hpp>
#include <mta/table/lookup_table.hpp>

namespace mta::table {

class map_table final : public lookup_table {
public:
    struct value {
        std::string text;
        int line = 0; // of the source; 0: none
    };
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };
    using entries = std::unordered_map<std::string, value, hash, std::equal_to<>>;

    map_table(std::string name, entries content, file_mark mark)
        : lookup_table(std::move(name), {}), entries_(std::move(content)), mark_(std::move(mark)) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto it = entries_.find(key);
        if (it == entries_.end())
            return std::nullopt;
        last_line_ = it->second.line;
        return it->second.text;
    }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        for (const auto& [key, found] : entries_)
            if (!visit(key, found.text))
                break;
        return {};
    }
    [[nodiscard]] bool changed() const override { return mark_.changed(); }
    [[nodiscard]] std::string last_place() const override {
        return last_line_ == 0 ? std::string() : mark_.path() + ":" + std::to_string(last_line_);
    }

private:
    entries entries_;
    file_mark mark_;
    int last_line_ = 0;
};

} // namespace mta::table
