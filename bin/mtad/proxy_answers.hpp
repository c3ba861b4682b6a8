// The proxymap and proxywrite services without their sockets: a request in, an answer out. docs/queue-format.md has the wire
// format.
//
// Which tables: those named in proxy_read_maps (proxymap) or proxy_write_maps (proxywrite) with "proxy:" in front, and no
// other. They are opened when first asked for, with the process's rights. Whoever reaches private/ may ask: nothing in a
// request is trusted (fuzz_protocols).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/core/attr.hpp>
#include <mta/core/log.hpp>
#include <mta/table/live_table.hpp>
#include <mta/table/proxy_protocol.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::daemon {

// A request of more bytes is none.
inline constexpr std::size_t longest_proxy_request = 262'144;

// Where a client is in its walk through a table.
struct proxy_walk {
    std::vector<std::string> keys;
    std::size_t next = 0;
};
using proxy_walks = std::map<std::string, proxy_walk>; // by table; one a client

class proxy_answers {
public:
    // service tells which of the two it is.
    proxy_answers(const config::configuration& cfg, const std::string& service);

    // Under no_waiting the answer counts only when nothing had to wait. Safe on several threads, each with its walks.
    [[nodiscard]] std::string answer(const attr_list& request, proxy_walks& walks, const logger& log);

private:
    using outcome = table::proxy_status;
    using table_ref = std::shared_ptr<table::lookup_table>;

    [[nodiscard]] std::string open(const std::string& name, const logger& log);
    [[nodiscard]] std::string lookup(const std::string& name, std::optional<std::string_view> key, bool utf8, const logger& log);
    [[nodiscard]] std::string sequence(const std::string& name, long long function, proxy_walks& walks, const logger& log);
    [[nodiscard]] std::string change(const std::string& name, std::optional<std::string_view> key,
                                     std::optional<std::string_view> value, const attr_list& request, const logger& log);
    [[nodiscard]] outcome write(const std::string& name, std::string_view key, std::optional<std::string_view> value,
                               table::terminator style, const logger& log);
    [[nodiscard]] outcome approve(const std::string& name, const logger& log) const;
    [[nodiscard]] outcome use(const std::string& name, table_ref& into, const logger& log);

    [[nodiscard]] result<table::writer_ptr> open_writer(const std::string& name, table::terminator style) const;

    [[nodiscard]] static outcome status_of(const error& why) {
        return is_temporary(why.code) ? outcome::retry : outcome::misconfigured;
    }
    [[nodiscard]] static outcome list(table::lookup_table& table, proxy_walk& into, const logger& log);

    bool writes_;
    std::string write_service_; // its name
    std::size_t map_size_;      // lmdb_map_size
    std::set<std::string, std::less<>> approved_;
    std::mutex mutex_; // of tables_
    std::map<std::string, table_ref> tables_;
    std::mutex writing_;
};

} // namespace mta::daemon
