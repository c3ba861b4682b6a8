#include <optional>

#include <mta/table/environment.hpp>

namespace mta::table {
namespace {

struct process_environment {
    std::optional<config::configuration> cfg;
    logger log;
};

process_environment& environment() {
    static process_environment instance;
    return instance;
}

} // namespace

void set_environment(const config::configuration& cfg, const logger& log) {
    environment().cfg = cfg;
    environment().log = log;
}

const config::configuration* current_configuration() noexcept {
    const auto& cfg = environment().cfg;
    return cfg ? &*cfg : nullptr;
}

const logger& current_log() { return environment().log; }

} // namespace mta::table
