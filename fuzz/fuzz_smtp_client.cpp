// The SMTP client against a server that says anything: it must end, stay bounded, and never take a message for
// delivered unless a 2xx reply came after the end of data was written.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <mta/smtp/client_session.hpp>

using namespace mta::smtp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    client_options options;
    options.helo_name = "client.example";
    options.peer = "mx.example[192.0.2.1]";
    options.my_hostname = "client.example";
    client_session session(options);
    client_transaction work;
    work.sender = "from@example";
    work.size = 1000;
    work.encoding = "8bit";
    work.last = size % 2 == 0;
    for (int i = 0; i < 3; ++i)
        work.recipients.push_back({"to" + std::to_string(i) + "@example", {}, {}, 0});
    session.begin(work);
    bool ended_data = false;
    for (int turn = 0; turn < 10000; ++turn) {
        const auto out = session.take_output();
        if (out.size() > 20000)
            std::abort();
        const auto need = session.wants();
        if (need == client_need::content) {
            std::string text;
            data_encoder encoder;
            encoder.line(text, "Subject: x", false);
            session.content_end(text, encoder);
            ended_data = true;
        } else if (need == client_need::reply) {
            if (input.empty()) {
                session.on_lost();
                continue;
            }
            // Reads come in pieces of any size; the first byte of each says how much.
            const std::size_t piece = std::min<std::size_t>(input.size(), 1 + static_cast<unsigned char>(input[0]) % 64);
            session.on_bytes(input.substr(0, piece));
            input.remove_prefix(piece);
        } else {
            break;
        }
    }
    if (session.wants() == client_need::reply || session.wants() == client_need::content)
        std::abort();
    for (const auto& result : session.results()) {
        if (result.verdict == client_verdict::sent && !ended_data)
            std::abort();
        for (const char c : result.reason)
            if (c == '\r' || c == '\n' || c == '\0')
                std::abort();
    }
    return 0;
}
