#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <unordered_map>

#include <grp.h>
#include <pwd.h>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/table/text_source.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

class map_table final : public lookup_table {
public:
    map_table(std::string name, std::unordered_map<std::string, std::string> entries, std::string path,
              const struct stat& opened)
        : lookup_table(std::move(name), {}), entries_(std::move(entries)), path_(std::move(path)), opened_(opened) {}
    result<std::optional<std::string>> lookup(std::string_view key) override {
        const auto it = entries_.find(std::string(key));
        if (it == entries_.end())
            return std::nullopt;
        return it->second;
    }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        for (const auto& [key, value] : entries_)
            if (!visit(key, value))
                break;
        return {};
    }
    bool changed() const override {
        struct stat now {};
        return !path_.empty() && (::stat(path_.c_str(), &now) != 0 || now.st_ino != opened_.st_ino ||
                                  now.st_mtim.tv_sec != opened_.st_mtim.tv_sec ||
                                  now.st_mtim.tv_nsec != opened_.st_mtim.tv_nsec);
    }

private:
    std::unordered_map<std::string, std::string> entries_;
    std::string path_;
    struct stat opened_;
};

// One answer for every key, computed by a function.
class function_table final : public lookup_table {
public:
    using answer = std::function<result<std::optional<std::string>>(std::string_view)>;
    function_table(std::string name, table::traits traits, answer how)
        : lookup_table(std::move(name), traits), how_(std::move(how)) {}
    result<std::optional<std::string>> lookup(std::string_view key) override { return how_(key); }

private:
    answer how_;
};

std::string_view without_braces(std::string_view text) {
    text = trim(text);
    if (text.size() >= 2 && text.front() == '{' && text.back() == '}')
        return trim(text.substr(1, text.size() - 2));
    return text;
}

// "key = value" in two trimmed parts.
result<std::pair<std::string, std::string>> split_pair(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || trim(text.substr(0, equals)).empty())
        return fail(errc::malformed, "inline table: expected \"key = value\" in \"" + std::string(text) + "\"");
    return std::pair(std::string(trim(text.substr(0, equals))), std::string(trim(text.substr(equals + 1))));
}

std::string format_passwd(const user& u) {
    return u.name + ":x:" + std::to_string(u.uid) + ":" + std::to_string(u.gid) + ":" + u.gecos + ":" + u.home + ":" +
           u.shell;
}

} // namespace

result<table_ptr> open_texthash(const std::string& name, const open_options& options) {
    auto text = read_file(name);
    struct stat opened {};
    if (!text || ::stat(name.c_str(), &opened) != 0)
        return fail(text ? std::error_code(errno, std::generic_category()) : text.error().code,
                    "open database " + name);
    std::unordered_map<std::string, std::string> entries;
    line_reader lines(*text);
    while (auto line = lines.next()) {
        const auto entry = split_entry(line->text);
        if (!entry.key.empty() && !entry.value.empty())
            entries.try_emplace(options.fold_case ? lower(entry.key) : std::string(entry.key), entry.value);
    }
    return std::make_unique<map_table>("texthash:" + name, std::move(entries), name, opened);
}

result<table_ptr> open_inline(const std::string& name, const open_options& options) {
    std::unordered_map<std::string, std::string> entries;
    std::string_view rest = without_braces(name);
    if (rest.empty() || name.front() != '{')
        return fail(errc::malformed, "bad inline table \"" + name + "\": expected {key=value, …}");
    while (!(rest = trim(rest)).empty()) {
        if (rest.front() == ',') {
            rest.remove_prefix(1);
            continue;
        }
        std::size_t end = 0;
        if (rest.front() == '{') {
            end = rest.find('}');
            if (end == std::string_view::npos)
                return fail(errc::malformed, "bad inline table \"" + name + "\": missing '}'");
            ++end;
        } else {
            end = std::min(rest.find_first_of(", \t\r\n"), rest.size());
        }
        auto pair = split_pair(without_braces(rest.substr(0, end)));
        if (!pair)
            return tl::make_unexpected(pair.error());
        entries.insert_or_assign(options.fold_case ? lower(pair->first) : pair->first, pair->second);
        rest.remove_prefix(end);
    }
    const struct stat no_file {};
    return std::make_unique<map_table>("inline:" + name, std::move(entries), std::string(), no_file);
}

result<table_ptr> open_static(const std::string& name, const open_options&) {
    table::traits traits;
    traits.patterns = true; // every key has the same answer: partial keys add nothing
    const std::string value(without_braces(name));
    return std::make_unique<function_table>("static:" + name, traits, [value](std::string_view) {
        return result<std::optional<std::string>>(value);
    });
}

result<table_ptr> open_fail(const std::string& name, const open_options&) {
    return std::make_unique<function_table>(
        "fail:" + name, table::traits{}, [name](std::string_view) -> result<std::optional<std::string>> {
            return fail(errc::temporary, "table fail:" + name + " always fails");
        });
}

result<table_ptr> open_nis(const std::string& name, const open_options&) {
    char domain[256] = {};
    if (::getdomainname(domain, sizeof domain - 1) == 0 && domain[0] != '\0' &&
        std::string_view(domain) != "(none)")
        return fail(errc::unsupported, "unsupported dictionary type: nis (this host has the NIS domain " +
                                           std::string(domain) + ", and NIS is not built here)");
    return std::make_unique<function_table>("nis:" + name, table::traits{},
                                            [](std::string_view) { return result<std::optional<std::string>>(); });
}

result<table_ptr> open_environ(const std::string& name, const open_options&) {
    return std::make_unique<function_table>(
        "environ:" + name, table::traits{}, [](std::string_view key) -> result<std::optional<std::string>> {
            const char* value = std::getenv(std::string(key).c_str());
            if (value == nullptr)
                return std::nullopt;
            return std::string(value);
        });
}

result<table_ptr> open_unix(const std::string& name, const open_options&) {
    const std::string full = "unix:" + name;
    if (name == "passwd.byname")
        return std::make_unique<function_table>(
            full, table::traits{}, [](std::string_view key) -> result<std::optional<std::string>> {
                auto found = find_user(std::string(key));
                if (!found)
                    return tl::make_unexpected(found.error());
                if (!*found)
                    return std::nullopt;
                return format_passwd(**found);
            });
    if (name == "group.byname")
        return std::make_unique<function_table>(
            full, table::traits{}, [](std::string_view key) -> result<std::optional<std::string>> {
                auto found = find_group(std::string(key));
                if (!found)
                    return tl::make_unexpected(found.error());
                if (!*found)
                    return std::nullopt;
                return (*found)->name + ":x:" + std::to_string((*found)->gid) + ":";
            });
    return fail(errc::unsupported, "unknown table: " + full);
}

} // namespace mta::table
