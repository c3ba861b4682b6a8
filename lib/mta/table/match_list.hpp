// Lists such as mydestination, relay_domains and mynetworks: does a name or an address match?
//
// Words: a name; .suffix; a network (192.0.2.0/24, [2001:db8::]/32); "!" before any of them ends the search with "no";
// /file with more words; type:table, whose keys match. The first word that matches decides.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/result.hpp>
#include <mta/table/lookup_table.hpp>

namespace mta::table {

// How subdomains are named (parent_domain_matches_subdomains): "exact" by ".example.com", "subdomains" by "example.com"
// itself. Tables are asked for the parents of a name in the same way. words: not at all; a list of whole words only,
// where ".example.com" and "192.0.2.0/24" stand for nothing but themselves.
enum class parent_style { exact, subdomains, words };

class match_list {
public:
    // Reads files and opens tables. title names the parameter, for messages.
    [[nodiscard]] static result<match_list> open(std::string title, const std::vector<std::string>& words,
                                                 parent_style style = parent_style::exact);
    match_list() = default;
    match_list(match_list&&) noexcept = default;
    match_list& operator=(match_list&&) noexcept = default;

    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

    // A domain or any other word, without case.
    [[nodiscard]] result<bool> matches_name(std::string_view name);
    // A client: its verified name (may be empty or "unknown") and its address ("192.0.2.1", "2001:db8::1").
    [[nodiscard]] result<bool> matches_host(std::string_view name, std::string_view address);

private:
    struct entry {
        enum class kind { name, suffix, network, table, everything } what = kind::name;
        bool negated = false;
        std::string text;             // lower case
        std::array<unsigned char, 16> network{};
        int family = 0;
        int bits = 0;
        table_ptr table;
    };
    [[nodiscard]] result<void> add(std::string_view word, bool negated, int depth);
    [[nodiscard]] result<void> add_plain(std::string_view word, bool negated);
    [[nodiscard]] failure trouble(const error& why) const;
    [[nodiscard]] result<bool> matches(const entry& one, const std::string& name, std::string_view address);

    std::string title_;
    parent_style style_ = parent_style::exact;
    std::vector<entry> entries_;
};

} // namespace mta::table
