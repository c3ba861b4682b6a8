// An SMTP client that says anything, in pieces of any size, to a server whose policy says anything.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "../tests/smtp/session_script.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4)
        return 0;
    auto settings = session_test::plain_settings();
    settings.line_limit = 512;
    settings.message_size_limit = 5000;
    settings.recipient_limit = 5;
    settings.newline_policy = static_cast<mta::smtp::bare_newline>(data[0] % 4);
    settings.forbid_unauth_pipelining = (data[0] & 4) != 0;
    const unsigned refuse = data[1];
    session_test::script s(settings);
    s.policy = [&](const auto& session) {
        return refuse == 1U + static_cast<unsigned>(session.stage()) ? "550 5.7.1 no" : "";
    };
    s.start();
    const std::size_t step = 1U + data[2] + data[3] * 16U;
    for (std::size_t at = 4; at < size && !s.closed; at += step) {
        const std::string piece(reinterpret_cast<const char*>(data) + at, std::min(step, size - at));
        const auto out = s.say(piece);
        // Every reply is whole lines that begin with a code.
        for (std::size_t i = 0; i < out.size();) {
            const auto end = out.find("\r\n", i);
            if (end == std::string::npos || end - i < 4 || out[i] < '2' || out[i] > '5')
                std::abort();
            i = end + 2;
        }
    }
    if (!s.violation.empty())
        std::abort();
    if (!s.closed)
        s.hang_up();
    return 0;
}
