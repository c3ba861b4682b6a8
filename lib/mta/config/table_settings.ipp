// The lists of table_settings.hpp.
#include <mta/config/table_settings.hpp>

#include <algorithm>

namespace mta::config {
namespace detail {

constexpr std::string_view ldap_settings[] = {
    "bind",          "bind_dn",          "bind_pw",         "cache",           "cache_expiry",
    "cache_size",    "chase_referrals",  "debuglevel",      "dereference",     "domain",
    "expansion_limit", "leaf_result_attribute", "query_filter", "result_attribute", "result_filter",
    "result_format", "sasl_authz_id",    "sasl_mechs",      "sasl_minssf",     "sasl_realm",
    "scope",         "search_base",      "server_host",     "server_port",     "size_limit",
    "special_result_attribute", "start_tls", "terminal_result_attribute", "timeout", "tls_ca_cert_dir",
    "tls_ca_cert_file", "tls_cert",      "tls_cipher_suite", "tls_key",        "tls_random_file",
    "tls_require_cert", "version",
};
constexpr std::string_view mysql_settings[] = {
    "additional_conditions", "charset", "dbname",        "domain",       "expansion_limit", "hosts",
    "idle_interval",         "option_file", "option_group", "password",  "query",           "require_result_set",
    "result_format",         "retry_interval", "select_field", "table",  "tls_CAfile",      "tls_CApath",
    "tls_cert_file",         "tls_ciphers", "tls_key_file", "tls_verify_cert", "user",      "where_field",
};
constexpr std::string_view pgsql_settings[] = {
    "additional_conditions", "dbname", "domain",        "encoding",       "expansion_limit", "hosts",
    "idle_interval",         "password", "query",       "result_format",  "retry_interval",  "select_field",
    "select_function",       "table",  "user",          "where_field",
};
constexpr std::string_view sqlite_settings[] = {
    "additional_conditions", "dbpath", "domain", "expansion_limit", "query", "result_format", "select_field", "table",
    "where_field",
};
constexpr std::string_view memcache_settings[] = {
    "backup",   "data_size_limit", "domain",      "flags",   "key_format", "line_size_limit",
    "max_try",  "memcache",        "retry_pause", "timeout", "ttl",
};

} // namespace detail

std::span<const std::string_view> table_settings(std::string_view type) noexcept {
    if (type == "ldap")
        return detail::ldap_settings;
    if (type == "mysql")
        return detail::mysql_settings;
    if (type == "pgsql")
        return detail::pgsql_settings;
    if (type == "sqlite")
        return detail::sqlite_settings;
    if (type == "memcache")
        return detail::memcache_settings;
    return {};
}

} // namespace mta::config
