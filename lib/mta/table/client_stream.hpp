// A blocking connection to a table's server, by TCP or by a Unix socket, where one deadline bounds a whole question and
// its answer. For commands and for pool threads; never for an event loop.
//
// Reads are buffered and bounded. SIGPIPE is never raised. A stream that gave an error is of no more use.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/table/server_pool.hpp>

namespace mta::table {

class client_stream {
public:
    // default_port is used when the address has none. Name resolution is not bounded by limit.
    [[nodiscard]] static result<std::unique_ptr<client_stream>> open(const server_address& to,
                                                                     const std::string& default_port,
                                                                     std::chrono::milliseconds limit);

    // A stream that is connected already.
    [[nodiscard]] static std::unique_ptr<client_stream> adopt(unique_fd fd, std::chrono::milliseconds limit);

    // From now on everything must be done within limit. An error when the server has closed the stream meanwhile, or has said
    // something that nobody asked for: it would be taken for the next answer.
    [[nodiscard]] result<void> start_question(std::chrono::milliseconds limit);

    [[nodiscard]] result<void> send(std::string_view bytes);
    // Bytes up to and without end, at most most of them (else errc::too_large).
    [[nodiscard]] result<std::string> read_until(std::string_view end, std::size_t most);
    [[nodiscard]] result<std::string> read_bytes(std::size_t count);
    // Whether bytes came that nobody asked for: the peer is out of step.
    [[nodiscard]] bool has_surplus() const noexcept { return at_ < buffer_.size(); }

    // What a failed stream means for its server.
    [[nodiscard]] static trial after(const mta::error& why) {
        return why.code == errc::timeout ? trial::hung : trial::broken;
    }

private:
    client_stream(unique_fd fd, std::chrono::milliseconds limit)
        : fd_(std::move(fd)), deadline_(std::chrono::steady_clock::now() + limit) {}
    [[nodiscard]] result<void> wait(short events) const;
    [[nodiscard]] result<void> fill();

    unique_fd fd_;
    std::chrono::steady_clock::time_point deadline_;
    std::string buffer_;
    std::size_t at_ = 0;
};

} // namespace mta::table
