// The two long options that every command has: --help and --version.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include <mta/config/build_defaults.hpp>
#include <mta/core/sysexits.hpp>

namespace mta::config {

// Answers the long word of option_reader ("help" for --help) and gives the exit status of the command.
[[nodiscard]] inline int long_option(std::string_view word, std::string_view program, std::string_view help) {
    const std::string name(program);
    if (word == "help") {
        std::fwrite(help.data(), 1, help.size(), stdout);
        return ex_ok;
    }
    if (word == "version") {
        std::printf("%s (mtad) %s\n", name.c_str(), std::string(build::mtad_version).c_str());
        return ex_ok;
    }
    std::fprintf(stderr, "%s: unrecognized option '--%s'\n", name.c_str(), std::string(word).c_str());
    return ex_usage;
}

} // namespace mta::config
