// A table whose every answer is computed by one function.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <mta/table/lookup_table.hpp>

namespace mta::table {

class function_table final : public lookup_table {
public:
    using answer = std::function<result<std::optional<std::string>>(std::string_view)>;
    function_table(std::string name, table::traits traits, answer how)
        : lookup_table(std::move(name), traits), how_(std::move(how)) {}
    result<std::optional<std::string>> lookup(std::string_view key) override { return how_(key); }

private:
    answer how_;
};

} // namespace mta::table
