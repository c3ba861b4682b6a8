// What tables need to know of their process beyond their own name: main.cf, for tables whose parameters stand there and
// for the proxymap service, and the mail log, for what is no answer ("server X is down, asking Y").
//
// Set once by a program after it read main.cf, before it opens tables and starts threads. Without it there are no
// main.cf parameters and nothing is logged.
#pragma once

#include <functional>
#include <string>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>

namespace mta::table {

void set_environment(const config::configuration& cfg, const logger& log);

// nullptr when nobody set it.
[[nodiscard]] const config::configuration* current_configuration() noexcept;
[[nodiscard]] const logger& current_log();
// Whether keys and values of tables are UTF-8 there (smtputf8_enable).
[[nodiscard]] bool current_utf8() noexcept;

// For programs that give up rights after they opened their tables: called, on whatever thread met it, with the table and
// the reason when a changed table could not be opened for want of rights.
void set_unreadable_table_handler(std::function<void(const std::string& why)> handler);
void report_unreadable_table(const std::string& why);

} // namespace mta::table
