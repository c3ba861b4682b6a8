#include <mta/table/server_pool.hpp>

namespace mta::table {

server_address server_address::parse(std::string_view word) {
    server_address out;
    out.text = std::string(word);
    if (word.find("://") != std::string_view::npos) {
        out.what = kind::uri;
        out.host = out.text;
        return out;
    }
    if (word.starts_with("unix:")) {
        out.what = kind::local;
        out.host = std::string(word.substr(5));
        return out;
    }
    if (word.starts_with("inet:"))
        word.remove_prefix(5);
    if (word.starts_with('[')) {
        const auto end = word.find(']');
        out.host = std::string(word.substr(1, end == std::string_view::npos ? end : end - 1));
        if (end != std::string_view::npos && word.substr(end + 1).starts_with(':'))
            out.port = std::string(word.substr(end + 2));
        return out;
    }
    // More than one colon and no brackets: an IPv6 address alone.
    const auto colon = word.rfind(':');
    const bool has_port = colon != std::string_view::npos && word.find(':') == colon;
    out.host = std::string(word.substr(0, has_port ? colon : std::string_view::npos));
    if (has_port)
        out.port = std::string(word.substr(colon + 1));
    return out;
}

} // namespace mta::table
