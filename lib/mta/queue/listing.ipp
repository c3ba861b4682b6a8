#pragma once

#include <array>
#include <ctime>

#include <mta/core/attr.hpp>
#include <mta/core/json.hpp>
#include <mta/core/text.hpp>
#include <mta/queue/errc.hpp>
#include <mta/queue/listing.hpp>
#include <mta/queue/listing_memory.hpp>
#include <mta/queue/message_lister.ipp>
#include <mta/queue/ordered_reading.hpp>

namespace mta::queue {

namespace detail {

inline constexpr std::size_t max_listed_message = 16U << 20U;

// A hash directory that cannot be read is named, and its messages are missing.
inline scanner::skip_report skipping(const listing_options& options) {
    if (!options.warn)
        return {};
    return [warn = options.warn](const error& why) { warn(why.text()); };
}

inline constexpr std::array<directory, 5> listing_order = {directory::maildrop, directory::active,
                                                           directory::incoming, directory::deferred, directory::hold};

inline result<void> list_side_by_side(const spool& where, listing_options options,
                                      const std::function<scan_step(const listed_message&)>& visit) {
    std::mutex warning;
    if (options.warn)
        options.warn = [&warning, warn = std::move(options.warn)](std::string_view text) {
            const std::lock_guard lock(warning);
            warn(text);
        };
    directory which{};
    ordered_reading<listed_message> reading(options.threads, [&](const scanned_file& file) {
        return message_lister(where, options, which).list({file.name, file.directory_fd, {}, file.type});
    });
    const auto take = [&](listed_message&& message) { return visit(message); };
    for (const auto one : listing_order) {
        which = one; // no reader is at work between two queues
        auto step = reading.run(scanner(where, which, detail::skipping(options)), take);
        if (!step)
            return tl::make_unexpected(step.error());
        if (*step == scan_step::stop)
            return {};
    }
    return {};
}

} // namespace detail

struct queue_listing::impl {
    const spool& where;
    listing_options options;
    std::size_t at = 0; // in listing_order
    std::optional<scanner> scan;
    unsigned long number = 0; // of this listing, in a memory

