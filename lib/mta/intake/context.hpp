// What all messages of one worker share on their way into the queue: limits, tables, rewriting, spool and log.
//
// Built once, before privileges are dropped, from the configuration of the cleanup service. Messages of one context may
// live on several threads; use_log() and beginning a message belong to one. It must outlive the messages begun with it.
#pragma once

#include <memory>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>
#include <mta/core/result.hpp>
#include <mta/queue/spool.hpp>

namespace mta::intake {

class intake_context {
public:
    // Opens virtual_alias_maps, canonical_maps and so on. where must outlive the context. log is tagged
    // "postfix/cleanup". Errors: a table that cannot be opened.
    [[nodiscard]] static result<intake_context> open(const configuration& cfg, const queue::spool& where, logger log);

    intake_context(intake_context&&) noexcept;
    intake_context& operator=(intake_context&&) noexcept;
    ~intake_context();

    // Log lines of the next messages use this logger (another number).
    void use_log(logger log);

    struct parts; // for the engine
    [[nodiscard]] parts& inside() noexcept { return *parts_; }
    [[nodiscard]] const parts& inside() const noexcept { return *parts_; }

private:
    explicit intake_context(std::unique_ptr<parts> opened);
    std::unique_ptr<parts> parts_;
};

} // namespace mta::intake
