// The tables worker: the proxymap and proxywrite services. Other processes look things up here, in tables that they may
// not open themselves or that should have few connections; docs/queue-format.md has the wire format.
//
// Which tables: those named in proxy_read_maps (proxymap) or proxy_write_maps (proxywrite) with "proxy:" in front, and no
// other. They are opened when first asked for, as mail_owner: a client gets no rights that mail_owner lacks. Reads no mail.
// Whoever reaches private/ (mail_owner) may ask, so that requests are bounded and nothing in them is trusted.
#include <map>
#include <mutex>
#include <set>

#include <mta/config/values.hpp>
#include <mta/core/attr.hpp>
#include <mta/core/text.hpp>
#include <mta/table/live_table.hpp>
#include <mta/table/proxy_protocol.hpp>
#include <mta/table/table_writer.hpp>

#include "lookups.hpp"
#include "services.hpp"
#include "trigger.hpp"

namespace mta::daemon {
namespace {

using table_ref = std::shared_ptr<table::lookup_table>;

using table::proxy_status;
using enum table::proxy_status;
namespace flag = table::proxy_flag;

constexpr std::size_t longest_request = 262'144;
constexpr std::size_t longest_listing = 64U << 20U; // of keys, while a client walks through a table
constexpr std::chrono::seconds client_limit{100};   // for a client to take its answer
constexpr std::chrono::seconds idle_limit{300};     // a client connects again when it has a question again

proxy_status status_of(const error& why) { return is_temporary(why.code) ? retry : misconfigured; }

std::string_view without_proxy(std::string_view name) {
    while (name.starts_with("proxy:"))
        name.remove_prefix(6);
    return name;
}

// Where a client is in its walk through a table.
struct walk_state {
    std::vector<std::string> keys;
    std::size_t next = 0;
};
using walks = std::map<std::string, walk_state>;

class proxy_service : public std::enable_shared_from_this<proxy_service> {
public:
    proxy_service(worker& owner, endpoint where)
        : worker_(owner), where_(std::move(where)), log_(owner.log().sink(), where_.tag),
          writes_(where_.service == where_.cfg.text("proxywrite_service_name")) {
        for (const auto& word : config::split_list(where_.cfg.text(list_name())))
            if (word.starts_with("proxy:"))
                approved_.emplace(without_proxy(word));
    }

    void start() {
        const auto self = shared_from_this();
        worker_.on_stop([self] {
            for (auto* idle : self->idle_)
                idle->cancel();
        });
        serve_connections(worker_, where_, [self](net::stream peer) { return converse(self, std::move(peer)); });
    }

private:
    [[nodiscard]] const char* list_name() const { return writes_ ? "proxy_write_maps" : "proxy_read_maps"; }

    static boost::asio::awaitable<void> converse(std::shared_ptr<proxy_service> self, net::stream peer) {
        const auto busy = self->worker_.busy();
        const logger log = self->log_.with_number(self->worker_.next_number());
        walks positions;
        std::string bytes;
        std::string chunk(4096, '\0');
        std::string out = attr_writer().put("protocol", "proxymap_protocol").finish();
        for (;;) {
            auto sent = co_await peer.write(out, client_limit);
            std::size_t used = 0;
            auto request = attr_list::parse(bytes, &used);
            while (sent && !request && bytes.size() < longest_request && !self->worker_.stopping()) {
                self->idle_.insert(&peer);
                auto got = co_await peer.read_some(chunk.data(), chunk.size(), idle_limit);
                self->idle_.erase(&peer);
                if (!got)
                    co_return;
                bytes.append(chunk, 0, *got);
                request = attr_list::parse(bytes, &used);
            }
            if (!sent || !request)
                co_return; // a client whose answer is missing asks again
            bytes.erase(0, used);
            auto operation = [&]() -> result<std::string> { return self->answer(*request, positions, log); };
            auto answered = co_await look_up(self->worker_, operation);
            if (!answered) {
                log.warning("lookup for a client: " + answered.error().text());
                co_return;
            }
            out = std::move(*answered);
        }
    }

