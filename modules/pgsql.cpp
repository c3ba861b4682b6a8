// pgsql: tables (pgsql_table(5)), for PostgreSQL servers.
//
// The connection speaks UTF-8 (parameter encoding), so that what is quoted here means the same there. Queries go out
// without waiting, and the answer is waited for at most as long as parameter timeout says.
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

#include <mta/table/answer_builder.hpp>
#include <mta/table/client_module.hpp>
#include <mta/table/server_pool.hpp>
#include <mta/table/settings_reader.hpp>
#include <mta/table/sql_query.hpp>

namespace mta::table {
namespace {

struct connection_deleter {
    void operator()(PGconn* connection) const noexcept { ::PQfinish(connection); }
};
struct result_deleter {
    void operator()(PGresult* rows) const noexcept { ::PQclear(rows); }
};
using connection = std::unique_ptr<PGconn, connection_deleter>;
using result_ptr = std::unique_ptr<PGresult, result_deleter>;
using clock = std::chrono::steady_clock;

struct pgsql_options {
    std::string user, password, database, encoding;
    std::chrono::seconds timeout{};
};

// libpq ends its messages with a line end, and writes them over several lines.
std::string one_line(const char* text) {
    std::string out(trim(text));
    for (char& c : out)
        if (c == '\n')
            c = ' ';
    return out;
}

void quote(PGconn* to, std::string& out, std::string_view bytes, sql_context context) {
    if (context == sql_context::double_quotes) {
        append_doubled(out, bytes, '"');
        return;
    }
    if (context == sql_context::escape_string) {
        for (const char c : bytes) {
            if (c == '\'' || c == '\\')
                out += c;
            out += c;
        }
        return;
    }
    std::string room(bytes.size() * 2 + 1, '\0');
    int trouble = 0;
    const auto size = ::PQescapeStringConn(to, room.data(), bytes.data(), bytes.size(), &trouble);
    out.append(room, 0, size);
}

class pgsql_table final : public lookup_table {
public:
    pgsql_table(std::string name, const std::vector<std::string>& hosts, pgsql_options options, sql_query query,
                pool_options pool, const client_log& log)
        : lookup_table(std::move(name), {.may_block = true}), options_(std::move(options)), query_(std::move(query)),
          log_(log), servers_(hosts, [this](const server_address& to) { return connect(to); },
                              [this](const std::string& why) { log_.warning(why); }, pool) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (!query_.expand(key, [](std::string&, std::string_view, sql_context) {}))
            return std::nullopt;
        result<std::optional<std::string>> answer = fail(errc::temporary, "no answer");
        auto asked = servers_.ask([&](connection& server, std::string& why) {
            return ask(server.get(), key, answer, why);
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        return answer;
    }

private:
    result<std::unique_ptr<connection>> connect(const server_address& to) const;
    trial ask(PGconn* server, std::string_view key, result<std::optional<std::string>>& answer,
                std::string& why) const;
    result<result_ptr> wait_result(PGconn* server, clock::time_point deadline) const;

    pgsql_options options_;
    sql_query query_;
    client_log log_;
    server_pool<connection> servers_;
};

// Waits until the socket can be read or written; false when the deadline passed.
bool wait_socket(int fd, short events, clock::time_point deadline) {
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
        if (left <= 0)
            return false;
        pollfd entry{fd, events, 0};
        if (::poll(&entry, 1, static_cast<int>(left)) > 0)
            return true;
        if (errno != EINTR && clock::now() >= deadline)
            return false;
    }
}

result<std::unique_ptr<connection>> pgsql_table::connect(const server_address& to) const {
    // The later of two entries of one name wins, so that a URI may say what hosts cannot, TLS above all.
    std::vector<std::pair<const char*, std::string>> words;
    words.emplace_back("client_encoding", options_.encoding);
    words.emplace_back("connect_timeout", std::to_string(options_.timeout.count()));
    if (to.what == server_address::kind::uri) {
        words.emplace_back("dbname", to.host);
    } else {
        words.emplace_back("dbname", options_.database);
        words.emplace_back("user", options_.user);
        words.emplace_back("password", options_.password);
        words.emplace_back("host", to.host);
        words.emplace_back("port", to.port);
    }
    std::vector<const char*> names, values;
    for (const auto& [name, value] : words) {
        names.push_back(name);
        values.push_back(value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    auto out = std::make_unique<connection>(::PQconnectStartParams(names.data(), values.data(), 1));
    PGconn* server = out->get();
    const auto failed = [&](const std::string& why) {
        return fail(errc::temporary, "connect to pgsql server " +
                                         (to.what == server_address::kind::uri ? std::string("of a URI") : to.text) +
                                         ": " + why);
    };
    if (server == nullptr)
        return failed("out of memory");
    const auto deadline = clock::now() + options_.timeout;
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK; state = ::PQconnectPoll(server)) {
        if (::PQstatus(server) == CONNECTION_BAD || state == PGRES_POLLING_FAILED)
            return failed(one_line(::PQerrorMessage(server)));
        if (!wait_socket(::PQsocket(server), state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return failed("timed out");
    }
    if (::PQsetnonblocking(server, 1) != 0)
        return failed(one_line(::PQerrorMessage(server)));
    return out;
}

// The next result, none after the last. The error is a connection that broke, or errc::timeout.
result<result_ptr> pgsql_table::wait_result(PGconn* server, clock::time_point deadline) const {
    for (;;) {
        const int unsent = ::PQflush(server);
        if (unsent < 0)
            return fail(errc::closed, one_line(::PQerrorMessage(server)));
        if (unsent == 0 && !::PQisBusy(server))
            return result_ptr(::PQgetResult(server));
        const auto events = static_cast<short>(unsent > 0 ? POLLIN | POLLOUT : POLLIN);
        if (!wait_socket(::PQsocket(server), events, deadline))
            return fail(errc::timeout, "no answer within the time limit");
        if (::PQconsumeInput(server) == 0)
            return fail(errc::closed, one_line(::PQerrorMessage(server)));
    }
}

trial pgsql_table::ask(PGconn* server, std::string_view key, result<std::optional<std::string>>& answer,
                         std::string& why) const {
    const auto query = query_.expand(key, [&](std::string& out, std::string_view bytes, sql_context context) {
        quote(server, out, bytes, context);
    });
    const auto broke = [&](const std::string& text, trial how) {
        why = "pgsql query failed: " + text;
        answer = fail(errc::temporary, why);
        return how;
    };
    if (::PQsendQuery(server, query->c_str()) == 0)
        return broke(one_line(::PQerrorMessage(server)), trial::broken);
    const auto deadline = clock::now() + options_.timeout;
    result_ptr last; // of several statements the last one answers
    for (;;) {
        auto rows = wait_result(server, deadline);
        if (!rows)
            return broke(rows.error().text(), rows.error().code == errc::timeout ? trial::hung : trial::broken);
        if (!*rows)
            break;
        const auto status = ::PQresultStatus(rows->get());
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
            return broke("COPY is no query", trial::broken);
        last = std::move(*rows);
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
            // Read on to the end, so that the connection is fit for the next query.
            const auto text = one_line(::PQresultErrorMessage(last.get()));
            for (auto rest = wait_result(server, deadline); rest && *rest; rest = wait_result(server, deadline))
                continue;
            return broke(text, ::PQstatus(server) == CONNECTION_OK ? trial::refused : trial::broken);
        }
    }
    answer_builder values(query_.answers(), key);
    const int columns = last ? ::PQnfields(last.get()) : 0;
    for (int row = 0, count = last ? ::PQntuples(last.get()) : 0; row < count; ++row) {
        for (int column = 0; column < columns; ++column) {
            if (::PQgetisnull(last.get(), row, column) != 0)
                continue;
            const auto size = static_cast<std::size_t>(::PQgetlength(last.get(), row, column));
            if (auto added = values.add({::PQgetvalue(last.get(), row, column), size}); !added) {
                answer = tl::make_unexpected(added.error());
                return trial::done;
            }
        }
    }
    answer = finished(std::move(values), key, log_);
    return trial::done;
}

result<table_ptr> open_pgsql(const client_settings& settings, const client_log& log) {
    settings_reader read(settings);
    pgsql_options options;
    options.user = read.text("user");
    options.password = read.text("password");
    const auto hosts = read.hosts("localhost");
    const bool has_uri = std::ranges::any_of(hosts, [](const auto& host) { return host.find("://") != std::string::npos; });
    options.database = read.text("dbname", {}, has_uri ? 0 : 1);
    options.encoding = read.text("encoding", "UTF8", 1);
    options.timeout = std::chrono::seconds(read.number("timeout", 20, 1, 3600));
    const auto pool = read.pool();
    if (!read.trouble().empty())
        return fail(errc::malformed, read.trouble());
    auto query = sql_query::read(settings, sql_dialect::postgresql);
    if (!query)
        return tl::make_unexpected(query.error());
    return table_ptr(std::make_unique<pgsql_table>("pgsql:" + settings.name(), hosts, std::move(options),
                                                   std::move(*query), pool, log));
}

} // namespace
} // namespace mta::table

extern "C" const mtad_table_module* mtad_table_entry() {
    static const auto module = mta::table::make_module<mta::table::open_pgsql>("pgsql", MTAD_TABLE_MAY_BLOCK);
    return &module;
}
