#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <thread>

#include <mta/core/attr.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/delivery/forward_client.hpp>
#include <mta/queue/record.hpp>

#include "message_file.hpp"
#include "temporary_directory.hpp"

using namespace mta;
using namespace mta::delivery;
using namespace std::chrono_literals;

namespace {

// A cleanup service that keeps what it was sent and answers with `verdict`.
class fake_cleanup {
public:
    explicit fake_cleanup(std::string verdict, std::string name = "cleanup_protocol")
        : listener_(listen_local(where_ / "cleanup", 0600).value()), verdict_(std::move(verdict)), name_(std::move(name)),
          thread_([this] { run(); }) {}
    ~fake_cleanup() { thread_.join(); }
    [[nodiscard]] std::string path() const { return where_ / "cleanup"; }
    std::string received;

private:
    void run() {
        (void)wait_readable(listener_.get(), 2000ms);
        const unique_fd peer(::accept(listener_.get(), nullptr, nullptr));
        attr_writer greeting;
        (void)send_all(peer.get(), greeting.put("protocol", name_).put("queue_id", "ABC123").finish(), 1000ms);
        char chunk[65536];
        while (!received.ends_with(std::string("E\0", 2))) {
            const auto got = receive_some(peer.get(), chunk, sizeof chunk, 1000ms);
            if (!got || *got == 0)
                return;
            received.append(chunk, *got);
        }
        (void)send_all(peer.get(), verdict_, 1000ms);
    }
    mta::test::temporary_directory where_;
    unique_fd listener_;
    std::string verdict_;
    std::string name_;
    std::thread thread_;
};

std::string verdict(long long status, const std::string& reason) {
    attr_writer out;
    return out.put("status", status).put("reason", reason).finish();
}

struct forward_case {
    mta::test::message_file message{{"Subject: x", "", "long\\", "line"}};
    request from;
    forward_message out;
    forward_case() {
        from.queue_id = "OLD1";
        from.data_offset = message.data_offset;
        from.dsn_envid = "env";
        from.client = {{"log_client_name", "host"}, {"client_name", "host"}, {"log_ident", "XX"}};
        out.sender = "owner-list@example.com";
        out.delivered_to = "List+Foo@Example.com";
        out.hostname = "mail.example.com";
        out.mail_name = "Postfix";
        out.recipients = {{"joe@example.net", "list", "rfc822;list", 4}, {"jane@example.net", "", "", 0}};
    }
};

} // namespace

TEST_CASE("a forwarded message is a new one with a Delivered-To header", "[delivery][forward]") {
    forward_case c;
    fake_cleanup server(verdict(0, ""));
    const auto id = forward(server.path(), c.from, c.message.fd.get(), c.out, 2000ms);
    REQUIRE(id);
    CHECK(*id == "ABC123");
    std::size_t used = 0;
    const auto flags = attr_list::parse(server.received, &used);
    CHECK(flags->get("flags") == "33");
    std::vector<std::string> seen;
    queue::record_reader reader(std::string_view(server.received).substr(used));
    while (!reader.done()) {
        const auto next = reader.next();
        REQUIRE(next);
        seen.push_back(static_cast<char>(next->type) + std::string(next->data));
    }
    CHECK(seen.at(0).starts_with("T"));
    CHECK(seen.at(1) == "Sowner-list@example.com");
    const auto has = [&](const char* text) { return std::find(seen.begin(), seen.end(), text) != seen.end(); };
    CHECK(has("Aenvelope_id=env"));
    CHECK(has("Alog_client_name=host"));
    CHECK_FALSE(has("Aclient_name=host"));
    CHECK(has("Alog_ident=OLD1"));
    CHECK(has("Arewrite_context=local"));
    const auto at = static_cast<std::size_t>(std::find(seen.begin(), seen.end(), "Adsn_orig_rcpt=rfc822;list") - seen.begin());
    REQUIRE(at + 6 < seen.size());
    CHECK(seen[at + 1] == "Anotify_flags=4");
    CHECK(seen[at + 2] == "Olist");
    CHECK(seen[at + 3] == "Rjoe@example.net");
    CHECK(seen[at + 4] == "Rjane@example.net");
    CHECK(seen[at + 5] == "M");
    CHECK(seen[at + 6] == "NReceived: by mail.example.com (Postfix)");
    CHECK(seen[at + 7].starts_with("N\tid ABC123; "));
    CHECK(seen[at + 8] == "NDelivered-To: list+foo@example.com");
    CHECK(seen[at + 9] == "NSubject: x");
    CHECK(seen[at + 11] == "Llong");
    CHECK(seen[at + 12] == "Nline");
    CHECK(seen[at + 13] == "X");
    CHECK(seen[at + 14] == "E");
}

TEST_CASE("a refusal, a hang-up and a stranger are errors", "[delivery][forward]") {
    forward_case c;
    SECTION("refusal") {
        fake_cleanup server(verdict(2, "queue file write error"));
        const auto id = forward(server.path(), c.from, c.message.fd.get(), c.out, 2000ms);
        REQUIRE_FALSE(id);
        CHECK(id.error().text() == "queue file write error");
    }
    SECTION("hang-up") {
        fake_cleanup server("");
        CHECK_FALSE(forward(server.path(), c.from, c.message.fd.get(), c.out, 2000ms));
    }
    SECTION("another protocol") {
        fake_cleanup server(verdict(0, ""), "other_protocol");
        CHECK_FALSE(forward(server.path(), c.from, c.message.fd.get(), c.out, 500ms));
    }
    SECTION("nobody there") {
        CHECK_FALSE(forward("/nonexistent/cleanup", c.from, c.message.fd.get(), c.out, 500ms));
    }
}

TEST_CASE("success reports are not asked for twice", "[delivery][forward]") {
    CHECK(notify_after_expansion(0) == 0);
    CHECK(notify_after_expansion(2) == 1);
    CHECK(notify_after_expansion(6) == 4);
    CHECK(notify_after_expansion(14) == 12);
    CHECK(notify_after_expansion(1) == 1);
}
