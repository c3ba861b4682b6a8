// What the deliver worker says to the spawner, and to the helper processes that write mailboxes as their owners.
//
// Planner → spawner (stream socket): one spawn_request of fixed size with the helper's end of a socket pair attached.
// The spawner checks the user itself, starts the helper and answers nothing: a refusal is written, as a helper's
// answer, into the attached socket, which then closes.
// Planner → helper (seqpacket socket): one attribute list a message, the queue file attached where it is needed;
// one answer each, in order. End of file ends the helper.
//
// This header is the codec alone. No I/O.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/delivery/command.hpp>
#include <mta/delivery/mailbox.hpp>

namespace mta::delivery {

// The user that a helper becomes. gid is its only group. One that runs commands may start set-gid programs and serves
// nothing else; its user, who is the commands', may not signal it.
struct helper_user {
    uid_t uid = 0;
    gid_t gid = 0;
    bool commands = false;
    auto operator<=>(const helper_user&) const = default;
};

inline constexpr std::size_t spawn_request_size = 32;
[[nodiscard]] std::array<char, spawn_request_size> encode_spawn_request(helper_user who);
[[nodiscard]] result<helper_user> parse_spawn_request(std::string_view bytes);

enum class helper_operation {
    deliver, // write job with the attached queue file
    read,    // read a small text file that the user controls (.forward, :include:)
    run,     // give the attached queue file to a command
};

struct helper_request {
    helper_operation operation = helper_operation::deliver;
    mailbox_job job;  // deliver
    std::string path; // read
    bool follow_link = false; // read: the file may be reached through a symbolic link
    long long offset = 0;     // read: from here on, at most user_file_piece bytes
    command_job command;      // run

    [[nodiscard]] std::string encode() const;
    [[nodiscard]] static result<helper_request> parse(std::string_view bytes);
};

struct helper_answer {
    delivery::status status; // delivered: done, or read; bounced: no file to be trusted; else why not
    bool found = false;      // read: the file exists
    std::string text{};      // read: its content from the offset on
    bool more = false;       // read: there is more behind that
    std::string version{};   // read: changes when the file does

    [[nodiscard]] std::string encode() const;
    [[nodiscard]] static result<helper_answer> parse(std::string_view bytes);
};

// Performs one request as the running user. queue_file may be -1 for read.
[[nodiscard]] helper_answer perform(const helper_request& request, int queue_file);

// Bytes of one answer, and of a whole file that is read in pieces.
inline constexpr std::size_t user_file_piece = std::size_t{48} * 1024;
inline constexpr std::size_t user_file_limit = std::size_t{16} << 20;

} // namespace mta::delivery
