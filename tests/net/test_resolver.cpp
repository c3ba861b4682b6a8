// The resolver against a name server of a few lines, over loopback UDP.
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include <mta/net/connect.hpp>
#include <mta/net/dns.hpp>

#include "loop.hpp"

using namespace mta;
using namespace mta::net;
using std::chrono::milliseconds;

namespace {

// Answers each question with what make returns: flags and the answer records behind the echoed question. Empty
// string: silence.
class tiny_name_server {
public:
    struct reply {
        unsigned flags = 0x8180;
        unsigned count = 0;
        std::string records;
        bool silent = false;
    };

    explicit tiny_name_server(std::function<reply(unsigned type)> make) : make_(std::move(make)) {
        fd_ = unique_fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        socket_address any = *socket_address::parse("127.0.0.1:0", 0);
        REQUIRE(::bind(fd_.get(), any.data(), any.size()) == 0);
        const timeval wait{0, 20000};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        address_ = *socket_address::local_of(fd_.get());
        thread_ = std::thread([this] { serve(); });
    }
    ~tiny_name_server() {
        stop_ = true;
        thread_.join();
    }
    [[nodiscard]] socket_address address() const { return address_; }

private:
    void serve() {
        while (!stop_) {
            char bytes[512];
            socket_address from;
            socklen_t size = socket_address::capacity;
            const ssize_t got = ::recvfrom(fd_.get(), bytes, sizeof bytes, 0, from.data(), &size);
            if (got < 17)
                continue;
            const std::string asked(bytes, static_cast<std::size_t>(got));
            const auto type = static_cast<unsigned>(static_cast<unsigned char>(asked[asked.size() - 3]));
            const reply made = make_(type);
            if (made.silent)
                continue;
            std::string out = asked.substr(0, 2);
            out += {static_cast<char>(made.flags >> 8), static_cast<char>(made.flags & 255), 0, 1, 0,
                    static_cast<char>(made.count), 0, 0, 0, 0};
            out += asked.substr(12) + made.records;
            ::sendto(fd_.get(), out.data(), out.size(), 0, from.data(), size);
        }
    }

    std::function<reply(unsigned)> make_;
    unique_fd fd_;
    socket_address address_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

resolver_options options_for(const tiny_name_server& server) {
    resolver_options options;
    options.servers = {server.address()};
    options.query_limit = milliseconds(200);
    options.tries = 2;
    options.use_hosts_file = false;
    return options;
}

std::string a_record(const char* last) { return std::string("\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0", 15) + last; }

} // namespace

TEST_CASE("addresses are found over A and AAAA, and one family's silence is not the end", "[net][resolver]") {
    asio::io_context io;
    tiny_name_server server([](unsigned type) {
        tiny_name_server::reply out;
        if (type == 1) {
            out.count = 2;
            out.records = a_record("\1") + a_record("\2");
        } else {
            out.silent = true;
        }
        return out;
    });
    resolver dns(io, options_for(server));
    auto test = [&]() -> awaitable<void> {
        const auto answer = co_await dns.addresses("host.example");
        REQUIRE(answer);
        CHECK(answer->outcome == dns_outcome::found);
        REQUIRE(answer->addresses.size() == 2);
        CHECK(answer->addresses[1].text() == "127.0.0.2");
    };
    run_to_end(io, test());
}

TEST_CASE("no such name, no such record and no answer stay three outcomes", "[net][resolver]") {
    struct row {
        const char* why;
        unsigned flags;
        bool silent;
        bool error;
        dns_outcome outcome;
    };
    const auto r = GENERATE(row{"nxdomain", 0x8183, false, false, dns_outcome::no_name},
                            row{"nodata", 0x8180, false, false, dns_outcome::no_record},
                            row{"servfail", 0x8182, false, true, {}}, row{"refused", 0x8185, false, true, {}},
                            row{"silence", 0x8180, true, true, {}});
    CAPTURE(r.why);
    asio::io_context io;
    tiny_name_server server([&](unsigned) {
        tiny_name_server::reply out;
        out.flags = r.flags;
        out.silent = r.silent;
        return out;
    });
    resolver dns(io, options_for(server));
    auto test = [&]() -> awaitable<void> {
        const auto mx = co_await dns.mx("host.example");
        REQUIRE(mx.has_value() == !r.error);
        if (mx)
            CHECK(mx->outcome == r.outcome);
        else
            CHECK(is_temporary(mx.error().code));
        const auto addresses = co_await dns.addresses("host.example");
        REQUIRE(addresses.has_value() == !r.error);
        if (addresses)
            CHECK(addresses->outcome == r.outcome);
    };
    run_to_end(io, test());
}

TEST_CASE("a hosts file answers before DNS, both ways", "[net][resolver]") {
    asio::io_context io;
    char path[] = "/tmp/mtad-hosts-XXXXXX";
    const unique_fd file(::mkstemp(path));
    const std::string text = "# comment\n192.0.2.9 Mail.Example mail # more\nbroken line\n2001:db8::9\tmail.example\n";
    REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    tiny_name_server server([](unsigned) { return tiny_name_server::reply{0x8183, 0, {}, false}; });
    auto options = options_for(server);
    options.use_hosts_file = true;
    options.hosts_file = path;
    resolver dns(io, options);
    auto test = [&]() -> awaitable<void> {
        const auto both = co_await dns.addresses("MAIL.example.");
        REQUIRE(both);
        CHECK(both->addresses.size() == 2);
        const auto v6 = co_await dns.addresses("mail.example", address_family::v6);
        REQUIRE(v6);
        REQUIRE(v6->addresses.size() == 1);
        CHECK(v6->addresses[0].text() == "2001:db8::9");
        const auto names = co_await dns.reverse(*ip_address::parse("192.0.2.9"));
        REQUIRE(names);
        CHECK(names->names == std::vector<std::string>{"Mail.Example", "mail"});
        const auto unknown = co_await dns.reverse(*ip_address::parse("192.0.2.10"));
        REQUIRE(unknown);
        CHECK(unknown->outcome == dns_outcome::no_name);
    };
    run_to_end(io, test());
    ::unlink(path);
}
