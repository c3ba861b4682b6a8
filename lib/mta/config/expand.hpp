// Expansion of $name in text: the small language of main.cf values, command lines, reply templates and paths.
//
//     $name ${name} $(name)         the value, "" when undefined
//     ${name?text} ${name?{text}}   text when name has a non-empty value
//     ${name:text} ${name:{text}}   text when it has not
//     ${name?{a}:{b}}               a or b
//     ${{left} == {right} ? {a} : {b}}   comparisons == != < <= >= > (numbers as numbers when both are), and
//                                        <level <=level ==level … for compatibility levels such as 3.6
//     $$                            one $
//
// No I/O. Safe on hostile text: nesting is bounded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::config {

// Where names get their values.
class macro_source {
public:
    virtual ~macro_source() = default;
    // The value of a name, nullopt when it has none. The view must live until the next call.
    [[nodiscard]] virtual std::optional<std::string_view> find(std::string_view name) = 0;
};

enum class values_are { expanded_too, taken_as_is }; // whether $ inside a found value is expanded again

// The expanded text. errc::malformed with a text such as `truncated macro reference: "…"`; errc::too_large for endless
// nesting: `unreasonable macro call nesting: "…"`, or for more references than any configuration has.
[[nodiscard]] result<std::string> expand_macros(std::string_view text, macro_source& source,
                                                values_are how = values_are::expanded_too);

// The names that text refers to, in every branch of ${name?…:…} and on both sides of comparisons, in order and as often
// as they stand there; what their values refer to is not followed. Where the syntax is wrong it ends there.
struct references {
    std::vector<std::string> names;
    std::string trouble; // the error of expand_macros(), empty when the syntax is good
};
[[nodiscard]] references referenced_names(std::string_view text);

} // namespace mta::config