    // Calls take(lister, entry) until it says that this was one. False: there are no more.
    template <class Take>
    result<bool> next(const Take& take) {
        for (; at < detail::listing_order.size(); ++at) {
            const auto which = detail::listing_order[at];
            if (!scan)
                scan.emplace(where, which, detail::skipping(options));
            const detail::message_lister lister(where, options, which);
            for (;;) {
                auto entry = scan->next();
                if (!entry)
                    return tl::make_unexpected(entry.error());
                if (!*entry)
                    break;
                if (take(lister, **entry))
                    return true;
            }
            scan.reset();
        }
        return false;
    }
};

queue_listing::queue_listing(const spool& where, listing_options options)
    : impl_(std::make_unique<impl>(impl{where, std::move(options), 0, std::nullopt})) {}
queue_listing::queue_listing(queue_listing&&) noexcept = default;
queue_listing& queue_listing::operator=(queue_listing&&) noexcept = default;
queue_listing::~queue_listing() = default;

result<std::optional<listed_message>> queue_listing::next() {
    std::optional<listed_message> message;
    auto found = impl_->next([&](const detail::message_lister& lister, const scan_entry& entry) {
        message = lister.list(entry);
        return message.has_value();
    });
    if (!found)
        return tl::make_unexpected(found.error());
    return message;
}

result<bool> queue_listing::append_next(std::string& out, listing_memory& memory) {
    auto& self = *impl_;
    if (self.number == 0)
        self.number = memory.begin();
    auto found = self.next([&](const detail::message_lister& lister, const scan_entry& entry) {
        return lister.append(out, entry, memory, self.number);
    });
    if (found && !*found)
        memory.finish(self.number);
    return found;
}

result<void> list_queue(const spool& where, const listing_options& options,
                        const std::function<scan_step(const listed_message&)>& visit) {
    if (options.threads > 1)
        return detail::list_side_by_side(where, options, visit);
    queue_listing listing(where, options);
    for (;;) {
        auto message = listing.next();
        if (!message)
            return tl::make_unexpected(message.error());
        if (!*message || visit(**message) == scan_step::stop)
            return {};
    }
}

std::optional<listed_message> list_message(const spool& where, const listing_options& options, directory which,
                                           int directory_fd, const std::string& path, std::string_view id) {
    return detail::message_lister(where, options, which).list(directory_fd, path.c_str(), id);
}

void append_json(std::string& out, const listed_message& message) {
    const auto text = [&out](std::string_view name, std::string_view value) {
        append_json_name(out, name);
        append_json_string(out, value);
    };
    const auto plain = [&out](std::string_view name, std::string_view value) {
        append_json_name(out, name);
        out += value;
    };
    out += '{';
    text("queue_name", message.queue_name);
    text("queue_id", message.queue_id);
    plain("arrival_time", std::to_string(message.arrival));
    plain("message_size", std::to_string(message.size));
    plain("forced_expire", message.forced_expire ? "true" : "false");
    text("sender", message.sender);
    plain("recipients", "[");
    for (const auto& to : message.recipients) {
        out += &to == &message.recipients.front() ? "{" : ", {";
        text("address", to.address);
        if (!to.reason.empty())
            text("delay_reason", to.reason);
        out += '}';
    }
    out += "]}";
}

std::string showq_greeting() {
    return attr_writer().put("protocol", "mail_queue_list_protocol").finish();
}

std::string showq_message(const listed_message& message) {
    attr_writer out;
    out.put("queue_name", message.queue_name)
        .put("queue_id", message.queue_id)
        .put("time", message.arrival)
        .put("size", message.size)
        .put("forced_expire", message.forced_expire ? 1 : 0)
        .put("sender", message.sender);
    for (const auto& to : message.recipients)
        out.put("recipient", to.address).put("reason", to.reason);
    return out.finish();
}

std::string showq_end() {
    return std::string(1, '\0');
}

namespace detail {

// One member of a message. The views are of the reader's bytes.
inline result<void> take_listed(listed_message& message, std::string_view key, std::string_view value) {
    if (key == "recipient")
        message.recipients.push_back({std::string(value), {}});
    else if (key == "reason") {
        if (!message.recipients.empty())
            message.recipients.back().reason = value;
    } else if (key == "queue_name")
        message.queue_name = value;
    else if (key == "queue_id")
        message.queue_id = value;
    else if (key == "time" || key == "size") {
        const auto number = parse_integer(value);
        if (!number)
            return fail(errc::bad_listing, "bad number in queue listing: " + printable(value));
        (key == "time" ? message.arrival : message.size) = *number;
    } else if (key == "forced_expire")
        message.forced_expire = value != "0";
    else if (key == "sender")
        message.sender = value;
    // original_recipient and log_class of newer servers have no place in the listing.
    return {};
}

} // namespace detail

result<std::optional<listed_message>> showq_parser::next() {
    while (!finished_) {
        attr_reader reader(std::string_view(pending_).substr(at_));
        listed_message message;
        std::string_view protocol;
        std::size_t pairs = 0;
        result<void> taken;
        for (;;) {
            auto pair = reader.next();
            if (!pair) {
                // What was read goes only when more is asked for, so that a chunk of many messages is moved once.
                pending_.erase(0, std::exchange(at_, 0));
                if (pending_.size() > detail::max_listed_message)
                    return fail(errc::bad_listing, "queue listing with an endless message");
                return std::nullopt;
            }
            if (!*pair)
                break;
            ++pairs;
            const auto [key, value] = **pair;
            if (!greeted_ && key == "protocol")
                protocol = value;
            else if (greeted_ && taken)
                taken = detail::take_listed(message, key, value);
        }
        at_ += reader.consumed();
        if (!greeted_) {
            if (protocol != "mail_queue_list_protocol")
                return fail(errc::bad_listing, "the service does not speak mail_queue_list_protocol");
            greeted_ = true;
            continue;
        }
        if (pairs == 0) {
            finished_ = true;
            break;
        }
        if (!taken)
            return tl::make_unexpected(taken.error());
        if (message.queue_id.empty())
            return fail(errc::bad_listing, "queue listing without a queue ID");
        return message;
    }
    return std::nullopt;
}

} // namespace mta::queue
