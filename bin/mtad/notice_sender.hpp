// Puts notices (returned mail, delay warnings) into the queue: composed by notify/, written by intake/, flushed.
//
// What Postfix calls bounce. A notice is committed before its cause is removed. Blocks on disk: used on pool threads,
// one call at a time (it has one intake context).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>
#include <mta/intake/context.hpp>
#include <mta/notify/notice.hpp>
#include <mta/queue/envelope.hpp>
#include <mta/queue/message_log.hpp>
#include <mta/queue/spool.hpp>

namespace mta::daemon {

class notice_sender {
public:
    // cfg is the bounce service's; where must outlive this.
    [[nodiscard]] static result<notice_sender> open(const config::configuration& cfg, const queue::spool& where,
                                                    const logger& log);

    // Queues what is due about these recipients of message id. The queue IDs of the notices: empty when nobody is to
    // be told (NOTIFY=NEVER, a notice that itself failed).
    [[nodiscard]] result<std::vector<std::string>> report(notify::kind kind, const std::string& id,
                                                          queue::directory where, const queue::envelope& about,
                                                          std::span<const queue::log_entry> entries);

private:
    struct parts;
    explicit notice_sender(std::shared_ptr<parts> opened) : parts_(std::move(opened)) {}
    std::shared_ptr<parts> parts_;
};

} // namespace mta::daemon
