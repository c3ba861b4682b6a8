// main.cf, master.cf and values with $names: any text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <mta/config/configuration.hpp>
#include <mta/config/edit.hpp>
#include <mta/config/expand.hpp>
#include <mta/config/main_cf.hpp>
#include <mta/config/master.hpp>
#include <mta/config/service_table.hpp>

using namespace mta;

namespace {

void try_main(std::string_view text) {
    const auto cfg = config::configuration::parse("/nonexistent", std::string(text), "main.cf");
    if (!cfg)
        return;
    (void)cfg->validate();
    const config::edit change{config::edit_action::set, "relayhost", "x"};
    const auto edited = config::edit_main(text, {&change, 1}, "main.cf");
    if (!edited) // what can be read can be changed
        std::abort();
    const auto again = config::parse_main(*edited, "main.cf");
    if (!again || again->settings.empty())
        std::abort();
}

// What is printed reads back as the same.
void try_master(std::string_view text) {
    static const auto cfg = config::configuration::defaults("/nonexistent");
    (void)config::parse_master(text, "master.cf", cfg);
    const auto services = config::read_services(text, "master.cf");
    if (!services)
        return;
    for (auto entry : *services) {
        if (!entry.troubles.empty() || text.find_first_of("{}") != std::string_view::npos)
            continue;
        const auto printed = config::format_service(entry, config::service_layout::one_line);
        const auto again = config::read_service(printed);
        if (!again || again->settings != entry.settings)
            std::abort();
        config::set_parameter(entry, "relayhost", "x");
        (void)config::remove_parameter(entry, "relayhost");
        (void)config::format_service(entry, config::service_layout::folded);
    }
}

void try_value(std::string_view text) {
    static const auto cfg =
        config::configuration::parse("/nonexistent", "a = 1\nb = $a ${c?{x}}\nc =\nd = $d\n", "main.cf");
    (void)cfg->expand(text);
    (void)config::referenced_names(text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > 4096)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    switch (data[0] % 3) {
    case 0:
        try_main(text);
        break;
    case 1:
        try_master(text);
        break;
    default:
        try_value(text);
    }
    return 0;
}
