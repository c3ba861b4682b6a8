// Configuration in pieces: a directory of *.cf files that main.cf names.
#pragma once

#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

// The *.cf files of a directory that a configuration names (mtad_main_cf_directory, mtad_master_cf_directory), in the
// order of their names; a relative one is below cfg.directory(). None for an empty name.
[[nodiscard]] result<std::vector<std::string>> piece_files(const configuration& cfg, const std::string& directory);

} // namespace mta::config
