#include "postqueue.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>
#include <functional>

#include <mta/address/domain_name.hpp>
#include <mta/config/command_log.hpp>
#include <mta/core/file.hpp>
#include <mta/core/local_socket.hpp>
#include <mta/core/text.hpp>
#include <mta/core/users.hpp>
#include <mta/queue/flush_request.hpp>
#include <mta/queue/listing.hpp>
#include <mta/queue/ordered_reading.hpp>
#include <mta/queue/spool.hpp>
#include <mta/rewrite/flush_sites.hpp>
#include <mta/table/user_rights.hpp>

#include "listing_printer.hpp"

namespace mta::postqueue {

namespace {

using std::chrono::milliseconds;

// Bad input on one line of the log.
std::string shown(std::string_view text) {
    constexpr std::size_t most = 100;
    return '"' + printable(text.substr(0, most)) + (text.size() > most ? "...\"" : "\"");
}

class command {
public:
    command(const options& opt, std::FILE* out) : opt_(opt), out_(out), log_("postqueue", fatal_status) {}

    int run() {
        cfg_ = log_.load(opt_.config_directory);
        if (::isatty(::fileno(out_)) == 0)
            std::setvbuf(out_, nullptr, _IOFBF, 1U << 16U);
        switch (opt_.action) {
        case action::flush:
            flush();
            break;
        case action::flush_id:
            flush_one(opt_.argument);
            break;
        case action::flush_site:
            flush_site();
            break;
        default:
            list();
            break;
        }
        if (std::fflush(out_) != 0)
            log_.fatal("output write error: " + std::string(std::generic_category().message(errno)));
        return 0;
    }

private:
    void check_rights(const char* title, const std::vector<std::string>& users, const char* purpose) {
        const uid_t uid = ::getuid();
        if (uid == 0)
            return;
        const auto name = table::login_name(uid);
        auto allowed = table::lets_in(title, users, name);
        if (!allowed)
            log_.warning(allowed.error().text());
        if (!allowed || !*allowed)
            log_.fatal("User " + name + '(' + std::to_string(uid) + ") is not allowed to " + purpose);
    }

    [[nodiscard]] std::string socket_path(const char* service) const {
        return (*cfg_)[param::queue_directory] + "/public/" + service;
    }

    [[nodiscard]] milliseconds limit() const {
        return std::chrono::duration_cast<milliseconds>((*cfg_)[param::ipc_timeout]);
    }

    // Whether nobody listens, as opposed to some other trouble.
    static bool is_down(const error& problem) {
        return problem.code == std::errc::no_such_file_or_directory || problem.code == std::errc::connection_refused;
    }

    void check_flush_rights() {
        check_rights("authorized_flush_users", (*cfg_)[param::authorized_flush_users], "flush the mail queue");
    }

    void check_list_rights() {
        const uid_t uid = ::getuid();
        const auto owner = uid == 0 ? result<std::optional<user>>(std::nullopt)
                                    : find_user((*cfg_)[param::mail_owner]);
        if (!(owner && *owner && (*owner)->uid == uid))
            check_rights("authorized_mailq_users", (*cfg_)[param::authorized_mailq_users],
                         "view the mail queue");
    }

    void list() {
        check_list_rights();
        const auto ids = (*cfg_)[param::enable_long_queue_ids] ? queue::id_form::long_id : queue::id_form::short_id;
        const bool json = opt_.action == action::list_json;
        const auto form = opt_.count ? (json ? layout::json_count : layout::count)
                                     : (json ? layout::json : layout::traditional);
        listing_printer printer(form, ids, out_);
        each_message([&](const queue::listed_message& message) { printer.print(message); });
        printer.finish();
    }

    using visitor = std::function<void(const queue::listed_message&)>;

    // The messages that were asked for.
    void each_message(const visitor& visit) {
        const auto now = static_cast<long long>(std::time(nullptr));
        const auto& empty_address = cfg_->text("empty_address_recipient");
        const visitor selected = [&](const queue::listed_message& message) {
            if (opt_.selection.empty() || opt_.selection.matches(message, now, empty_address))
                visit(message);
        };
        auto fd = connect_local(socket_path("showq"), limit());
        if (fd)
            list_by_service(fd->get(), selected);
        else {
            const auto why = "Connect to the Postfix showq service: " + fd.error().code.message();
            if (!is_down(fd.error()) || ::geteuid() != 0)
                log_.fatal("Queue report unavailable - mail system is down (" + why + ')');
            log_.warning("Mail system is down -- accessing queue directly (" + why + ')');
            list_directly(selected);
        }
    }

