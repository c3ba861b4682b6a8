// Puts the values that a server gave for one key into one answer: each through result_format, joined by commas, their
// number limited by expansion_limit.
//
// No I/O. A value that the format cannot use adds nothing; no value at all is "not found". Going over the limit is an
// error, since half a list would lose recipients.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/client_settings.hpp>
#include <mta/table/query_template.hpp>

namespace mta::table {

// How a table turns values into an answer; read once.
struct answer_format {
    query_template format;
    long long limit = 0; // 0: none

    // Parameters result_format and expansion_limit. older: what result_format was called once.
    [[nodiscard]] static result<answer_format> read(const client_settings& settings, const std::string& older = {});
};

class answer_builder {
public:
    // format and key must outlive the builder.
    answer_builder(const answer_format& format, std::string_view key) : format_(format), key_(key) {}

    [[nodiscard]] result<void> add(std::string_view value);

    // How many of the values were empty: those count for nothing, and deserve a warning.
    [[nodiscard]] int empty_values() const noexcept { return empty_; }
    [[nodiscard]] std::optional<std::string> finish() && {
        return count_ == 0 ? std::nullopt : std::optional(std::move(out_));
    }

private:
    const answer_format& format_;
    std::string_view key_;
    std::string out_;
    long long count_ = 0;
    int empty_ = 0;
};

} // namespace mta::table
