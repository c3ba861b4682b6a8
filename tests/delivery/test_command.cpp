#include <catch2/catch.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/command.hpp>
#include <mta/delivery/helper_protocol.hpp>

#include "message_file.hpp"
#include "temporary_directory.hpp"

using namespace mta;
using namespace mta::delivery;
using mta::test::message_file;
using mta::test::temporary_directory;

namespace {

// As in all processes of mtad: a command may be gone before it has read its input.
[[maybe_unused]] const auto usual_handler = std::signal(SIGPIPE, SIG_IGN);

std::string told(const status& what) {
    return what.dsn + " " + what.reason + (what.diag_text.empty() ? "" : " | " + what.diag_type + "; " + what.diag_text);
}

std::string ended(int status, const std::string& output, bool timed_out = false) {
    command_job job;
    job.line = "cmd x";
    return told(command_status(job, {status, timed_out, output}));
}
constexpr int exited(int code) { return code << 8; }

struct runner {
    temporary_directory where;
    message_file message{{"Subject: x", "", "From me", "text"}};
    command_job job;
    runner() {
        job.environment = {"PATH=/usr/bin:/bin", "WHERE=" + where.path(), "WHO=joe"};
        job.time_limit = 20;
        job.message.sender = "s@example.org";
        job.message.original = "o@example.com";
        job.message.data_offset = message.data_offset;
    }
    std::string run(const std::string& line) {
        job.line = line;
        return told(deliver_to_command(job, message.fd.get()));
    }
    std::string written(const std::string& name) { return read_file(where / name.c_str()).value_or("nothing"); }
};

} // namespace

TEST_CASE("what a command's end means", "[delivery][command]") {
    CHECK(ended(exited(0), "5.1.1 ignored") == "2.0.0 delivered to command: cmd x");
    CHECK(ended(exited(67), "") == "5.1.1 user unknown | x-unix; user unknown");
    CHECK(ended(exited(69), "no\nway\n") == "5.3.0 service unavailable. Command output: no way  | x-unix; no way ");
    CHECK(ended(exited(71), "") == "4.3.0 system resource problem | x-unix; system resource problem");
    CHECK(ended(exited(75), "later") == "4.3.0 temporary failure. Command output: later | x-unix; later");
    CHECK(ended(exited(1), "") == "5.3.0 Command died with status 1: \"cmd x\" | x-unix; unknown mail system error 1");
    CHECK(ended(9, "words") == "4.3.0 Command died with signal 9: \"cmd x\". Command output: words");
    CHECK(ended(0, "words", true) == "5.3.0 Command time limit exceeded: \"cmd x\". Command output: words | x-unix; words");
    CHECK(ended(exited(69), std::string("a\001b\tc\r\0d", 8)) == "5.3.0 service unavailable. Command output: a_b c_ | x-unix; a_b c_");
}

TEST_CASE("a status code in front of the output has the last word", "[delivery][command]") {
    CHECK(ended(exited(1), "5.1.2 none") == "5.1.2 none | x-unix; none");
    CHECK(ended(exited(67), "4.2.2 full") == "4.2.2 full | x-unix; full");
    CHECK(ended(exited(75), "5.2.2 full") == "5.2.2 full | x-unix; full");
    CHECK(ended(exited(1), "2.1.5 good") == "5.0.0 good | x-unix; good");
    CHECK(ended(exited(1), "5.7.1") == "5.7.1 ");
    CHECK(ended(exited(69), " 5.7.1 x").starts_with("5.3.0 "));
    CHECK(ended(exited(69), "5.777.1111 x").starts_with("5.3.0 "));
    CHECK(ended(exited(69), "3.7.1 x").starts_with("5.3.0 "));
    CHECK(ended(exited(69), "5.7.1x").starts_with("5.3.0 "));
    CHECK(ended(exited(69), "5.").starts_with("5.3.0 "));
}

TEST_CASE("plain words need no shell", "[delivery][command]") {
    CHECK(needs_no_shell("/usr/bin/prog -a x=y, z@w"));
    for (const char* line : {"", "  ", "a;b", "a 'b'", "$x", "a>b", "a*", "~/x", "a\\b", "(a)", "a#b", "a&"})
        CHECK_FALSE(needs_no_shell(line));
}

