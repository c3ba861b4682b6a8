// mysql: tables (mysql_table(5)), for MySQL and MariaDB servers.
//
// The connection speaks UTF-8 (parameter charset), so that what is quoted here means the same there. The SQL modes that
// change what quotes mean are asked for once a connection. Every wait has a limit.
#include <mysql.h>
#include <errmsg.h>

#include <array>

#include <mta/table/answer_builder.hpp>
#include <mta/table/client_module.hpp>
#include <mta/table/server_pool.hpp>
#include <mta/table/settings_reader.hpp>
#include <mta/table/sql_query.hpp>

namespace mta::table {
namespace {

struct connection_deleter {
    void operator()(MYSQL* connection) const noexcept { ::mysql_close(connection); }
};
struct result_deleter {
    void operator()(MYSQL_RES* rows) const noexcept { ::mysql_free_result(rows); }
};
using result_ptr = std::unique_ptr<MYSQL_RES, result_deleter>;

struct mysql_options_set {
    std::string user, password, database, option_file, option_group, charset;
    std::string tls_key, tls_certificate, tls_ca_file, tls_ca_path, tls_ciphers;
    bool tls_verify = false;
    bool require_result_set = true;
    unsigned timeout = 0; // seconds
};

struct connection {
    std::unique_ptr<MYSQL, connection_deleter> handle;
    bool no_backslash_escapes = false; // SQL modes of this session
    bool ansi_quotes = false;
};

std::string message(MYSQL* handle) { return ::mysql_error(handle); }

const char* or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

void quote(const connection& to, std::string& out, std::string_view bytes, sql_context context) {
    const char mark = context == sql_context::double_quotes ? '"' : '\'';
    if (to.no_backslash_escapes || (mark == '"' && to.ansi_quotes)) {
        append_doubled(out, bytes, mark);
        return;
    }
    std::string room(bytes.size() * 2 + 1, '\0');
    const auto size = ::mysql_real_escape_string(to.handle.get(), room.data(), bytes.data(),
                                                 static_cast<unsigned long>(bytes.size()));
    out.append(room, 0, size);
}

// Whether the server still listens to this connection after an error.
bool is_broken(unsigned number) {
    return number == CR_SERVER_GONE_ERROR || number == CR_SERVER_LOST || number == CR_COMMANDS_OUT_OF_SYNC ||
           number == CR_UNKNOWN_ERROR || number == 1053 /* ER_SERVER_SHUTDOWN */ ||
           number == 1927 /* ER_CONNECTION_KILLED */ || number == 4031 /* ER_CLIENT_INTERACTION_TIMEOUT */;
}

class mysql_table final : public lookup_table {
public:
    mysql_table(std::string name, const std::vector<std::string>& hosts, mysql_options_set options, sql_query query,
                pool_options pool, const client_log& log)
        : lookup_table(std::move(name), {.may_block = true}), options_(std::move(options)), query_(std::move(query)),
          log_(log), servers_(hosts, [this](const server_address& to) { return connect(to); },
                              [this](const std::string& why) { log_.warning(why); }, pool) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        // Without a server it is clear already for some keys that they are not in the table.
        if (!query_.expand(key, [](std::string&, std::string_view, sql_context) {}))
            return std::nullopt;
        result<std::optional<std::string>> answer = fail(errc::temporary, "no answer");
        auto asked = servers_.ask([&](connection& server, std::string& why) {
            return ask(server, key, answer, why);
        });
        if (!asked)
            return tl::make_unexpected(asked.error());
        return answer;
    }

private:
    result<std::unique_ptr<connection>> connect(const server_address& to) const;
    [[nodiscard]] std::string read_modes(connection& to) const;
    trial ask(connection& server, std::string_view key, result<std::optional<std::string>>& answer,
                std::string& why) const;
    result<bool> take_rows(MYSQL* handle, answer_builder& answer) const;

    mysql_options_set options_;
    sql_query query_;
    client_log log_;
    server_pool<connection> servers_;
};

result<std::unique_ptr<connection>> mysql_table::connect(const server_address& to) const {
    auto out = std::make_unique<connection>();
    MYSQL* handle = ::mysql_init(nullptr);
    if (handle == nullptr)
        return fail(errc::temporary, "mysql_init: out of memory");
    out->handle.reset(handle);
    ::mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &options_.timeout);
    ::mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &options_.timeout);
    ::mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &options_.timeout);
    if (!options_.option_file.empty())
        ::mysql_options(handle, MYSQL_READ_DEFAULT_FILE, options_.option_file.c_str());
    if (!options_.option_group.empty())
        ::mysql_options(handle, MYSQL_READ_DEFAULT_GROUP, options_.option_group.c_str());
    if (!options_.charset.empty())
        ::mysql_options(handle, MYSQL_SET_CHARSET_NAME, options_.charset.c_str());
    const auto& o = options_;
    if (!o.tls_key.empty() || !o.tls_certificate.empty() || !o.tls_ca_file.empty() || !o.tls_ca_path.empty() ||
        !o.tls_ciphers.empty())
        ::mysql_ssl_set(handle, or_null(o.tls_key), or_null(o.tls_certificate), or_null(o.tls_ca_file),
                        or_null(o.tls_ca_path), or_null(o.tls_ciphers));
    if (o.tls_verify) {
        const my_bool yes = 1;
        ::mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    }
    const bool local = to.what == server_address::kind::local;
    unsigned port = 0;
    if (const auto number = parse_integer(to.port); number && *number > 0 && *number < 65536)
        port = static_cast<unsigned>(*number);
    else if (!to.port.empty())
        return fail(errc::temporary, "connect to mysql server " + to.text + ": bad port");
    if (::mysql_real_connect(handle, local ? nullptr : to.host.c_str(), or_null(o.user), or_null(o.password),
                             or_null(o.database), port, local ? to.host.c_str() : nullptr,
                             CLIENT_MULTI_RESULTS) == nullptr)
        return fail(errc::temporary, "connect to mysql server " + to.text + ": " + message(handle));
    if (const auto why = read_modes(*out); !why.empty())
        return fail(errc::temporary, "connect to mysql server " + to.text + ": " + why);
    return out;
}

