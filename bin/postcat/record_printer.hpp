// Prints the records of one queue file in the classic layout. docs/queue-format.md has the labels.
//
// No I/O but through sinks. Whose behaviour the odd corners are: the reference's (tests/interop/postcat.py).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <mta/queue/record_file.hpp>

#include "postcat.hpp"

namespace mta::postcat {

class record_printer {
public:
    using text_sink = std::function<void(std::string_view)>;

    // name stands in the marker lines; the sinks get output text and warnings.
    record_printer(const options& opt, std::string name, text_sink out, text_sink warn)
        : opt_(opt), name_(std::move(name)), out_(std::move(out)), warn_(std::move(warn)) {}

    // The line that opens a file.
    void begin();
    // offset is where reading began: before a pointer that was followed on the way. False: the end was reached.
    [[nodiscard]] bool print(const queue::file_record& record, long long offset);

private:
    enum class state { envelope, header, body, extracted };

    [[nodiscard]] bool shown() const noexcept;
    void prefix(queue::record_type type, long long offset);
    void marker(std::string_view words, queue::record_type type, long long offset);
    void text(const queue::file_record& record, long long offset);
    void labelled(const queue::file_record& record, long long offset);
    void attribute(const queue::file_record& record, long long offset);
    void put(std::string_view words);

    const options& opt_;
    std::string name_;
    text_sink out_;
    text_sink warn_;
    state state_ = state::envelope;
    bool open_line_ = false; // the last output has no line end yet
    bool line_start_ = true;
};

} // namespace mta::postcat
