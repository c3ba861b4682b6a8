#include <optional>

#include <mta/table/environment.hpp>

namespace mta::table {
namespace {

struct process_environment {
    std::optional<config::configuration> cfg;
    bool utf8 = false;
    logger log;
    std::function<void(const std::string&)> unreadable;
};

process_environment& environment() {
    static process_environment instance;
    return instance;
}

} // namespace

void set_environment(const config::configuration& cfg, const logger& log) {
    environment().cfg = cfg;
    environment().utf8 = cfg.yes_no("smtputf8_enable").value_or(false);
    environment().log = log;
}

const config::configuration* current_configuration() noexcept {
    const auto& cfg = environment().cfg;
    return cfg ? &*cfg : nullptr;
}

bool current_utf8() noexcept { return environment().utf8; }

const logger& current_log() { return environment().log; }

void set_unreadable_table_handler(std::function<void(const std::string&)> handler) {
    environment().unreadable = std::move(handler);
}

void report_unreadable_table(const std::string& why) {
    if (const auto& handler = environment().unreadable)
        handler(why);
}

} // namespace mta::table