// Empty when all is well.
std::string mysql_table::read_modes(connection& to) const {
    MYSQL* handle = to.handle.get();
    constexpr std::string_view question = "SELECT @@SESSION.sql_mode";
    if (::mysql_real_query(handle, question.data(), question.size()) != 0)
        return message(handle);
    const result_ptr rows(::mysql_store_result(handle));
    const auto row = rows ? ::mysql_fetch_row(rows.get()) : nullptr;
    if (row == nullptr || row[0] == nullptr)
        return "no answer to " + std::string(question);
    const std::string modes = "," + std::string(row[0]) + ",";
    to.no_backslash_escapes = modes.find(",NO_BACKSLASH_ESCAPES,") != std::string::npos;
    to.ansi_quotes = modes.find(",ANSI_QUOTES,") != std::string::npos;
    return {};
}

trial mysql_table::ask(connection& server, std::string_view key, result<std::optional<std::string>>& answer,
                         std::string& why) const {
    MYSQL* handle = server.handle.get();
    const auto query = query_.expand(key, [&](std::string& out, std::string_view bytes, sql_context context) {
        quote(server, out, bytes, context);
    });
    const auto failed = [&] {
        const auto number = ::mysql_errno(handle);
        why = "mysql query failed: " + message(handle);
        answer = fail(errc::temporary, why);
        return is_broken(number) ? trial::broken : trial::refused;
    };
    if (::mysql_real_query(handle, query->data(), static_cast<unsigned long>(query->size())) != 0)
        return failed();
    answer_builder values(query_.answers(), key);
    int sets = 0;
    for (int more = 0; more == 0; more = ::mysql_next_result(handle)) {
        const auto taken = take_rows(handle, values);
        if (!taken && ::mysql_errno(handle) != 0)
            return failed();
        if (!taken) {
            answer = tl::make_unexpected(taken.error());
            return trial::done;
        }
        sets += *taken ? 1 : 0;
        // A stored procedure ends with a status of its own, which has no rows.
        if (!::mysql_more_results(handle))
            break;
    }
    if (::mysql_errno(handle) != 0)
        return failed();
    if (sets > 1) {
        answer = fail(errc::temporary, "query returned more than one result set");
        return trial::done;
    }
    if (sets == 0 && options_.require_result_set) {
        answer = fail(errc::temporary, "query failed: query returned no result set (require_result_set = yes)");
        return trial::done;
    }
    answer = finished(std::move(values), key, log_);
    return trial::done;
}

// Whether there was a result set. An error without a number in the handle is ours.
result<bool> mysql_table::take_rows(MYSQL* handle, answer_builder& answer) const {
    const result_ptr rows(::mysql_store_result(handle));
    if (!rows) {
        if (::mysql_errno(handle) != 0)
            return fail(errc::temporary, message(handle));
        return false;
    }
    const auto columns = ::mysql_num_fields(rows.get());
    result<void> added;
    while (const auto row = ::mysql_fetch_row(rows.get())) {
        const auto* sizes = ::mysql_fetch_lengths(rows.get());
        for (unsigned i = 0; i < columns && added; ++i)
            if (row[i] != nullptr)
                added = answer.add({row[i], sizes[i]});
    }
    if (!added)
        return tl::make_unexpected(added.error());
    return true;
}

result<table_ptr> open_mysql(const client_settings& settings, const client_log& log) {
    settings_reader read(settings);
    mysql_options_set options;
    options.user = read.text("user");
    options.password = read.text("password");
    options.database = read.text("dbname", "", 1);
    options.option_file = read.text("option_file");
    options.option_group = read.text("option_group", "client");
    options.charset = read.text("charset", "utf8mb4");
    options.tls_key = read.text("tls_key_file");
    options.tls_certificate = read.text("tls_cert_file");
    options.tls_ca_file = read.text("tls_CAfile");
    options.tls_ca_path = read.text("tls_CApath");
    options.tls_ciphers = read.text("tls_ciphers");
    options.tls_verify = read.yes_no("tls_verify_cert", false);
    options.require_result_set = read.yes_no("require_result_set", true);
    options.timeout = static_cast<unsigned>(read.number("timeout", 20, 1, 3600));
    const auto pool = read.pool();
    const auto hosts = read.hosts("localhost");
    if (!read.trouble().empty())
        return fail(errc::malformed, read.trouble());
    auto query = sql_query::read(settings, sql_dialect::mysql);
    if (!query)
        return tl::make_unexpected(query.error());
    return table_ptr(std::make_unique<mysql_table>("mysql:" + settings.name(), hosts, std::move(options),
                                                   std::move(*query), pool, log));
}

} // namespace
} // namespace mta::table

extern "C" const mtad_table_module* mtad_table_entry() {
    static const auto module = mta::table::make_module<mta::table::open_mysql>("mysql", MTAD_TABLE_MAY_BLOCK);
    return &module;
}
