// The texts of main.cf, master.cf and their pieces as one process has read them, so that others read the same.
//
// The processes of a mail system start at different times. One that looked at the files itself could meet a change that
// is half made, or that was refused, and would not agree with the others.
//
//     config::file_recording recording;
//     auto cfg = config::configuration::load(directory);      // and load_master()
//     … recording.text() …                                    // to another process, which calls
//     config::adopt_files(text);                               // before its own load()
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>

namespace mta::config {

// While it lives, what configuration::load() and load_master() read is kept. One at a time in a process.
class file_recording {
public:
    file_recording();
    ~file_recording();
    file_recording(const file_recording&) = delete;
    file_recording& operator=(const file_recording&) = delete;

    [[nodiscard]] std::string text() const;
};

// From now on the files that the recording names are read from it, and others not at all. errc::truncated and the like
// for what is no recording. Not thread-safe: once, at the start of a process.
[[nodiscard]] result<void> adopt_files(std::string_view recording);

// The text of main.cf, master.cf or a piece of one. Errors: the system's.
[[nodiscard]] result<std::string> read_configuration_file(const std::string& path);

// The pieces in that directory, sorted; nullopt when no recording was adopted.
[[nodiscard]] std::optional<std::vector<std::string>> adopted_pieces(const std::string& directory);

} // namespace mta::config
