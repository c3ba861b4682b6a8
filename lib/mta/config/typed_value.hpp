// What a parameter's text means by its kind: a number, seconds, yes or no, a list.
#pragma once

#include <string>
#include <vector>

#include <mta/config/parameter.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

struct typed_value {
    std::string text;              // expanded, but for kind::raw
    std::vector<std::string> list; // of kind::list
    long long number = 0;          // of an integer; seconds of a time; 1 for yes
};

// Works out the rest from out.text as that row wants it. The errors name the parameter and its value, and are those that
// mail administrators know.
[[nodiscard]] result<void> convert(const parameter& row, typed_value& out);

} // namespace mta::config
