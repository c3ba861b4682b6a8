// Historic option parsing from a getopt-style specification such as "B:C:F:q::".
//
// Clusters (-abc), attached values (-fNAME), separate values (-f NAME), an optional attached value ("x::"), "--"
// as the end of options, and stop at the first operand. It never reorders and never touches operands. A word that
// begins with "--" and has more is handed out as letter '-' with the text after the dashes, so that long options
// stay the caller's business.
//
// The messages for bad options are getopt's own lines, which log readers and users know.
#pragma once

#include <cstddef>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mta {

struct option {
    char letter = 0;        // '?' after a message about a bad option was printed
    std::string_view value; // for options with a value; for '-' the long word without its dashes
};

class option_reader {
public:
    // args are the words after argv[0]; they and spec must outlive the reader. Messages begin with program.
    option_reader(std::span<const char* const> args, std::string_view spec, std::string program,
                  std::FILE* messages = stderr)
        : args_(args), spec_(spec), program_(std::move(program)), messages_(messages) {}

    // The next option, or nullopt when only operands are left.
    [[nodiscard]] std::optional<option> next() {
        if (cluster_.empty()) {
            if (operands_only_ || at_ >= args_.size())
                return std::nullopt;
            const std::string_view word = args_[at_];
            if (word.size() < 2 || word[0] != '-')
                return std::nullopt;
            ++at_;
            if (word == "--") {
                operands_only_ = true; // even a word that looks like an option
                return std::nullopt;
            }
            if (word[1] == '-')
                return option{'-', word.substr(2)};
            cluster_ = word.substr(1);
        }
        const char letter = cluster_.front();
        cluster_.remove_prefix(1);
        const auto place = letter == ':' || letter == '-' ? std::string_view::npos : spec_.find(letter);
        if (place == std::string_view::npos)
            return complain("invalid option", letter);
        const bool takes_value = place + 1 < spec_.size() && spec_[place + 1] == ':';
        const bool optional_value = takes_value && place + 2 < spec_.size() && spec_[place + 2] == ':';
        if (!takes_value)
            return option{letter, {}};
        if (!cluster_.empty() || optional_value)
            return option{letter, std::exchange(cluster_, {})};
        if (at_ >= args_.size())
            return complain("option requires an argument", letter);
        return option{letter, args_[at_++]};
    }

    // The name of a long word and its value: what follows its "=", else the next word; nullopt when there is none.
    // Call long_value once, and only for a name that takes a value.
    [[nodiscard]] static std::string_view long_name(const option& word) noexcept {
        return word.value.substr(0, word.value.find('='));
    }
    [[nodiscard]] std::optional<std::string_view> long_value(const option& word) noexcept {
        if (const auto equals = word.value.find('='); equals != std::string_view::npos)
            return word.value.substr(equals + 1);
        if (at_ >= args_.size())
            return std::nullopt;
        return args_[at_++];
    }

    // What follows the options. Valid after next() answered nullopt.
    [[nodiscard]] std::span<const char* const> operands() const noexcept { return args_.subspan(at_); }

private:
    option complain(const char* what, char letter) {
        std::fprintf(messages_, "%s: %s -- '%c'\n", program_.c_str(), what, letter);
        return option{'?', {}};
    }

    std::span<const char* const> args_;
    std::string_view spec_;
    std::string program_;
    std::FILE* messages_;
    std::string_view cluster_;
    std::size_t at_ = 0;
    bool operands_only_ = false;
};

} // namespace mta
