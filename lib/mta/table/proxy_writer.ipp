// proxy:TYPE:NAME changed from outside: the proxywrite service, where one runs, deletes keys for whoever may reach its
// socket. Where none does, the table is changed by this process, with this process's rights.
#include <mta/core/attr.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/proxy_protocol.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {
namespace {

std::string cannot_delete(const std::string& table) { return "table proxy:" + table + ": delete error: Application error"; }

class proxy_writer final : public table_writer {
public:
    proxy_writer(std::string table, long long flags, std::unique_ptr<client_stream> server, std::chrono::seconds limit)
        : table_(std::move(table)), flags_(flags), server_(std::move(server)), limit_(limit) {}

    result<bool> insert(std::string_view, std::string_view) override { return no_building(); }
    result<void> replace(std::string_view, std::string_view) override { return no_building(); }
    result<void> put_bare(std::string_view, std::string_view) override { return no_building(); }

    result<bool> remove(std::string_view key) override {
        if (auto ready = server_->start_question(limit_); !ready)
            return tl::make_unexpected(ready.error());
        const auto answer = ask_proxy(*server_, attr_writer().put("request", "delete").put("table", table_)
                                                   .put("flags", flags_).put("key", key).finish());
        if (!answer)
            return tl::make_unexpected(answer.error());
        switch (status_of(*answer)) {
        case proxy_status::found:
            return true;
        case proxy_status::absent:
            return false;
        case proxy_status::denied:
            return fail(errc::not_permitted, "proxywrite service is not configured for table \"" + table_ + "\"");
        default:
            return fail(errc::temporary, cannot_delete(table_));
        }
    }
    result<void> finish() override { return {}; }

private:
    [[nodiscard]] static failure no_building() {
        return fail(errc::unsupported, "unsupported dictionary type: proxy does not support bulk-mode creation.");
    }

    std::string table_;
    long long flags_;
    std::unique_ptr<client_stream> server_;
    std::chrono::seconds limit_;
};

} // namespace

result<writer_ptr> write_proxy(const std::string& name, const writer_options& options) {
    const auto parts = split_spec(name, "");
    const auto* cfg = current_configuration();
    if (cfg == nullptr)
        return open_writer(parts.type, parts.name, options);
    const auto service = cfg->text("proxywrite_service_name");
    const auto limit = cfg->time("ipc_timeout").value_or(std::chrono::seconds(3600));
    auto server = connect_proxy(server_address::parse(proxy_sockets(*cfg, service).front()), limit);
    if (!server && nobody_there(server.error()))
        return open_writer(parts.type, parts.name, options);
    if (!server)
        return tl::make_unexpected(server.error());
    open_options how;
    how.style = options.style;
    how.utf8 = options.utf8;
    const auto opened = open_in_proxy(**server, service, name, how);
    if (!opened)
        return tl::make_unexpected(opened.error());
    if (status_of(*opened) != proxy_status::found)
        return fail(errc::temporary, cannot_delete(name));
    return std::make_unique<proxy_writer>(name, proxy_request_flags(how), std::move(*server), limit);
}

} // namespace mta::table