    void list_by_service(int fd, const visitor& visit) {
        queue::showq_parser parser;
        std::array<char, 65536> chunk{};
        while (!parser.finished()) {
            auto message = parser.next();
            if (!message)
                log_.fatal(message.error());
            if (*message) {
                visit(**message);
                continue;
            }
            if (parser.finished())
                break;
            auto got = receive_some(fd, chunk.data(), chunk.size(), limit());
            if (!got || *got == 0)
                log_.fatal("malformed showq server response");
            parser.feed({chunk.data(), *got});
        }
    }

    void list_directly(const visitor& visit) {
        auto spool = queue::spool::open(queue::spool_options_from(*cfg_));
        if (!spool)
            log_.fatal(spool.error());
        queue::listing_options options;
        options.empty_address = cfg_->text("empty_address_recipient");
        options.threads = queue::reading_threads();
        options.warn = [this](std::string_view text) { log_.warning(text); };
        auto listed = queue::list_queue(*spool, options, [&](const queue::listed_message& message) {
            visit(message);
            return queue::scan_step::go_on;
        });
        if (!listed)
            log_.fatal(listed.error());
    }

    // Sends bytes and waits for the service to hang up.
    result<void> trigger(const char* service, std::string_view bytes) {
        const auto path = socket_path(service);
        const auto time = std::chrono::duration_cast<milliseconds>((*cfg_)[param::trigger_timeout]);
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0)
            return fail_errno("look at " + path);
        if (S_ISFIFO(status.st_mode)) { // systems of long ago
            auto fifo = open_file(path, O_WRONLY | O_NONBLOCK);
            return fifo ? write_all(fifo->get(), bytes) : tl::make_unexpected(fifo.error());
        }
        auto fd = connect_local(path, time);
        if (!fd)
            return tl::make_unexpected(fd.error());
        if (auto sent = send_all(fd->get(), bytes, time); !sent)
            return sent;
        (void)wait_readable(fd->get(), time);
        return {};
    }

    void flush() {
        check_flush_rights();
        if (!opt_.selection.empty() || opt_.dry_run) {
            flush_selected();
            return;
        }
        for (const auto& [service, bytes] : {std::pair("qmgr", "FADI"), std::pair("pickup", "W")})
            if (auto sent = trigger(service, bytes); !sent) {
                warn_if_missing("unable to look up", service, sent.error());
                log_.fatal("Cannot flush mail queue - mail system is down");
            }
    }

    // A service that was never there is worth a word more than one that has stopped.
    void warn_if_missing(const char* what, const char* service, const error& why) {
        if (why.code == std::errc::no_such_file_or_directory)
            log_.warning(std::string(what) + " public/" + service + ": " + why.code.message());
    }

    // One request a deferred message: others are on their way anyhow.
    void flush_selected() {
        check_list_rights();
        std::vector<std::string> ids; // first the listing, which ends with time, then the requests
        each_message([&](const queue::listed_message& message) {
            if (message.queue_name == "deferred")
                ids.push_back(message.queue_id);
        });
        for (const auto& id : ids) {
            if (opt_.dry_run)
                std::fprintf(out_, "%s\n", id.c_str());
            else
                flush_one(id);
        }
    }

    // One request to the flush service.
    queue::flush_status ask_flush(const std::string& request) {
        const auto status = queue::ask_flush_service(socket_path("flush"), request, limit());
        if (status && *status != queue::flush_status::failed)
            return *status;
        if (!status && status.error().detail.empty())
            log_.warning("connect to public/flush: " + status.error().code.message());
        else if (!status)
            log_.warning(status.error().text());
        log_.fatal("Cannot flush mail queue - mail system is down");
    }

    void flush_one(const std::string& id) {
        check_flush_rights();
        if (!queue::is_valid_queue_id(id))
            log_.fatal("Cannot flush queue ID - invalid name: " + shown(id));
        if (ask_flush(queue::flush_file_request(id)) != queue::flush_status::done)
            log_.fatal("Invalid request: " + shown(id));
    }

    void flush_site() {
        check_flush_rights();
        const auto& site = opt_.argument;
        if (!address::valid_site(site))
            log_.fatal("Cannot flush mail queue - invalid destination: " + shown(site));
        // What is not eligible needs no service to say so.
        auto sites = rewrite::flush_sites::open(*cfg_);
        const auto eligible = sites ? sites->has(site) : result<bool>(tl::make_unexpected(sites.error()));
        if (!eligible)
            log_.fatal(eligible.error().text());
        const auto status = *eligible ? ask_flush(queue::flush_site_request(site)) : queue::flush_status::not_eligible;
        if (status == queue::flush_status::bad_request)
            log_.fatal("Invalid request: " + shown(site));
        if (status == queue::flush_status::not_eligible)
            log_.fatal("Flush service is not configured for destination " + shown(site));
    }

    const options& opt_;
    std::FILE* out_;
    config::command_log log_;
    std::optional<configuration> cfg_;
};

} // namespace

int run(const options& opt, std::FILE* out) {
    return command(opt, out).run();
}

} // namespace mta::postqueue
