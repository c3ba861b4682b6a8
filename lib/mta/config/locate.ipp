// Bodies of locate.hpp.
#include <mta/config/locate.hpp>

#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <mta/config/configuration.hpp>

namespace mta::config {

caller who_calls() noexcept {
    // AT_SECURE covers set-uid, set-gid and file capabilities, as the loader saw them.
    return getauxval(AT_SECURE) != 0 && getuid() != 0 ? caller::restricted : caller::trusted;
}

std::string_view default_directory() noexcept {
    return build::config_directory;
}

result<located> find_directory(std::optional<std::string_view> option, caller who) {
    located out;
    if (option) {
        out.directory = *option;
        if (out.directory.ends_with("/main.cf"))
            out.directory.resize(out.directory.size() - 8);
        out.chosen = true;
    } else if (const char* name = std::getenv("MAIL_CONFIG"); name != nullptr) {
        out.directory = name;
        out.chosen = true;
    } else {
        out.directory = build::config_directory;
    }
    if (who == caller::trusted || out.directory == build::config_directory)
        return out;
    const std::string standard(build::config_directory);
    const auto cfg = configuration::load(standard);
    if (!cfg)
        return tl::make_unexpected(cfg.error());
    const auto listed = [&](const std::vector<std::string>& words) {
        return std::find(words.begin(), words.end(), out.directory) != words.end();
    };
    if (listed((*cfg)[param::alternate_config_directories]) || listed((*cfg)[param::multi_instance_directories]))
        return out;
    return fail(errc::not_permitted, "unauthorized configuration directory name: " + out.directory +
                                         "\nspecify \"alternate_config_directories = " + out.directory +
                                         "\" or \"multi_instance_directories = " + out.directory + "\" in " + standard +
                                         "/main.cf");
}

} // namespace mta::config
