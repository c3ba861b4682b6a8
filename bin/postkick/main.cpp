// postkick: sends a wake-up request to a service of the running mail system.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <mta/config/command_log.hpp>
#include <mta/config/long_options.hpp>
#include <mta/core/argv.hpp>
#include <mta/core/local_socket.hpp>

namespace {

constexpr std::string_view help = R"(usage: postkick [-c DIRECTORY] [-v] CLASS SERVICE REQUEST

Writes the bytes of REQUEST to the socket CLASS/SERVICE of the mail system, for
example: postkick public pickup W
)";

int postkick_main(int argc, char** argv) {
    mta::config::command_log log("postkick");
    const std::span<const char* const> args(argv + 1, static_cast<std::size_t>(argc - 1));
    mta::option_reader options(args, "c:v", "postkick");
    std::optional<std::string_view> directory;
    bool usage = false;
    while (const auto option = options.next()) {
        if (option->letter == '-')
            return mta::config::long_option(option->value, "postkick", help);
        if (option->letter == 'c')
            directory = option->value;
        usage = usage || option->letter == '?';
    }
    const auto words = options.operands();
    if (usage || words.size() != 3)
        log.fatal("usage: postkick [-c config_dir] [-v] class service request");
    const auto cfg = log.load(directory, mta::config::mail_log::optional);
    const std::string type = words[0];
    const std::string service = words[1];
    const auto limit = std::chrono::milliseconds(cfg[mta::param::application_event_drain_time]);
    const auto path = cfg[mta::param::queue_directory] + "/" + type + "/" + service;
    const auto socket = mta::connect_local(path, limit);
    if (!socket && std::filesystem::is_directory(path)) {
        log.warning(type + "/" + service + " is not a socket or a fifo");
    } else if (!socket) {
        log.warning("unable to look up " + type + "/" + service + ": " + socket.error().code.message());
    } else if (mta::send_all(socket->get(), words[2], limit)) {
        (void)mta::wait_readable(socket->get(), limit); // its closing says that the request was read
        return 0;
    }
    log.warning("Cannot contact class " + type + " service " + service + " - perhaps the mail system is down");
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return postkick_main(argc, argv);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "postkick: fatal: %s\n", problem.what());
        return 1;
    }
}
