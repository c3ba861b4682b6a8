#include <dlfcn.h>
#include <openssl/opensslv.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include <mta/table/registry.hpp>

#include "postconf.hpp"
#include "print.hpp"

namespace mta::postconf {
namespace {

// Mailbox lock styles, in the order in which administrators know them.
constexpr std::array<std::string_view, 3> lock_styles{"flock", "fcntl", "dotlock"};

// SASL implementations that this build has for its server and its client. None yet.
constexpr std::array<std::string_view, 0> server_sasl_types{};
constexpr std::array<std::string_view, 0> client_sasl_types{};

// libcrypto costs milliseconds to load, and only -T needs it.
class crypto_library {
public:
    explicit crypto_library(config::command_log& log) : handle_(dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_LOCAL)) {
        if (handle_ == nullptr)
            log.fatal(std::string("cannot load the TLS library: ") + dlerror());
    }
    ~crypto_library() { dlclose(handle_); }
    crypto_library(const crypto_library&) = delete;
    crypto_library& operator=(const crypto_library&) = delete;

    [[nodiscard]] const char* version() const {
        const auto call = reinterpret_cast<const char* (*)(int)>(dlsym(handle_, "OpenSSL_version"));
        return call != nullptr ? call(0) : "unknown";
    }
    [[nodiscard]] bool has_algorithm(int number) const {
        const auto call = reinterpret_cast<const void* (*)(void**, int)>(dlsym(handle_, "EVP_PKEY_asn1_find"));
        return call != nullptr && call(nullptr, number) != nullptr;
    }

private:
    void* handle_;
};

struct key_algorithm {
    std::string_view name;
    int number; // OpenSSL's NID_dsa, NID_X9_62_id_ecPublicKey, NID_rsaEncryption
};
constexpr std::array<key_algorithm, 3> key_algorithms{{{"dsa", 116}, {"ecdsa", 408}, {"rsa", 6}}};

int show_tls(std::string_view what, config::command_log& log) {
    if (what == "compile-version") {
        print_line(stdout, OPENSSL_VERSION_TEXT);
    } else if (what == "run-version") {
        print_line(stdout, crypto_library(log).version());
    } else if (what == "public-key-algorithms") {
        const crypto_library library(log);
        for (const auto& one : key_algorithms)
            if (library.has_algorithm(one.number))
                print_line(stdout, one.name);
    } else {
        log.warning("unknown 'postconf -T' mode: " + std::string(what));
        return 1;
    }
    return 0;
}

template <class List>
int show(const List& list) {
    for (const auto& word : list)
        print_line(stdout, word);
    return 0;
}

} // namespace

int show_capabilities(const options& opt, config::command_log& log) {
    if (opt.has('T'))
        return show_tls(opt.capability, log);
    if (opt.has('l'))
        return show(lock_styles);
    if (opt.has('a'))
        return show(server_sasl_types);
    if (opt.has('A'))
        return show(client_sasl_types);
    return show(table::type_names());
}

} // namespace mta::postconf
