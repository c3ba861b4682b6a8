// What the engine says of a message at its end.
#include <cerrno>

#include <mta/intake/engine.hpp>

namespace mta::intake {

verdict intake_message::engine::judge() const {
    if (const auto& trouble = writer.failed()) {
        const bool space = trouble->code == std::errc::no_space_on_device || trouble->code.value() == EDQUOT;
        const bool size = trouble->code == std::errc::file_too_large;
        if (size)
            return {status_size, 552, "5.3.4", "Error: message file too big"};
        if (space)
            return {status_write, 452, "4.3.1", "Error: insufficient system storage"};
        return {status_write, 451, "4.3.0", "Error: queue file write error"};
    }
    if ((status & status_temporary) != 0) {
        if (alias_trouble)
            return {status, 451, "4.6.0", "Alias expansion error"};
        return {status, 451, "4.3.0", "Error: queue file write error"};
    }
    if ((status & status_bad) != 0)
        return {status, 451, "4.3.0", "Error: internal error"};
    if ((status & status_write) != 0)
        return {status, 451, "4.3.0", "Error: queue file write error"};
    if ((status & status_size) != 0)
        return {status, 552, "5.3.4", "Error: message file too big"};
    if ((status & status_hops) != 0)
        return {status, 554, "5.4.0", "Error: too many hops"};
    if ((status & status_content) != 0)
        return {status, 550, "5.7.1", "Error: message content rejected"};
    if (recipients == 0)
        return {status_no_recipients, 550, "5.1.0", "Error: no recipients specified"};
    return {};
}

void intake_message::engine::settle_rejection() {
    // Nobody is left to tell a local sender but the mail system: the error transport returns the message.
    if (request.origin != origin::local || sender.empty() || recipients == 0 || status != status_hops)
        return;
    writer.put(record_type::filter, "error:5.4.0 too many hops");
    status = status_ok;
}

} // namespace mta::intake
