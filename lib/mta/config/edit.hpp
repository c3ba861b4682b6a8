// Changing main.cf in place: comments, order and everything not named stay as they are.
//
// No I/O: text in, text out. The caller replaces the file atomically (core/file.hpp).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::config {

enum class edit_action {
    set,     // replace the entry, or append "name = value"
    remove,  // drop its lines; absent is no error
    comment, // put # before its lines
};

struct edit {
    edit_action action = edit_action::set;
    std::string name;
    std::string value; // for set
};

// path is used in error texts. An entry that has the wanted value stays as it is written. Every other entry of an edited name is changed alike,
// and comments within an entry stay, as in the reference.
[[nodiscard]] result<std::string> edit_main(std::string_view text, std::span<const edit> edits, std::string_view path);

} // namespace mta::config
