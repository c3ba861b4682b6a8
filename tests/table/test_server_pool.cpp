#include <catch2/catch.hpp>

#include <map>

#include <mta/table/server_pool.hpp>

using namespace mta::table;
using std::chrono::seconds;

namespace {

// Servers that are up or down as a test says; a connection knows the life of the server it belongs to.
struct farm {
    struct connection {
        std::string to;
        int life;
    };
    std::map<std::string, int> life; // 0: down
    std::map<std::string, int> opened;
    std::vector<std::string> warnings;
    std::chrono::steady_clock::time_point now{std::chrono::hours(1)};

    server_pool<connection> pool(const std::vector<std::string>& hosts) {
        return {hosts,
                [this](const server_address& to) -> mta::result<std::unique_ptr<connection>> {
                    ++opened[to.text];
                    if (life[to.text] == 0)
                        return mta::fail(mta::errc::temporary, to.text + " is down");
                    return std::make_unique<connection>(connection{to.text, life[to.text]});
                },
                [this](const std::string& why) { warnings.push_back(why); },
                {},
                [this] { return now; }};
    }
    std::string ask(server_pool<connection>& pool) {
        std::string answer;
        const auto asked = pool.ask([&](connection& link, std::string& why) {
            if (link.life != life[link.to]) {
                why = "connection lost";
                return trial::broken;
            }
            answer = link.to;
            return trial::done;
        });
        return asked ? answer : "error: " + asked.error().text();
    }
};

} // namespace

TEST_CASE("hosts are read as they are written in tables", "[table][servers]") {
    using kind = server_address::kind;
    struct row {
        const char* text;
        kind what;
        const char* host;
        const char* port;
    };
    const auto [text, what, host, port] = GENERATE(values<row>({
        {"db.example", kind::network, "db.example", ""},
        {"db.example:33", kind::network, "db.example", "33"},
        {"inet:db.example:33", kind::network, "db.example", "33"},
        {"inet:[2001:db8::1]:33", kind::network, "2001:db8::1", "33"},
        {"[2001:db8::1]", kind::network, "2001:db8::1", ""},
        {"2001:db8::1", kind::network, "2001:db8::1", ""},
        {"unix:/run/s", kind::local, "/run/s", ""},
        {"postgresql://a@b/c", kind::uri, "postgresql://a@b/c", ""},
    }));
    const auto seen = server_address::parse(text);
    CAPTURE(text);
    CHECK((seen.what == what && seen.host == host && seen.port == port && seen.text == text));
}

TEST_CASE("a local socket is asked before the network, and the next server when one is down", "[table][servers]") {
    farm servers;
    servers.life = {{"inet:a", 1}, {"unix:/b", 1}};
    auto pool = servers.pool({"inet:a", "unix:/b"});
    CHECK(servers.ask(pool) == "unix:/b");
    servers.life["unix:/b"] = 0;
    CHECK(servers.ask(pool) == "inet:a");
    CHECK(servers.warnings == std::vector<std::string>{"unix:/b is down"});
    CHECK(servers.opened["unix:/b"] == 2);
    CHECK(servers.ask(pool) == "inet:a");
    CHECK(servers.opened["unix:/b"] == 2);
}

TEST_CASE("a server that is down is left alone for longer and longer, up to a limit", "[table][servers]") {
    farm servers;
    auto pool = servers.pool({"inet:a"});
    int before = 0;
    for (const long pause : {1L, 2L, 4L, 8L, 16L, 32L, 60L, 60L}) {
        CHECK(servers.ask(pool) == "error: inet:a is down");
        CHECK(servers.opened["inet:a"] == before + 1);
        servers.now += seconds(pause) - std::chrono::milliseconds(1);
        CHECK(servers.ask(pool) == "error: all servers are down");
        CHECK(servers.opened["inet:a"] == before + 1);
        servers.now += std::chrono::milliseconds(1);
        ++before;
    }
    servers.life["inet:a"] = 1;
    CHECK(servers.ask(pool) == "inet:a");
}

TEST_CASE("a connection that a restart closed is opened anew at once", "[table][servers]") {
    farm servers;
    servers.life = {{"inet:a", 1}};
    auto pool = servers.pool({"inet:a"});
    CHECK(servers.ask(pool) == "inet:a");
    servers.life["inet:a"] = 2;
    CHECK(servers.ask(pool) == "inet:a");
    CHECK(servers.warnings.empty());
    CHECK(servers.opened["inet:a"] == 2);
    servers.now += seconds(61);
    CHECK(servers.ask(pool) == "inet:a");
    CHECK(servers.opened["inet:a"] == 3);
}

TEST_CASE("a refused question goes to the next server and costs the first nothing", "[table][servers]") {
    farm servers;
    servers.life = {{"unix:/a", 1}, {"inet:b", 1}};
    auto pool = servers.pool({"unix:/a", "inet:b"});
    for (int i = 0; i < 2; ++i) {
        std::vector<std::string> asked;
        CHECK(pool.ask([&](farm::connection& link, std::string& why) {
            asked.push_back(link.to);
            why = "no such table";
            return link.to == "inet:b" ? trial::done : trial::refused;
        }));
        CHECK(asked == std::vector<std::string>{"unix:/a", "inet:b"});
    }
    CHECK(pool.ask([](farm::connection&, std::string& why) {
        why = "no such table";
        return trial::refused;
    }).error().text() == "no such table");
    CHECK(servers.opened["unix:/a"] == 1);
    CHECK(servers.warnings.empty());
}
