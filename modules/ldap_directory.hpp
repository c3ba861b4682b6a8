// One connection to an LDAP server, for ldap: tables: how it is opened, how it is searched.
//
// Included by modules/ldap.cpp only.
#pragma once

#include <ldap.h>
#include <sasl/sasl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/core/text.hpp>
#include <mta/table/server_pool.hpp>

namespace mta::table {

struct directory_options {
    std::vector<std::string> uris;
    int timeout = 10; // seconds, each wait
    int version = 3;
    int dereference = 0;
    int debug_level = 0;
    bool chase_referrals = false;
    enum class bind_kind { none, simple, sasl } bind = bind_kind::simple;
    std::string bind_dn, bind_password;
    std::string sasl_mechanisms, sasl_realm, sasl_authorization;
    int sasl_least_strength = 0;
    bool start_tls = false, tls_require_certificate = false;
    std::string tls_ca_directory, tls_ca_file, tls_certificate, tls_key, tls_cipher_suite, tls_random_file;
};

struct ldap_closer {
    void operator()(LDAP* handle) const noexcept { ::ldap_unbind_ext(handle, nullptr, nullptr); }
};
struct message_freer {
    void operator()(LDAPMessage* message) const noexcept { ::ldap_msgfree(message); }
};
using ldap_ptr = std::unique_ptr<LDAP, ldap_closer>;
using message_ptr = std::unique_ptr<LDAPMessage, message_freer>;

// What to do after a failed operation: whether another server, or the same one anew, may do better.
inline trial after(int code) {
    switch (code) {
    case LDAP_SUCCESS:
        return trial::done;
    case LDAP_TIMEOUT:
        return trial::hung;
    case LDAP_SERVER_DOWN:
    case LDAP_CONNECT_ERROR:
    case LDAP_UNAVAILABLE:
    case LDAP_BUSY:
    case LDAP_LOCAL_ERROR:
    case LDAP_ENCODING_ERROR:
    case LDAP_DECODING_ERROR:
        return trial::broken;
    default:
        return trial::refused;
    }
}

inline std::string describe(LDAP* handle, int code) {
    std::string out = std::to_string(code) + ": " + ::ldap_err2string(code);
    char* more = nullptr;
    if (handle != nullptr && ::ldap_get_option(handle, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more) == LDAP_OPT_SUCCESS &&
        more != nullptr && *more != '\0')
        out += std::string(" (") + more + ")";
    ::ldap_memfree(more);
    return out;
}

namespace ldap_detail {

// Answers what a SASL mechanism asks: the table's parameters.
inline int interact(LDAP*, unsigned, void* defaults, void* questions) {
    const auto& options = *static_cast<const directory_options*>(defaults);
    for (auto* one = static_cast<sasl_interact_t*>(questions); one->id != SASL_CB_LIST_END; ++one) {
        const std::string* answer = one->id == SASL_CB_AUTHNAME  ? &options.bind_dn
                                    : one->id == SASL_CB_PASS    ? &options.bind_password
                                    : one->id == SASL_CB_USER    ? &options.sasl_authorization
                                    : one->id == SASL_CB_GETREALM ? &options.sasl_realm
                                                                  : nullptr;
        if (answer == nullptr)
            continue;
        one->result = answer->c_str();
        one->len = static_cast<unsigned>(answer->size());
    }
    return LDAP_SUCCESS;
}

inline int start_tls(LDAP* handle, const directory_options& o) {
    const auto set = [&](int option, const std::string& value) {
        return value.empty() || ::ldap_set_option(handle, option, value.c_str()) == LDAP_OPT_SUCCESS;
    };
    const int demand = o.tls_require_certificate ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
    const int client = 0;
    if (!set(LDAP_OPT_X_TLS_CACERTDIR, o.tls_ca_directory) || !set(LDAP_OPT_X_TLS_CACERTFILE, o.tls_ca_file) ||
        !set(LDAP_OPT_X_TLS_CERTFILE, o.tls_certificate) || !set(LDAP_OPT_X_TLS_KEYFILE, o.tls_key) ||
        !set(LDAP_OPT_X_TLS_CIPHER_SUITE, o.tls_cipher_suite) ||
        ::ldap_set_option(handle, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) != LDAP_OPT_SUCCESS ||
        ::ldap_set_option(handle, LDAP_OPT_X_TLS_NEWCTX, &client) != LDAP_OPT_SUCCESS)
        return LDAP_PARAM_ERROR;
    return o.start_tls ? ::ldap_start_tls_s(handle, nullptr, nullptr) : LDAP_SUCCESS;
}

inline int bind(LDAP* handle, const directory_options& o) {
    if (o.bind == directory_options::bind_kind::none)
        return LDAP_SUCCESS;
    if (o.bind == directory_options::bind_kind::sasl)
        return ::ldap_sasl_interactive_bind_s(handle, o.bind_dn.empty() ? nullptr : o.bind_dn.c_str(),
                                              o.sasl_mechanisms.empty() ? nullptr : o.sasl_mechanisms.c_str(), nullptr,
                                              nullptr, LDAP_SASL_QUIET, interact, const_cast<directory_options*>(&o));
    std::string password = o.bind_password;
    berval secret{static_cast<ber_len_t>(password.size()), password.data()};
    return ::ldap_sasl_bind_s(handle, o.bind_dn.c_str(), LDAP_SASL_SIMPLE, &secret, nullptr, nullptr, nullptr);
}

} // namespace ldap_detail

[[nodiscard]] inline result<ldap_ptr> open_directory(const std::string& uri, const directory_options& o) {
    LDAP* raw = nullptr;
    const auto failed = [&](const std::string& what, int code) {
        return fail(errc::temporary, what + " ldap server " + uri + ": " + describe(raw, code));
    };
    if (const int code = ::ldap_initialize(&raw, uri.c_str()); code != LDAP_SUCCESS)
        return failed("connect to", code);
    ldap_ptr out(raw);
    const timeval limit{o.timeout, 0};
    const bool tls = o.start_tls || uri.starts_with("ldaps:");
    if (::ldap_set_option(raw, LDAP_OPT_PROTOCOL_VERSION, &o.version) != LDAP_OPT_SUCCESS ||
        ::ldap_set_option(raw, LDAP_OPT_NETWORK_TIMEOUT, &limit) != LDAP_OPT_SUCCESS ||
        ::ldap_set_option(raw, LDAP_OPT_TIMEOUT, &limit) != LDAP_OPT_SUCCESS ||
        ::ldap_set_option(raw, LDAP_OPT_DEREF, &o.dereference) != LDAP_OPT_SUCCESS ||
        ::ldap_set_option(raw, LDAP_OPT_REFERRALS, o.chase_referrals ? LDAP_OPT_ON : LDAP_OPT_OFF) != LDAP_OPT_SUCCESS)
        return failed("set options for", LDAP_PARAM_ERROR);
    if (!o.tls_random_file.empty())
        ::ldap_set_option(nullptr, LDAP_OPT_X_TLS_RANDOM_FILE, o.tls_random_file.c_str());
    if (o.debug_level > 0)
        ::ldap_set_option(nullptr, LDAP_OPT_DEBUG_LEVEL, &o.debug_level);
    if (o.sasl_least_strength > 0) {
        const auto strength = static_cast<ber_len_t>(o.sasl_least_strength);
        ::ldap_set_option(raw, LDAP_OPT_X_SASL_SSF_MIN, &strength);
    }
    if (const int code = tls ? ldap_detail::start_tls(raw, o) : LDAP_SUCCESS; code != LDAP_SUCCESS)
        return failed("start TLS with", code);
    if (const int code = ldap_detail::bind(raw, o); code != LDAP_SUCCESS)
        return failed("bind to", code);
    return out;
}

} // namespace mta::table
