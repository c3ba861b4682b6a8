// A module (module.h) made of a C++ lookup_table: what a file of modules/ needs beside its table class.
//
//     extern "C" const mtad_table_module* mtad_table_entry() {
//         static const auto module = mta::table::make_module<open_mysql>("mysql", MTAD_TABLE_MAY_BLOCK);
//         return &module;
//     }
//
// Every exception ends here and becomes "temporary". Include it in one file of a module, and in no program.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <mta/table/answer_builder.hpp>
#include <mta/table/client_settings.hpp>
#include <mta/table/lookup_table.hpp>
#include <mta/table/module.h>

namespace mta::table {

// Writes lines of one table into the host's mail log.
class client_log {
public:
    explicit client_log(const mtad_table_host* host) : host_(host) {}
    void warning(std::string_view text) const { host_->log(host_->context, MTAD_TABLE_WARNING, text.data(), text.size()); }

private:
    const mtad_table_host* host_;
};

// The answer, with a warning for each value that was empty.
[[nodiscard]] inline std::optional<std::string> finished(answer_builder answer, std::string_view key,
                                                         const client_log& log) {
    for (int i = 0; i < answer.empty_values(); ++i)
        log.warning("empty lookup result for: \"" + std::string(key) + "\" -- ignored");
    return std::move(answer).finish();
}

using client_opener = result<table_ptr> (*)(const client_settings& settings, const client_log& log);

namespace module_detail {

inline void put(const mtad_table_sink* sink, std::string_view bytes) {
    sink->put(sink->context, bytes.data(), bytes.size());
}

inline int failed(const mtad_table_sink* sink, const mta::error& why) {
    put(sink, why.text());
    return is_temporary(why.code) ? MTAD_TABLE_TEMPORARY : MTAD_TABLE_PERMANENT;
}

// The border: no exception passes.
template <class Body>
int guarded(const mtad_table_sink* sink, Body&& body) noexcept {
    try {
        return body();
    } catch (const std::exception& trouble) {
        put(sink, trouble.what());
    } catch (...) {
        put(sink, "unknown exception");
    }
    return MTAD_TABLE_TEMPORARY;
}

struct text_reader {
    std::string bytes;
    static void put(void* context, const char* bytes, std::size_t size) {
        static_cast<text_reader*>(context)->bytes.append(bytes, size);
    }
};

inline std::optional<std::string> read_parameter(const mtad_table_host* host, const std::string& name) {
    text_reader text;
    const mtad_table_sink sink{&text, text_reader::put};
    if (host->parameter(host->context, name.c_str(), &sink) != MTAD_TABLE_FOUND)
        return std::nullopt;
    return std::move(text.bytes);
}

template <client_opener Open>
int open(const mtad_table_host* host, const char* name, void** table, const mtad_table_sink* reason) {
    return guarded(reason, [&] {
        const client_settings settings(name, [host](const std::string& parameter) {
            return read_parameter(host, parameter);
        });
        auto opened = Open(settings, client_log(host));
        if (!opened)
            return failed(reason, opened.error());
        *table = opened->release();
        return static_cast<int>(MTAD_TABLE_FOUND);
    });
}

inline int lookup(void* table, const char* key, std::size_t size, const mtad_table_sink* answer) {
    return guarded(answer, [&] {
        auto found = static_cast<lookup_table*>(table)->lookup({key, size});
        if (!found)
            return failed(answer, found.error());
        if (!*found)
            return static_cast<int>(MTAD_TABLE_ABSENT);
        put(answer, **found);
        return static_cast<int>(MTAD_TABLE_FOUND);
    });
}

inline void close(void* table) { delete static_cast<lookup_table*>(table); }

} // namespace module_detail

template <client_opener Open>
[[nodiscard]] mtad_table_module make_module(const char* type, unsigned traits) {
    return {MTAD_TABLE_VERSION, sizeof(mtad_table_module), type, traits,
            module_detail::open<Open>, module_detail::lookup, nullptr, module_detail::close};
}

} // namespace mta::table