    // One request. Runs on the loop or on a pool thread, perhaps twice.
    std::string answer(const attr_list& request, walks& positions, const logger& log) {
        const auto what = request.get("request");
        const auto name = std::string(without_proxy(request.get("table")));
        const auto key = request.find("key");
        if (what == "open")
            return open(name, log);
        if (what == "lookup")
            return lookup(name, key, (request.number("flags") & flag::keys_in_utf8) != 0, log);
        if (what == "sequence")
            return sequence(name, request.number("function", -1), positions, log);
        if (what == "update")
            return change(name, key, request.find("value"), request, log);
        if (what == "delete")
            return change(name, key, std::nullopt, request, log);
        log.warning("unrecognized request: \"" + printable(what.substr(0, 100)) + "\", ignored");
        return attr_writer().put("status", static_cast<int>(mistake)).finish();
    }

    // A table that may be asked, but cannot be opened now, is one of patterns and fails with every key: the reference's
    // clients wait for ever when they are told more.
    std::string open(const std::string& name, const logger& log) {
        table_ref table;
        auto status = use(name, table, log);
        if (status == retry || status == misconfigured)
            status = found;
        const long long flags = status != found                                   ? 0
                                : table == nullptr || table->traits().patterns ? flag::pattern_keys
                                                                               : flag::fixed_keys;
        return attr_writer().put("status", static_cast<int>(status)).put("flags", flags).finish();
    }

    std::string lookup(const std::string& name, std::optional<std::string_view> key, bool utf8, const logger& log) {
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
    std::string sequence(const std::string& name, long long function, walks& positions, const logger& log) {
        table_ref table;
        auto status = function == 0 || function == 1 ? use(name, table, log) : mistake;
        std::string key;
        std::optional<std::string> value;
        if (status == found && table::may_wait()) {
            if (function == 0)
                status = list(*table, positions[name], log);
            auto& at = positions[name];
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

    static proxy_status list(table::lookup_table& table, walk_state& into, const logger& log) {
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
    std::string change(const std::string& name, std::optional<std::string_view> key,
                       std::optional<std::string_view> value, const attr_list& request, const logger& log) {
        const std::string what(request.get("request"));
        proxy_status status = key && (value || what == "delete") ? found : mistake;
        if (status == found && !writes_) {
            log.warning("refusing " + printable(name) + " " + what + " request on non-" +
                        where_.cfg.text("proxywrite_service_name") + " service");
            status = denied;
        }
        if (status == found)
            status = approve(name, log);
        if (status == found && table::may_wait())
            status = write(name, *key, value, style_of(request.number("flags")), log);
        return attr_writer().put("status", static_cast<int>(status)).finish();
    }

    static table::terminator style_of(long long flags) {
        const bool without = (flags & flag::keys_without_nul) != 0;
        const bool with = (flags & flag::keys_with_nul) != 0;
        return without == with ? table::terminator::unknown
               : with          ? table::terminator::with
                               : table::terminator::without;
    }

    // One writer at a time here, others are kept out by the database's lock.
    proxy_status write(const std::string& name, std::string_view key, std::optional<std::string_view> value,
                       table::terminator style, const logger& log) {
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

    static result<table::writer_ptr> open_writer(const std::string& name, table::terminator style) {
        const auto [type, path] = table::split_spec(name, "");
        if (type != "hash" && type != "btree")
            return fail(errc::unsupported, "tables of type " + type + " are not written here: use btree");
        table::writer_options options;
        options.how = table::write_mode::update;
        options.mode = 0600;
        options.style = style;
        return table::open_writer(type, path, options);
    }

    proxy_status approve(const std::string& name, const logger& log) const {
        if (name.empty())
            return mistake;
        if (approved_.contains(name))
            return found;
        log.warning("request for unapproved table: \"" + printable(name) + "\"");
        log.warning(std::string("to approve this table for ") + (writes_ ? "read-write" : "read-only") +
                    " access, list proxy:" + printable(name) + " in main.cf:" + list_name());
        return denied;
    }

    // The table, opened when it is not yet.
    proxy_status use(const std::string& name, table_ref& into, const logger& log) {
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

    worker& worker_;
    endpoint where_;
    logger log_;
    bool writes_;
    std::set<std::string, std::less<>> approved_;
    std::set<net::stream*> idle_; // waiting for a request; the loop's
    std::mutex mutex_;            // of tables_
    std::map<std::string, table_ref> tables_;
    std::mutex writing_;
};

} // namespace

result<void> start_tables(worker& owner, std::vector<endpoint> endpoints) {
    for (auto& one : endpoints)
        std::make_shared<proxy_service>(owner, std::move(one))->start();
    return {};
}

} // namespace mta::daemon
