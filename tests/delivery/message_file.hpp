// A queue file's text in an unnamed file, for tests of what reads it.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <mta/core/file.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/queue/record.hpp>

namespace mta::test {

struct message_file {
    unique_fd fd;
    long long data_offset = 0;

    // Lines become text records; a line that ends in '\\' becomes an unterminated piece, without the backslash.
    explicit message_file(const std::vector<std::string>& lines) : fd(::memfd_create("message", MFD_CLOEXEC)) {
        std::string bytes;
        queue::append_record(bytes, queue::record_type::time, "1000000000 0");
        queue::append_record(bytes, queue::record_type::sender, "sender@example.com");
        queue::append_record(bytes, queue::record_type::recipient, "rcpt@example.com");
        queue::append_record(bytes, queue::record_type::message, "");
        data_offset = static_cast<long long>(bytes.size());
        for (const auto& line : lines) {
            if (line.ends_with('\\'))
                queue::append_record(bytes, queue::record_type::unterminated, line.substr(0, line.size() - 1));
            else
                queue::append_record(bytes, queue::record_type::text, line);
        }
        queue::append_record(bytes, queue::record_type::extracted, "");
        queue::append_record(bytes, queue::record_type::end, "");
        (void)write_all(fd.get(), bytes);
    }
};

} // namespace mta::test
