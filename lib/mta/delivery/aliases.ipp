#include <mta/address/tokens.hpp>
#include <mta/core/text.hpp>
#include <mta/delivery/aliases.hpp>

namespace mta::delivery {
namespace {

// Where the piece that starts at `at` ends: at a comma outside quotes, comments and angle brackets, or at the end.
std::size_t piece_end(std::string_view text, std::size_t at) {
    bool quoted = false;
    std::size_t comments = 0;
    bool angle = false;
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '\\')
            ++at;
        else if (quoted)
            quoted = c != '"';
        else if (comments > 0)
            comments = c == '(' ? comments + 1 : c == ')' ? comments - 1 : comments;
        else if (c == '"')
            quoted = true;
        else if (c == '(')
            comments = 1;
        else if (c == '<' || c == '>')
            angle = c == '<';
        else if (c == ',' && !angle)
            return at;
    }
    return text.size();
}

// A piece that is one quoted string and nothing else, without its quotes; "" for anything else.
std::string whole_quoted(std::string_view piece) {
    if (piece.size() < 2 || piece.front() != '"')
        return {};
    std::string out;
    for (std::size_t at = 1; at < piece.size(); ++at) {
        if (piece[at] == '"')
            return at + 1 == piece.size() ? out : std::string();
        if (piece[at] == '\\' && at + 1 < piece.size())
            ++at;
        out += piece[at];
    }
    return out; // an unterminated quote ends with the text
}

constexpr std::string_view include_word = ":include:";

// Commands, files and lists, which are no addresses. False for everything else.
bool special_destination(std::string_view text, std::vector<destination>& out) {
    if (text.starts_with('|')) {
        out.push_back({destination_kind::command, std::string(trim(text.substr(1)))});
        return true;
    }
    if (text.starts_with('/')) {
        out.push_back({destination_kind::file, std::string(text)});
        return true;
    }
    if (iequals(text.substr(0, include_word.size()), include_word)) {
        auto path = trim(text.substr(include_word.size()));
        if (path.size() >= 2 && path.front() == '"' && path.back() == '"')
            path = path.substr(1, path.size() - 2);
        out.push_back({destination_kind::include, std::string(path)});
        return true;
    }
    return false;
}

void add_piece(std::string_view piece, std::vector<destination>& out) {
    piece = trim(piece);
    if (piece.empty())
        return;
    if (const auto inner = whole_quoted(piece); !inner.empty() && special_destination(inner, out))
        return;
    // An unquoted |"command words" keeps its inner quotes: they belong to the command.
    if (special_destination(piece, out))
        return;
    const bool plain = piece.front() == '\\' && piece.size() > 1;
    for (auto& address : address::addresses_in(plain ? piece.substr(1) : piece))
        if (!address.empty())
            out.push_back({destination_kind::address, (plain ? "\\" : "") + std::move(address)});
}

} // namespace

std::vector<destination> parse_destinations(std::string_view text) {
    std::vector<destination> out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = piece_end(text, at);
        add_piece(text.substr(at, end - at), out);
        at = end + 1;
    }
    return out;
}

std::vector<destination> parse_destination_file(std::string_view text) {
    std::vector<destination> out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = trim(text.substr(at, end - at));
        if (!line.empty() && line.front() != '#')
            for (auto& one : parse_destinations(line))
                out.push_back(std::move(one));
        at = end + 1;
    }
    return out;
}

} // namespace mta::delivery
