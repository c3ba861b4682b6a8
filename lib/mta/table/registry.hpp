// The one place where table types are registered, and where "type:name" is opened.
//
// `postconf -m`, postmap and the daemon all read this registry. Types that are not built here still have a row, so
// that the message says what to do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/terminator.hpp>

namespace mta::table {

struct open_options {
    bool fold_case = true; // of keys, for tables that are read from text (texthash, inline)
    bool utf8 = false;     // refuse keys, values and source lines that are not UTF-8
    bool file_values = false; // values are lists of files: answers are what the files hold (postmap -F)
    terminator style = terminator::unknown; // of keys in a database
    bool many_lookups = false; // that follow at once: memory for all of a database is worth it
    std::size_t read_buffer = 131072;      // berkeley_db_read_buffer_size
    std::size_t map_size = 16U << 20U;     // lmdb_map_size
};

// Opens "hash:/etc/aliases". "proxy:TYPE:NAME" goes through the proxymap service where one runs. The error text is the
// reference's: "unsupported dictionary type: foo. Is the postfix-foo package installed?".
[[nodiscard]] result<table_ptr> open_table(std::string_view spec, const open_options& options = {});

// Types of this build that can be looked up, sorted.
[[nodiscard]] std::vector<std::string> type_names();

enum class known { usable, not_built, unknown };
[[nodiscard]] known find_type(std::string_view type);

// "type:name" in two parts; without a colon type is default_type.
struct spec_parts {
    std::string type;
    std::string name;
};
[[nodiscard]] spec_parts split_spec(std::string_view spec, std::string_view default_type);

} // namespace mta::table
