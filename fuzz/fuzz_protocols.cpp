// Wire protocols but SMTP and DNS: what a table's server answers, what showq tells postqueue, and what a client asks of our
// proxymap services. The first byte says which, the second how many bytes come at once (0: all), the rest comes from the peer.
//
// No crash, nothing out of its limits; what came in pieces says the same as what came at once; each request to the
// proxymap service has an answer with a status; what is sent again reads as the same; and what was encoded comes back.
#include <stdlib.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <mta/core/local_socket.hpp>
#include <mta/queue/listing.hpp>
#include <mta/table/memcache_protocol.hpp>
#include <mta/table/network_protocols.hpp>
#include <mta/table/proxy_protocol.hpp>
#include <mta/table/redis_protocol.hpp>

#include "../bin/mtad/proxy_answers.hpp"

using namespace mta;
using namespace mta::table;

namespace {

constexpr std::chrono::milliseconds soon(500);
constexpr std::size_t fits_in_a_socket = 65536;
constexpr std::size_t most_packets = 100; // that a socket holds

void require(bool condition) {
    if (!condition)
        std::abort();
}

using exchange = std::function<result<std::string>(client_stream&)>;

// A peer that has said all of bytes, in packets of this size, and takes whatever it is asked.
result<std::string> talk(const exchange& ask, std::string_view bytes, std::size_t piece) {
    auto ends = socket_pair(SOCK_SEQPACKET);
    if (!ends)
        return fail(errc::temporary, "no sockets");
    piece = std::max(piece == 0 ? bytes.size() : piece, bytes.size() / most_packets + 1);
    constexpr std::size_t longest_packet = 16384; // a longer one would be cut off
    piece = std::min(piece, longest_packet);
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
        require(::send(ends->second.get(), bytes.data(), std::min(piece, bytes.size()), MSG_NOSIGNAL) > 0);
    ::shutdown(ends->second.get(), SHUT_WR);
    return ask(*client_stream::adopt(std::move(ends->first), soon));
}

// tables' servers

// Any answer as one text.
result<std::string> shown(const result<std::optional<std::string>>& from) {
    if (!from)
        return tl::make_unexpected(from.error());
    return *from ? "=" + **from : "";
}

constexpr memcache_limits small{40, 1000};

result<std::string> stored(client_stream& server) {
    const auto done = memcache_set(server, {"k", "v", 1, 2}, small);
    return done ? result<std::string>("") : tl::make_unexpected(done.error());
}

result<std::string> from_redis(client_stream& server) {
    constexpr std::size_t limit = 1000;
    const auto answer = read_redis_answer(server, limit);
    if (!answer)
        return tl::make_unexpected(answer.error());
    std::string out = answer->refused;
    std::size_t total = 0;
    for (const auto& value : answer->values) {
        total += value.size();
        out += "=" + value;
    }
    require(total <= 4096); // a line is one value, of any size that a line may have
    return out;
}

result<std::string> from_proxymap(client_stream& server) {
    const auto fields = ask_proxy(server, "request");
    if (!fields)
        return tl::make_unexpected(fields.error());
    std::string out = std::to_string(static_cast<int>(status_of(*fields)));
    for (const auto& [name, value] : *fields)
        out += name + "=" + value;
    return out;
}

void answer(const exchange& ask, std::string_view bytes, std::size_t piece) {
    if (bytes.size() > fits_in_a_socket)
        return;
    const auto whole = talk(ask, bytes, 0);
    if (piece == 0 || bytes.size() > 16384)
        return;
    // What more comes later than an answer is found with the next question.
    const auto pieces = talk(ask, bytes, piece);
    require(!whole || (pieces && *pieces == *whole));
}

// our proxymap services

class place {
public:
    place() {
        const std::filesystem::path memory = "/dev/shm";
        std::string pattern =
            ((std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path()) / "fuzz-proxy-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
    }
    ~place() { std::filesystem::remove_all(root_); }
    place(const place&) = delete;
    place& operator=(const place&) = delete;

    [[nodiscard]] std::string table() const { return "btree:" + (root_ / "t").string(); }

    // The request with the name of the table that is here in place of "btree:t", so that seeds can name it.
    [[nodiscard]] attr_list named(const attr_list& request) const {
        attr_writer out;
        for (const auto& [name, value] : request.pairs())
            out.put(name, name == "table" && value == "btree:t" ? table() : value);
        return *attr_list::parse(out.finish());
    }

private:
    std::filesystem::path root_;
};

void requests(std::string_view service, std::string_view bytes, std::size_t piece) {
    static const place where;
    static const auto cfg = config::configuration::parse(
        "/nowhere",
        "proxy_read_maps = proxy:inline:{a=b} proxy:fail:x proxy:regexp:{{/a(.*)/ $1}} proxy:hash:absent\n"
        "proxy_write_maps = proxy:lmdb:t proxy:" + where.table() + "\n",
        "main.cf");
    daemon::proxy_answers answers(*cfg, std::string(service));
    daemon::proxy_walks walks;
    const logger nobody;
    std::string pending;
    for (std::size_t count = 0; !bytes.empty() && count < 100; ++count) {
        const auto size = std::min(piece == 0 ? bytes.size() : piece, bytes.size());
        pending += bytes.substr(0, size);
        bytes.remove_prefix(size);
        std::size_t used = 0;
        for (auto request = attr_list::parse(pending, &used); request; request = attr_list::parse(pending, &used)) {
            require(used > 0 && used <= pending.size());
            pending.erase(0, used);
            const auto said = attr_list::parse(answers.answer(where.named(*request), walks, nobody));
            require(said && said->number("status", -1) >= 0 && said->number("status") <= 5);
        }
    }
}

// The messages of a listing as our own showq would send them, and whether it ended.
std::pair<std::string, bool> listed(std::string_view bytes, std::size_t piece) {
    queue::showq_parser parser;
    std::string out;
    for (;;) {
        const auto size = std::min(piece == 0 ? bytes.size() : piece, bytes.size());
        parser.feed(bytes.substr(0, size));
        bytes.remove_prefix(size);
        auto message = parser.next();
        for (; message && *message; message = parser.next()) {
            out += queue::showq_message(**message);
            std::string json;
            queue::append_json(json, **message);
            require(json.ends_with("}\n") || json.ends_with("}"));
        }
        if (!message || parser.finished() || bytes.empty())
            return {std::move(out), message && parser.finished()};
    }
}

void listing(std::string_view bytes, std::size_t piece) {
    const auto whole = listed(bytes, 0);
    require(piece == 0 || listed(bytes, piece) == whole);
    const auto again = listed(queue::showq_greeting() + whole.first + queue::showq_end(), 0);
    require(again.second && again.first == whole.first);
}

void codecs(std::string_view bytes) {
    (void)read_tcp_reply(bytes);
    (void)read_socketmap_reply(bytes);
    if (const auto number = netstring_size(bytes, socketmap_reply_limit); number && *number > socketmap_reply_limit)
        std::abort();
    require(percent_decode(percent_encode(bytes)) == std::string(bytes));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t piece = data[1];
    const exchange exchanges[] = {
        [](client_stream& server) {
            const auto line = ask_tcp(server, "k k");
            return line ? shown(read_tcp_reply(*line)) : line;
        },
        [](client_stream& server) {
            const auto told = ask_socketmap(server, "m", "k");
            return told ? shown(read_socketmap_reply(*told)) : told;
        },
        [](client_stream& server) { return shown(memcache_get(server, "k", small)); },
        stored,
        from_redis,
        from_proxymap,
    };
    const std::size_t which = data[0] % (std::size(exchanges) + 4);
    if (which < std::size(exchanges))
        answer(exchanges[which], bytes, piece);
    else if (which == std::size(exchanges))
        requests("proxymap", bytes, piece);
    else if (which == std::size(exchanges) + 1)
        requests("proxywrite", bytes, piece);
    else if (which == std::size(exchanges) + 2)
        listing(bytes, piece);
    else
        codecs(bytes);
    return 0;
}
