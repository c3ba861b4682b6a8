#include <mta/core/text.hpp>
#include <mta/delivery/local_delivery.hpp>

namespace mta::delivery {
namespace {

// Whatever comes from outside is kept from meaning anything to a shell.
std::string filtered(std::string_view text, std::string_view allowed) {
    std::string out(text);
    for (char& c : out)
        if (allowed.find(c) == std::string_view::npos)
            c = '_';
    return out;
}

struct client_row {
    const char* variable;
    const char* attribute;
};
constexpr client_row client_rows[] = {
    {"CLIENT_HOSTNAME", "client_name"}, {"CLIENT_ADDRESS", "client_address"}, {"CLIENT_HELO", "helo_name"},
    {"CLIENT_PROTOCOL", "protocol_name"}, {"SASL_METHOD", "sasl_method"}, {"SASL_SENDER", "sasl_sender"},
    {"SASL_USERNAME", "sasl_username"},
};

} // namespace

std::vector<std::string> local_delivery::environment(const path& way) const {
    const auto& common = settings_.commands;
    auto out = common.environment;
    const auto add = [&](const char* name, std::string_view value) {
        out.push_back(std::string(name) + "=" + filtered(value, common.value_filter));
    };
    const auto whole = mta::address::split_address(way.address);
    const auto parts =
        mta::address::split_extension(whole.local, settings_.recipient_delimiter, settings_.owner_request_special);
    if (!way.home.empty())
        add("HOME", way.home);
    if (!way.shell.empty())
        add("SHELL", way.shell);
    add("USER", parts.user);
    add("LOGNAME", parts.user);
    add("LOCAL", whole.local);
    if (parts.extension)
        add("EXTENSION", *parts.extension);
    if (!whole.domain.empty())
        add("DOMAIN", whole.domain);
    add("RECIPIENT", way.address);
    if (!way.owned)
        add("ORIGINAL_RECIPIENT", to_.original.empty() ? to_.address : to_.original);
    add("SENDER", way.sender);
    for (const auto& row : client_rows)
        for (const auto& [name, value] : from_.client)
            if (name == row.attribute && !value.empty())
                add(row.variable, value);
    return out;
}

status local_delivery::run(const path& way, const std::string& line) {
    if (from_.probe)
        return sent("delivers to command: " + line);
    const auto& common = settings_.commands;
    helper_request request;
    request.operation = helper_operation::run;
    auto& job = request.command;
    job.line = line;
    job.shell = common.shell;
    job.environment = environment(way);
    job.time_limit = common.time_limit;
    job.file_limit = settings_.mailbox.limit;
    job.message = job_for(way, "");
    job.message.delivered_to = settings_.delivered_in_commands ? way.delivered_to : "";
    const auto whole = mta::address::split_address(way.address);
    const auto parts =
        mta::address::split_extension(whole.local, settings_.recipient_delimiter, settings_.owner_request_special);
    const auto safe = [&](std::string_view text) { return filtered(text, common.directory_filter); };
    forward_names names;
    names.user = safe(parts.user);
    names.home = safe(way.home);
    names.shell = safe(way.shell);
    names.recipient = safe(way.address);
    names.extension = safe(parts.extension.value_or(""));
    names.domain = safe(whole.domain);
    names.local = safe(whole.local);
    names.delimiter = parts.extension ? std::string(1, parts.delimiter) : "";
    const auto directory = expand_names(common.directory, names);
    if (!directory) {
        warn("bad command_execution_directory: \"" + common.directory + "\"");
        return defer("4.3.5", "mail system configuration error");
    }
    job.directory = directory->empty() ? common.queue_directory : *directory;
    return port_.perform_as(way.rights, request, queue_file_).status;
}

} // namespace mta::delivery
