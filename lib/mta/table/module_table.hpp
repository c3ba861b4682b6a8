// The host's side of module.h: table types that are loaded on first use.
//
// A module is a file table_TYPE.so in one directory that the build fixes; no caller and no environment variable names
// another. Programs that run in the build tree, before they are installed, use the modules built beside them: the
// linker wrote that directory into them, and installing removes it.
//
// A module stays loaded until the process ends. What it answers is data: lengths and outcomes are checked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>

namespace mta::table {

[[nodiscard]] const std::string& module_directory();

// Whether there is a module of this type. Only letters, digits and '-' make a type.
[[nodiscard]] bool has_module(std::string_view type);
// The types of all modules that are there, in no order.
[[nodiscard]] std::vector<std::string> module_types();

// name is what follows "type:". errc::unsupported when there is no module of this type, or it does not fit this host.
[[nodiscard]] result<table_ptr> open_module_table(std::string_view type, const std::string& name);

} // namespace mta::table
