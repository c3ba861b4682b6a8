// Where a build keeps what would not fit its memory: pieces of bytes that are put away and read again. The first ones stay
// in memory; those over the limit go to a file without a name in the database's directory, or in /tmp where that one may not
// be written to. Whatever ends the process, nothing is left of it.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>

#include <mta/core/result.hpp>
#include <mta/core/unique_fd.hpp>

namespace mta::table {

class spill_store {
public:
    struct piece {
        std::string bytes; // unless it has a place
        std::optional<std::size_t> place; // in the file
        std::size_t size = 0;
    };

    spill_store(std::string directory, std::size_t in_memory) : directory_(std::move(directory)), room_(in_memory) {}

    // Any thread may put.
    [[nodiscard]] result<piece> put(std::string bytes);
    // Bytes of a piece from a place in it on, as many as to holds: they must be there.
    [[nodiscard]] result<void> read(const piece& from, std::size_t at, std::span<char> to) const;

private:
    [[nodiscard]] result<void> open();

    std::string directory_;
    std::mutex mutex_; // of all below; the file's descriptor stays once it is there
    std::size_t room_;
    unique_fd file_;
    std::size_t end_ = 0;
};

} // namespace mta::table
