// nis: tables, such as nis:mail.aliases: a map of this host's NIS domain, asked through the system's NIS client.
//
// Keys in maps that were made of text files often end in a NUL: a key is tried with it and without, and what was found first
// is kept to. Only "no such key" is "not found"; a server or a map that is not there is "try again later".
#include <rpcsvc/ypclnt.h>

#include <cstdlib>

#include <mta/table/client_module.hpp>

namespace mta::table {
namespace {

struct freer {
    void operator()(char* bytes) const noexcept { std::free(bytes); } // NOLINT: the library's malloc
};

class nis_table final : public lookup_table {
public:
    nis_table(std::string map, std::string domain)
        : lookup_table("nis:" + map, {.may_block = true}), map_(std::move(map)), domain_(std::move(domain)) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        for (const bool with_nul : {true, false}) {
            if (style_ && *style_ != with_nul)
                continue;
            auto found = ask(std::string(key), with_nul);
            if (!found)
                return found;
            if (*found) {
                style_ = with_nul;
                return found;
            }
        }
        return std::nullopt;
    }

private:
    result<std::optional<std::string>> ask(const std::string& key, bool with_nul) {
        char* bytes = nullptr;
        int size = 0;
        const int code = ::yp_match(domain_.c_str(), map_.c_str(), key.c_str(),
                                    static_cast<int>(key.size()) + (with_nul ? 1 : 0), &bytes, &size);
        const std::unique_ptr<char, freer> owner(bytes);
        if (code == YPERR_KEY)
            return std::nullopt;
        if (code != YPERR_SUCCESS)
            return fail(errc::temporary, "NIS map " + map_ + " in domain " + domain_ + ": " + ::yperr_string(code));
        std::string value(bytes, static_cast<std::size_t>(size));
        value.erase(std::min(value.find('\0'), value.size()));
        return value;
    }

    std::string map_;
    std::string domain_;
    std::optional<bool> style_; // whether keys end in a NUL, once it is known
};

result<table_ptr> open_nis(const client_settings& settings, const client_log&) {
    char* domain = nullptr; // the library's own
    if (const int code = ::yp_get_default_domain(&domain); code != 0 || domain == nullptr)
        return fail(errc::temporary, std::string("NIS domain: ") + ::yperr_string(code));
    return table_ptr(std::make_unique<nis_table>(settings.name(), domain));
}

} // namespace
} // namespace mta::table

extern "C" const mtad_table_module* mtad_table_entry() {
    static const auto module = mta::table::make_module<mta::table::open_nis>("nis", MTAD_TABLE_MAY_BLOCK);
    return &module;
}
