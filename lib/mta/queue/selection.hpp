// Which messages of the queue somebody means: by sender, recipient, domain, age, size and reason.
//
// The criteria of one kind are alternatives, those of different kinds must all hold. An empty selection
// selects all. No I/O.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/core/argv.hpp>
#include <mta/core/result.hpp>
#include <mta/queue/listing.hpp>

namespace mta::queue {

class selection {
public:
    // Whether there is a criterion of that name.
    [[nodiscard]] static bool is_criterion(std::string_view name) noexcept;

    // Adds one. Requires is_criterion(name). Errors: errc::bad_criterion, naming the value.
    //   sender, recipient   an address, or a pattern with "*" and "?"; case does not matter; "<>" is the null
    //   sender domain              of a recipient; likewise older, newer        an age: 90, 90s, 15m, 2h, 3d,
    //   1w size                +N larger than, -N smaller than N bytes; N may end in k, M or G reason a part
    //   of what was logged about a recipient, or a pattern for the whole of it
    [[nodiscard]] result<void> add(std::string_view name, std::string_view value);

    [[nodiscard]] bool empty() const noexcept { return !used_; }

    // recipient, domain and reason are asked of one and the same recipient. empty_address is what message
    // shows for the null sender.
    [[nodiscard]] bool matches(const listed_message& message, long long now,
                               std::string_view empty_address) const;

private:
    [[nodiscard]] bool matches(const listed_recipient& to) const;

    std::vector<std::string> senders_;
    std::vector<std::string> recipients_;
    std::vector<std::string> domains_;
    std::vector<std::string> reasons_;
    std::optional<long long> older_; // seconds
    std::optional<long long> newer_;
    std::optional<long long> larger_; // bytes
    std::optional<long long> smaller_;
    bool used_ = false;
};

// For the commands: takes the long word if it is a criterion, with its value; false when it is none. fatal is
// called with what to say about a bad value.
[[nodiscard]] bool add_criterion(selection& wanted, option_reader& reader, const option& word,
                                 const std::function<void(const std::string&)>& fatal);

// Whether text is like pattern: "*" is any text, "?" one byte; ASCII case does not matter. Linear in
// practice, and never worse than the product of the lengths.
[[nodiscard]] bool like(std::string_view text, std::string_view pattern) noexcept;

} // namespace mta::queue
