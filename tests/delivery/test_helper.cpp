#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include <mta/core/file.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/delivery/helper_protocol.hpp>
#include <mta/delivery/ports.hpp>

#include "temporary_directory.hpp"

using namespace mta;
using namespace mta::delivery;
using mta::test::temporary_directory;

TEST_CASE("a helper request survives the way there and back", "[delivery][helper]") {
    helper_request out;
    out.job.style = mailbox_style::maildir;
    out.job.path = "/home/joe/Maildir/";
    out.job.hostname = "host";
    out.job.sender = "a b@c";
    out.job.original = "x";
    out.job.delivered_to = "y\nz";
    out.job.data_offset = 123456789012;
    out.job.limit = 51200000;
    out.job.locks = {file_lock::flock, file_lock::dotlock};
    out.job.lock_attempts = 7;
    out.job.lock_delay = 3;
    out.job.stale_lock_time = 9;
    out.job.dotlock_may_fail = true;
    out.job.strict_owner = false;
    out.job.refusals_bounce = true;
    const auto in = helper_request::parse(out.encode());
    REQUIRE(in);
    CHECK(in->encode() == out.encode());
    CHECK(in->job.path == out.job.path);
    CHECK(in->job.data_offset == out.job.data_offset);
    CHECK(in->job.locks == out.job.locks);
    CHECK(in->job.dotlock_may_fail);
    CHECK_FALSE(in->job.strict_owner);
    CHECK(in->job.refusals_bounce);
    const auto whole = out.encode();
    for (std::size_t cut = 0; cut < whole.size(); ++cut)
        CHECK_FALSE(helper_request::parse(whole.substr(0, cut)));
    out.operation = helper_operation::read;
    out.path = "relative";
    CHECK_FALSE(helper_request::parse(out.encode()));
}

TEST_CASE("a spawn request carries two numbers and nothing else", "[delivery][helper]") {
    const auto text = encode_spawn_request({4294967294U, 8});
    CHECK(parse_spawn_request({text.data(), text.size()}).value() == helper_user{4294967294U, 8});
    CHECK_FALSE(parse_spawn_request(""));
    CHECK_FALSE(parse_spawn_request(std::string(spawn_request_size, ' ')));
    CHECK_FALSE(parse_spawn_request(std::string(spawn_request_size, '1')));
    std::string odd(spawn_request_size, '\0');
    odd.replace(0, 5, "-1 -1");
    CHECK_FALSE(parse_spawn_request(odd));
    odd.replace(0, 12, "4294967295 8");
    CHECK_FALSE(parse_spawn_request(odd));
}

TEST_CASE("a user's file is read when it is his alone", "[delivery][helper][C6]") {
    const temporary_directory where;
    const auto path = where / ".forward";
    helper_request request;
    request.operation = helper_operation::read;
    request.path = path;
    SECTION("absent") {
        const auto answer = perform(request, -1);
        CHECK(answer.status.delivered());
        CHECK_FALSE(answer.found);
        request.path = path + "/below";
        REQUIRE(replace_file(path, "", 0600));
        CHECK_FALSE(perform(request, -1).found);
    }
    SECTION("present") {
        REQUIRE(replace_file(path, "joe\n", 0644));
        const auto answer = perform(request, -1);
        CHECK(answer.status.delivered());
        CHECK(answer.found);
        CHECK(answer.text == "joe\n");
    }
    SECTION("in pieces") {
        std::string text;
        while (text.size() <= 2 * user_file_piece)
            text += "member" + std::to_string(text.size()) + "@example.com\n";
        REQUIRE(replace_file(path, text, 0600));
        std::string seen;
        bool more = true;
        std::string version;
        for (int turns = 0; more && turns < 10; ++turns) {
            request.offset = static_cast<long long>(seen.size());
            const auto answer = perform(request, -1);
            REQUIRE(answer.status.delivered());
            seen += answer.text;
            more = answer.more;
            CHECK((version.empty() || version == answer.version));
            version = answer.version;
        }
        CHECK(seen == text);
        REQUIRE(replace_file(path, text + "x", 0600));
        CHECK(perform(request, -1).version != version);
    }
    SECTION("refused") {
        const std::string kind = GENERATE(values<std::string>({"writable", "fifo", "directory", "large", "nul", "dangling"}));
        CAPTURE(kind);
        if (kind == "writable") {
            REQUIRE(replace_file(path, "x", 0646));
            REQUIRE(::chmod(path.c_str(), 0646) == 0);
        } else if (kind == "fifo") {
            REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        } else if (kind == "directory") {
            REQUIRE(::mkdir(path.c_str(), 0700) == 0);
        } else if (kind == "large") {
            REQUIRE(replace_file(path, std::string(user_file_limit + 1, 'x'), 0600));
        } else if (kind == "nul") {
            REQUIRE(replace_file(path, std::string("a\0b", 3), 0600));
        } else {
            REQUIRE(::symlink("/nonexistent", path.c_str()) == 0);
        }
        const auto answer = perform(request, -1);
        // What waiting may mend is deferred; no file to be trusted is told apart.
        CHECK(answer.status.outcome == (kind == "large" || kind == "nul" ? outcome::deferred : outcome::bounced));
        CHECK(answer.found);
        CHECK(answer.text.empty());
    }
}