TEST_CASE("a command reads the message and nothing of ours", "[delivery][command]") {
    runner r;
    CHECK(r.run("cat >$WHERE/in; echo \"$WHO $MAIL_CONFIG.\" >$WHERE/who").starts_with("2.0.0 delivered to command: cat "));
    const auto text = r.written("in");
    CHECK(text.starts_with("From s@example.org  "));
    CHECK(text.substr(text.find('\n') + 1) ==
          "Return-Path: <s@example.org>\nX-Original-To: o@example.com\nSubject: x\n\nFrom me\ntext\n");
    CHECK(r.written("who") == "joe .\n");
    r.job.directory = r.where.path();
    CHECK(r.run("pwd >here; ls /proc/self/fd >open").starts_with("2.0.0"));
    CHECK(r.written("here") == r.where.path() + "\n");
    CHECK(r.written("open") == "0\n1\n2\n3\n"); // 3 is the directory that ls reads
    r.job.directory = "/nonexistent";
    CHECK(r.run("true") == "4.3.0 temporary failure | x-unix; temporary failure");
}

TEST_CASE("a command is started without a shell where that is possible", "[delivery][command]") {
    runner r;
    CHECK(r.run("/nonexistent/program x").starts_with("4.3.0 temporary failure. Command output: local: fatal: execvp /nonexistent/program: No such file"));
    CHECK(r.run("exit 67") == "5.1.1 user unknown | x-unix; user unknown"); // built into the shell
    CHECK(r.run("no-such-program").starts_with("5.3.0 Command died with status 127"));
    CHECK(r.run("").starts_with("2.0.0"));
    r.job.shell = "/bin/echo called -c";
    CHECK(r.run("exit 1").starts_with("2.0.0"));
}

TEST_CASE("a command that will not end is ended, and what it started too", "[delivery][command]") {
    runner r;
    r.job.time_limit = 1;
    const std::string line = GENERATE(values<std::string>({"sleep 60", "trap '' TERM; sleep 60; sleep 60", "sleep 60 & exit 0",
                                                           "kill -STOP $$", "echo $$ >$WHERE/pid; exec sleep 60"}));
    CAPTURE(line);
    const auto begun = std::chrono::steady_clock::now();
    CHECK(r.run(line).starts_with("5.3.0 Command time limit exceeded"));
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(10));
    if (const auto pid = parse_integer(trim(r.written("pid"))))
        CHECK(::kill(static_cast<pid_t>(*pid), 0) != 0);
}

TEST_CASE("a command's output is bounded", "[delivery][command]") {
    runner r;
    CHECK(r.run("head -c 100000 /dev/zero | tr '\\0' x; exit 69").size() < 2 * command_output_limit + 200);
    r.job.time_limit = 5;
    CHECK(r.run("exec yes").find("Command output: y y y") != std::string::npos);
}

TEST_CASE("a command need not read its input", "[delivery][command]") {
    runner r;
    r.message = message_file(std::vector<std::string>(50000, "0123456789012345678901234567890123456789"));
    r.job.message.data_offset = r.message.data_offset;
    std::signal(SIGPIPE, SIG_IGN); // as in the helper
    CHECK(r.run("true").starts_with("2.0.0"));
    CHECK(r.run("head -1 >/dev/null").starts_with("2.0.0"));
    CHECK(r.run("wc -l >$WHERE/lines").starts_with("2.0.0"));
    CHECK(trim(r.written("lines")) == "50003");
}

TEST_CASE("a command's request survives the way there and back", "[delivery][helper]") {
    helper_request out;
    out.operation = helper_operation::run;
    out.command.line = "a \"b\"\nc";
    out.command.shell = "/bin/sh -c";
    out.command.directory = "/home/joe";
    out.command.environment = {"A=b", "C=", "D=x\ny"};
    out.command.time_limit = 7;
    out.command.file_limit = 51200000;
    out.command.message.sender = "s";
    out.command.message.data_offset = 12345678901;
    const auto in = helper_request::parse(out.encode());
    REQUIRE(in);
    CHECK(in->encode() == out.encode());
    CHECK(in->command.environment == out.command.environment);
    CHECK(in->command.message.data_offset == out.command.message.data_offset);
    const auto whole = out.encode();
    for (std::size_t cut = 0; cut < whole.size(); ++cut)
        CHECK_FALSE(helper_request::parse(whole.substr(0, cut)));
    const auto bytes = encode_spawn_request({4294967294U, 4294967294U, true});
    CHECK(parse_spawn_request({bytes.data(), bytes.size()}).value() == helper_user{4294967294U, 4294967294U, true});
}
