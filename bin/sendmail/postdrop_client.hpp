// The caller's side of the postdrop conversation (docs/queue-format.md, submission): records out, attributes back.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/queue/record.hpp>

namespace mta::sendmail {

struct submission_answer {
    unsigned status = 0; // 0: queued
    std::string reason;
    std::string queue_id;
};

class postdrop_client {
public:
    // arguments: "postdrop", "-r" …
    [[nodiscard]] static result<postdrop_client> start(const std::string& path, std::vector<std::string> arguments);

    postdrop_client(postdrop_client&&) = default;

    // Write errors show in the answer: postdrop knows more about them than we do.
    void put(queue::record_type type, std::string_view data) {
        queue::append_record(buffer_, type, data);
        if (buffer_.size() >= 64U << 10U)
            flush();
    }
    void put_attribute(std::string_view name, std::string_view value) { queue::append_attribute(buffer_, name, value); }

    // The name of the file that postdrop has made: waits for it. Empty: there is none, finish() says why.
    [[nodiscard]] std::string queue_id();

    // The end record, and what postdrop says to it. Errors: no answer.
    [[nodiscard]] result<submission_answer> finish();
    // Takes everything back: no file stays behind.
    void cancel();

private:
    postdrop_client() = default;
    void flush();
    void read_answer();

    pid_t child_ = -1;
    unique_fd to_;
    unique_fd from_;
    std::string buffer_;
    std::string answer_; // all that postdrop has said
};

} // namespace mta::sendmail