namespace {

// A spawner whose helpers are threads of this process.
class thread_spawner {
public:
    thread_spawner() {
        auto ends = socket_pair(SOCK_STREAM);
        port_end = std::move(ends->first);
        own_ = std::move(ends->second);
        thread_ = std::thread([this] { run(); });
    }
    ~thread_spawner() {
        thread_.join();
        for (auto& helper : helpers_)
            helper.join();
    }
    unique_fd port_end;
    std::atomic<int> started{0};
    std::atomic<int> serve_each{1000}; // requests a helper answers before it leaves
    std::atomic<bool> refuse{false};

private:
    void run() {
        for (;;) {
            auto message = receive_with_fds(own_.get());
            if (!message || message->fds.size() != 1)
                return;
            ++started;
            if (refuse) {
                const helper_answer no{defer("4.3.5", "not allowed"), false, {}};
                (void)send_with_fds(message->fds[0].get(), no.encode(), {});
                continue;
            }
            helpers_.emplace_back([this, fd = std::move(message->fds[0])] { help(fd.get()); });
        }
    }
    void help(int fd) const {
        for (int left = serve_each; left > 0; --left) {
            const auto message = receive_with_fds(fd);
            if (!message || message->bytes.empty())
                return;
            const auto request = helper_request::parse(message->bytes);
            (void)send_with_fds(fd, perform(*request, -1).encode(), {});
        }
        // Leaves with the next request unread, as a helper that ends does.
        if (serve_each == 0)
            (void)wait_readable(fd, std::chrono::milliseconds(1000));
    }
    unique_fd own_;
    std::thread thread_;
    std::vector<std::thread> helpers_;
};

helper_request read_request(const std::string& path) {
    helper_request request;
    request.operation = helper_operation::read;
    request.path = path;
    return request;
}

} // namespace

TEST_CASE("a burst to one user costs one helper", "[delivery][helper]") {
    thread_spawner spawner;
    const auto port = make_spawner_port(std::move(spawner.port_end));
    for (int i = 0; i < 20; ++i)
        CHECK(port->perform_as({1000, 1000}, read_request("/nonexistent"), -1).status.delivered());
    CHECK(spawner.started == 1);
    CHECK(port->perform_as({1001, 1000}, read_request("/nonexistent"), -1).status.delivered());
    CHECK(spawner.started == 2);
    port->close_idle(std::chrono::seconds(0));
    CHECK(port->perform_as({1000, 1000}, read_request("/nonexistent"), -1).status.delivered());
    CHECK(spawner.started == 3);
}

TEST_CASE("a kept helper that has gone is replaced", "[delivery][helper]") {
    thread_spawner spawner;
    spawner.serve_each = 1;
    const auto port = make_spawner_port(std::move(spawner.port_end));
    for (int i = 0; i < 5; ++i) {
        CHECK(port->perform_as({1000, 1000}, read_request("/nonexistent"), -1).status.delivered());
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(spawner.started == 5);
}

TEST_CASE("a refusal and a helper without an answer defer", "[delivery][helper]") {
    thread_spawner spawner;
    const bool refuse = GENERATE(true, false);
    spawner.refuse = refuse;
    spawner.serve_each = 0;
    const auto port = make_spawner_port(std::move(spawner.port_end));
    const auto answer = port->perform_as({0, 0}, read_request("/nonexistent"), -1);
    CHECK(answer.status.outcome == outcome::deferred);
    if (refuse)
        CHECK(answer.status.reason == "not allowed");
}

TEST_CASE("without root only the own user's mail is written", "[delivery][helper]") {
    const auto port = make_own_user_port();
    CHECK(port->perform_as({::geteuid(), 1}, read_request("/nonexistent"), -1).status.delivered());
    const auto answer = port->perform_as({::geteuid() + 1, 1}, read_request("/nonexistent"), -1);
    CHECK(answer.status.outcome == outcome::deferred);
    CHECK(answer.status.reason.find("cannot deliver as uid") != std::string::npos);
}
