// Sources of tables of any bytes: the first byte says which syntax. No crash, and what comes out keeps its promises: no
// key is empty where the syntax forbids it, every rule stands in an "if" before it, folded text stays UTF-8, a filter names
// every rule whose words are there, and a table that was opened answers.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/core/unique_fd.hpp>
#include <mta/table/braces.hpp>
#include <mta/table/cdb_format.hpp>
#include <mta/table/entry_parser.hpp>
#include <mta/table/entry_sorter.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/literal_filter.hpp>
#include <mta/table/line_input.hpp>
#include <mta/table/match_list.hpp>
#include <mta/table/message_keys.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/rule_check.hpp>
#include <mta/table/rule_source.hpp>
#include <mta/table/text_source.hpp>

namespace {

using namespace mta::table;

void require(bool condition) {
    if (!condition)
        std::abort();
}

void entries(entry_parser& parser, std::string_view text, bool key_required) {
    line_reader lines(text, "t");
    spill_store store("/tmp", most_in_memory);
    run_builder runs(store, on_duplicate::keep_first, nullptr);
    int last = 0;
    while (const auto line = lines.next()) {
        require(line->line > last);
        last = line->line;
        const auto entry = parser.parse(line->text);
        if (!entry)
            continue;
        require(!key_required || (!entry->key.empty() && !entry->value.empty()));
        require(runs.add(entry->key, entry->value, line->line).has_value());
    }
    auto all = runs.finish();
    require(all.has_value());
    entry_merge sorted(store, std::move(*all), on_duplicate::keep_first, nullptr);
    std::string before;
    for (bool first = true;; first = false) {
        const auto next = sorted.next();
        require(next.has_value());
        if (*next == nullptr)
            break;
        require(first || before < (*next)->key);
        before = (*next)->key;
    }
}

void rules(pattern_dialect dialect, std::string_view text) {
    const auto all = parse_rules(dialect, "t", text, [](const pattern_rule&) { return true; });
    std::vector<std::vector<literal_factor>> factors;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
        require(all[i].inside == no_rule || (all[i].inside < i && all[all[i].inside].condition));
        factors.push_back(required_literals(dialect, all[i].what));
    }
    const literal_filter filter(factors);
    std::vector<std::uint32_t> found;
    for (std::uint32_t i = 0; i < all.size() && i < 50; ++i) {
        if (factors[i].empty())
            continue;
        // A text that holds a word of every factor.
        std::string key;
        for (const auto& factor : factors[i])
            key += factor.front() + " ";
        found.clear();
        filter.candidates(key, found);
        require(std::ranges::find(found, i) != found.end());
    }
}

constexpr const char* some_keys[] = {"", "a", "192.0.2.1", "::1", "a@b", "abcdabcd"};

void ask(const std::string& spec, const open_options& how = {}) {
    if (const auto table = open_table(spec, how))
        for (const char* key : some_keys)
            (void)(*table)->lookup(key);
}

// Braces within braces cost stack.
constexpr std::size_t longest_name = 4096;

void in_name(std::string_view text) {
    const std::string name(text.substr(0, std::min(text.find('\0'), longest_name)));
    // A name that does not begin with a brace is a file.
    for (const char* type : {"inline:", "randmap:", "static:"})
        ask(type + name);
    if (name.starts_with('{'))
        for (const char* type : {"cidr:", "regexp:", "pcre:"})
            ask(type + name);
}

// Words of a list: of tables, and what matches a domain or a client. Only such tables as have all in their name.
bool is_self_contained(std::string_view text) {
    for (auto at = text.find(':'); at != std::string_view::npos; at = text.find(':', at + 1)) {
        const auto before = text.substr(0, at);
        const bool good = std::ranges::any_of(std::initializer_list<const char*>{"inline", "randmap", "static", "fail", "internal",
                                                                                 "unionmap", "pipemap", "debug"},
                                              [&](const char* type) { return before.ends_with(type); });
        if (!good)
            return false;
    }
    return true;
}

void lists(std::string_view text) {
    const std::string name(text.substr(0, std::min(text.find('\0'), longest_name)));
    if (!is_self_contained(name))
        return;
    ask("unionmap:" + name);
    ask("pipemap:" + name, {.fold_case = false});
    if (name.find('/') == 0 || name.find_first_of("/\\") != std::string::npos)
        return;
    for (const auto style : {parent_style::exact, parent_style::subdomains, parent_style::words})
        if (auto list = match_list::open("x", mta::config::split_list(name), style)) {
            (void)list->matches_name("a.b.example");
            (void)list->matches_host("unknown", "192.0.2.1");
            (void)list->matches_host("a.b", "2001:db8::1");
        }
}

// The same, with networks.
void networks(std::string_view text) {
    std::vector<std::string> words;
    for (auto& word : mta::config::split_list(text))
        if (word.find_first_not_of("!") != std::string::npos && word[word.find_first_not_of("!")] != '/' &&
            word.find_first_not_of("0123456789abcdef:.[]/!") == std::string::npos)
            words.push_back(std::move(word));
    if (auto list = match_list::open("x", words)) {
        (void)list->matches_host("a.b", "2001:db8::1");
        (void)list->matches_host("a.b", "192.0.2.1");
    }
}

mta::unique_fd file_of(std::string_view text) {
    mta::unique_fd fd(::memfd_create("fuzz", MFD_CLOEXEC));
    require(fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    require(::lseek(fd.get(), 0, SEEK_SET) == 0);
    return fd;
}

// A file of its type, with what --check says of it.
void in_file(const std::string& type, std::string_view text) {
    const auto fd = file_of(text);
    const auto name = "/proc/self/fd/" + std::to_string(fd.get());
    ask(type + ":" + name);
    ask(type + ":" + name, {.utf8 = true});
    (void)find_shadowed(type, name);
}

// A message on standard input, for -b, -h and -m.
void message(std::string_view text) {
    for (const bool mime : {false, true})
        for (const int which : {1, 2, 3}) {
            const auto fd = file_of(text);
            line_input input(fd.get(), [] { return mta::result<void>(); });
            std::size_t bytes = 0;
            const message_key_kinds kinds{.headers = (which & 1) != 0, .body = (which & 2) != 0, .mime = mime};
            (void)each_message_key(input, kinds, [&](std::string_view key) {
                bytes += key.size() + 1;
                return mta::result<void>();
            });
            require(bytes <= text.size() + 2); // each byte is of one key, and a line is missing its end or is made up
        }
}

void constant_database(std::string_view bytes) {
    const auto view = cdb_view::open(bytes);
    if (!view)
        return;
    (void)view->find("a");
    (void)view->find("");
    std::size_t seen = 0;
    (void)view->walk([&](std::string_view, std::string_view) { return ++seen < 100000; });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > 65536)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 14) {
    case 0:
        entries(*postmap_parser(), text, true);
        break;
    case 1:
        entries(*postalias_parser(), text, false);
        break;
    case 2:
        rules(pattern_dialect::regexp, text);
        break;
    case 3:
        rules(pattern_dialect::pcre, text);
        break;
    case 4:
        in_name(text);
        break;
    case 5:
        constant_database(text);
        break;
    case 6:
        if (mta::is_utf8(text))
            require(mta::is_utf8(folded_key(text, true)));
        break;
    case 7:
        lists(text);
        break;
    case 8:
        networks(text);
        break;
    case 9:
        in_file("texthash", text);
        break;
    case 10:
        in_file("cidr", text);
        break;
    case 11:
        in_file("regexp", text);
        break;
    case 12:
        in_file("pcre", text);
        break;
    default:
        message(text);
        break;
    }
    return 0;
}
