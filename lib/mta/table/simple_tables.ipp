// The types that are a function each: static, fail, internal, environ, unix, nis, debug.
#include <unistd.h>

#include <cstdlib>

#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/table/braces.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/function_table.hpp>
#include <mta/table/map_table.hpp>
#include <mta/table/module_table.hpp>
#include <mta/table/notices.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

using answer = result<std::optional<std::string>>;

std::string format_passwd(const user& u) {
    return u.name + ":x:" + std::to_string(u.uid) + ":" + std::to_string(u.gid) + ":" + u.gecos + ":" + u.home + ":" +
           u.shell;
}

class failing_table final : public lookup_table {
public:
    explicit failing_table(std::string name) : lookup_table(std::move(name), {}) {}
    answer lookup(std::string_view) override { return fail(errc::temporary, "Application error"); }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>&) override {
        return fail(errc::temporary, "table " + name() + ": sequence error: Application error");
    }
};

answer passwd_by_name(std::string_view key) {
    auto found = find_user(std::string(key));
    if (!found)
        return tl::make_unexpected(found.error());
    return *found ? answer(format_passwd(**found)) : answer(std::nullopt);
}

answer group_by_name(std::string_view key) {
    auto found = find_group(std::string(key));
    if (!found)
        return tl::make_unexpected(found.error());
    if (!*found)
        return std::nullopt;
    return (*found)->name + ":x:" + std::to_string((*found)->gid) + ":";
}

} // namespace

result<table_ptr> open_static(const std::string& name, const open_options& options) {
    table::traits traits;
    traits.patterns = true; // every key has the same answer: partial keys add nothing
    std::string value = name;
    if (name.starts_with('{')) {
        const auto inside = inside_braces(name);
        if (!inside)
            return fail(errc::malformed, "bad static:name syntax: " + inside.error().text());
        value = *inside;
    }
    if (options.file_values) {
        auto content = encoded_files(value);
        if (!content)
            return tl::make_unexpected(content.error());
        value = std::move(*content);
    }
    return std::make_unique<function_table>("static:" + name, traits,
                                            [value](std::string_view) { return answer(value); });
}

result<table_ptr> open_fail(const std::string& name, const open_options&) {
    return std::make_unique<failing_table>("fail:" + name);
}

result<table_ptr> open_internal(const std::string& name, const open_options&) {
    return std::make_unique<map_table>("internal:" + name, map_table::entries(), file_mark());
}

result<table_ptr> open_nis(const std::string& name, const open_options&) {
    char domain[256] = {};
    if (::getdomainname(domain, sizeof domain - 1) == 0 && domain[0] != '\0' && std::string_view(domain) != "(none)") {
        if (has_module("nis"))
            return open_module_table("nis", name);
        return fail(errc::unsupported, "unsupported dictionary type: nis (this host has the NIS domain " +
                                           std::string(domain) + ", and its module is not installed: " + module_directory() +
                                           "/table_nis.so)");
    }
    warning("dict_nis_init: NIS domain name not set - NIS lookups disabled");
    return std::make_unique<function_table>("nis:" + name, table::traits{},
                                            [](std::string_view) { return answer(); });
}

result<table_ptr> open_environ(const std::string& name, const open_options&) {
    return std::make_unique<function_table>("environ:" + name, table::traits{}, [](std::string_view key) -> answer {
        const char* value = std::getenv(std::string(key).c_str());
        if (value == nullptr)
            return std::nullopt;
        return std::string(value);
    });
}

result<table_ptr> open_unix(const std::string& name, const open_options&) {
    // Behind the system's functions may be a directory server, or a daemon that asks one.
    table::traits traits;
    traits.may_block = true;
    if (name == "passwd.byname")
        return std::make_unique<function_table>("unix:" + name, traits, passwd_by_name);
    if (name == "group.byname")
        return std::make_unique<function_table>("unix:" + name, traits, group_by_name);
    return fail(errc::unsupported, "unknown table: unix:" + name);
}

result<table_ptr> open_debug(const std::string& name, const open_options& options) {
    auto inner = open_table(name, options);
    if (!inner)
        return tl::make_unexpected(inner.error());
    const std::string full = "debug:" + name;
    const auto traits = (*inner)->traits();
    // std::function wants something that it could copy.
    std::shared_ptr<lookup_table> shared = std::move(*inner);
    return std::make_unique<function_table>(full, traits, [full, shared](std::string_view key) {
        auto found = shared->lookup(key);
        const std::string shown = full + " lookup: \"" + std::string(key) + "\" = ";
        notice(severity::info, shown + (!found ? "error: " + found.error().text()
                                        : *found ? "\"" + **found + "\""
                                                 : "not found"));
        return found;
    });
}

} // namespace mta::table
