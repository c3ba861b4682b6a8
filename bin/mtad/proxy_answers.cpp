#include "proxy_answers.hpp"

#include <mta/config/values.hpp>
#include <mta/core/text.hpp>
#include <mta/table/patience.hpp>

namespace mta::daemon {
namespace {

using enum table::proxy_status;
namespace flag = table::proxy_flag;

constexpr std::size_t longest_listing = 64U << 20U; // of keys, while a client walks through a table

std::string_view without_proxy(std::string_view name) {
    while (name.starts_with("proxy:"))
        name.remove_prefix(6);
    return name;
}

const char* list_name(bool writes) { return writes ? "proxy_write_maps" : "proxy_read_maps"; }

table::terminator style_of(long long flags) {
    const bool without = (flags & flag::keys_without_nul) != 0;
    const bool with = (flags & flag::keys_with_nul) != 0;
    return without == with ? table::terminator::unknown
           : with          ? table::terminator::with
                           : table::terminator::without;
}

} // namespace

proxy_answers::proxy_answers(const config::configuration& cfg, const std::string& service)
    : writes_(service == cfg.text("proxywrite_service_name")), write_service_(cfg.text("proxywrite_service_name")),
      map_size_(static_cast<std::size_t>(cfg[param::lmdb_map_size])) {
    for (const auto& word : config::split_list(cfg.text(list_name(writes_))))
        if (word.starts_with("proxy:"))
            approved_.emplace(without_proxy(word));
}

result<table::writer_ptr> proxy_answers::open_writer(const std::string& name, table::terminator style) const {
    const auto [type, path] = table::split_spec(name, "");
    if (type != "hash" && type != "btree" && type != "lmdb")
        return fail(errc::unsupported, "tables of type " + type + " are not written here: use btree or lmdb");
    table::writer_options options;
    options.how = table::write_mode::update;
    options.mode = 0600;
    options.style = style;
    options.map_size = map_size_;
    return table::open_writer(type, path, options);
}

std::string proxy_answers::answer(const attr_list& request, proxy_walks& walks, const logger& log) {
    const auto what = request.get("request");
    const auto name = std::string(without_proxy(request.get("table")));
    const auto key = request.find("key");
    if (what == "open")
        return open(name, log);
    if (what == "lookup")
        return lookup(name, key, (request.number("flags") & flag::keys_in_utf8) != 0, log);
    if (what == "sequence")
        return sequence(name, request.number("function", -1), walks, log);
    if (what == "update")
        return change(name, key, request.find("value"), request, log);
    if (what == "delete")
        return change(name, key, std::nullopt, request, log);
    log.warning("unrecognized request: \"" + printable(what.substr(0, 100)) + "\", ignored");
    return attr_writer().put("status", static_cast<int>(mistake)).finish();
}

// A table that may be asked, but cannot be opened now, is one of patterns and fails with every key: the reference's
// clients wait for ever when they are told more.
std::string proxy_answers::open(const std::string& name, const logger& log) {
    table_ref table;
    auto status = use(name, table, log);
    if (status == retry || status == misconfigured)
        status = found;
    const long long flags = status != found                                   ? 0
                            : table == nullptr || table->traits().patterns ? flag::pattern_keys
                                                                           : flag::fixed_keys;
    return attr_writer().put("status", static_cast<int>(status)).put("flags", flags).finish();
}

std::string proxy_answers::lookup(const std::string& name, std::optional<std::string_view> key, bool utf8, const logger& log) {
    table_ref table;
    auto status = key ? use(name, table, log) : mistake;
    std::string value;
    if (status == found && utf8 && !is_utf8(*key)) {
        status = absent;
    } else if (status == found) {
        auto answer = table->lookup(*key);
        status = !answer ? retry : *answer ? found : absent;
        if (!answer && !table::no_waiting::refused())
            log.warning(name + ": " + answer.error().text());
        if (status == found)
            value = std::move(**answer);
    }
    return attr_writer().put("status", static_cast<int>(status)).put("value", value).finish();
}

// function 0 begins with the first key, 1 goes on.
std::string proxy_answers::sequence(const std::string& name, long long function, proxy_walks& walks, const logger& log) {
    table_ref table;
    auto status = function == 0 || function == 1 ? use(name, table, log) : mistake;
    std::string key;
    std::optional<std::string> value;
    if (status == found && table::may_wait()) {
        if (function == 0)
            status = list(*table, walks[name], log);
        auto& at = walks[name];
        while (status == found && !value) { // keys that have gone meanwhile are passed over
            if (at.next >= at.keys.size()) {
                status = absent;
                break;
            }
            key = at.keys[at.next++];
            auto answer = table->lookup(key);
            status = answer ? found : retry;
            if (answer)
                value = std::move(*answer);
        }
    }
    return attr_writer().put("status", static_cast<int>(status)).put("key", value ? key : "").put("value", value.value_or("")).finish();
}

proxy_answers::outcome proxy_answers::list(table::lookup_table& table, proxy_walk& into, const logger& log) {
    into = {};
    std::size_t bytes = 0;
    const auto walked = table.walk([&](std::string_view key, std::string_view) {
        bytes += key.size();
        into.keys.emplace_back(key);
        return bytes < longest_listing;
    });
    if (walked && bytes < longest_listing)
        return found;
    log.warning(table.name() + ": " + (walked ? "too large to be listed" : walked.error().text()));
    return walked ? misconfigured : status_of(walked.error());
}

// Without a value the key goes.
std::string proxy_answers::change(const std::string& name, std::optional<std::string_view> key,
                                  std::optional<std::string_view> value, const attr_list& request, const logger& log) {
    const std::string what(request.get("request"));
    auto status = key && (value || what == "delete") ? found : mistake;
    if (status == found && !writes_) {
        log.warning("refusing " + printable(name) + " " + what + " request on non-" + write_service_ + " service");
        status = denied;
    }
    if (status == found)
        status = approve(name, log);
    if (status == found && table::may_wait())
        status = write(name, *key, value, style_of(request.number("flags")), log);
    return attr_writer().put("status", static_cast<int>(status)).finish();
}

// One writer at a time here, others are kept out by the database's lock.
proxy_answers::outcome proxy_answers::write(const std::string& name, std::string_view key,
                                           std::optional<std::string_view> value, table::terminator style, const logger& log) {
    // As the reference has it, such a key is gone from every table.
    if (!value && !is_utf8(key))
        return found;
    const std::lock_guard guard(writing_);
    auto writer = open_writer(name, style);
    auto done = writer ? result<bool>(true) : tl::make_unexpected(writer.error());
    if (done && value) {
        if (auto replaced = (*writer)->replace(key, *value); !replaced)
            done = tl::make_unexpected(replaced.error());
    } else if (done) {
        done = (*writer)->remove(key);
    }
    if (done)
        if (auto finished = (*writer)->finish(); !finished)
            done = tl::make_unexpected(finished.error());
    const std::lock_guard table_guard(mutex_);
    tables_.erase(name); // what is read next is what was written
    if (done)
        return *done ? found : absent;
    log.warning(name + ": " + done.error().text());
    return status_of(done.error());
}

proxy_answers::outcome proxy_answers::approve(const std::string& name, const logger& log) const {
    if (name.empty())
        return mistake;
    if (approved_.contains(name))
        return found;
    log.warning("request for unapproved table: \"" + printable(name) + "\"");
    log.warning(std::string("to approve this table for ") + (writes_ ? "read-write" : "read-only") +
                " access, list proxy:" + printable(name) + " in main.cf:" + list_name(writes_));
    return denied;
}

// The table, opened when it is not yet.
proxy_answers::outcome proxy_answers::use(const std::string& name, table_ref& into, const logger& log) {
    if (const auto status = approve(name, log); status != found)
        return status;
    {
        const std::lock_guard guard(mutex_);
        if (const auto known = tables_.find(name); known != tables_.end()) {
            into = known->second;
            return found;
        }
    }
    if (!table::may_wait())
        return retry;
    if (writes_) {
        const std::lock_guard guard(writing_);
        auto created = open_writer(name, table::terminator::unknown); // makes one where there is none
        auto finished = created ? (*created)->finish() : tl::make_unexpected(created.error());
        if (!finished) {
            log.warning(name + ": " + finished.error().text());
            return status_of(finished.error());
        }
    }
    auto opened = table::open_live_table(name);
    if (!opened) {
        log.warning(name + ": " + opened.error().text());
        return status_of(opened.error());
    }
    const std::lock_guard guard(mutex_);
    into = tables_.insert_or_assign(name, table_ref(std::move(*opened))).first->second;
    return found;
}

} // namespace mta::daemon
