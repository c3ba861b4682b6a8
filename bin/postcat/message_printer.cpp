#include "message_printer.hpp"

#include <algorithm>
#include <functional>

#include <mta/core/base64.hpp>
#include <mta/core/json.hpp>
#include <mta/core/text.hpp>

namespace mta::postcat {

namespace {

result<void> each_piece(queue::queue_file& file, const std::function<void(std::string_view)>& visit) {
    std::string_view line;
    bool unterminated = false;
    for (;;) {
        auto more = file.next_line(line, unterminated);
        if (!more)
            return tl::make_unexpected(more.error());
        if (!*more)
            return {};
        visit(line);
        if (!unterminated)
            visit("\n");
    }
}

// Object members, one after another.
class object {
public:
    void text(std::string_view name, std::string_view value) {
        append_json_name(out, name);
        append_json_string(out, printable(value));
    }
    void text_if(std::string_view name, std::string_view value) {
        if (!value.empty())
            text(name, value);
    }
    void number(std::string_view name, long long value) { plain(name, std::to_string(value)); }
    void number_if(std::string_view name, long long value) {
        if (value != 0)
            number(name, value);
    }
    void plain(std::string_view name, std::string_view value) {
        append_json_name(out, name);
        out += value;
    }

    std::string out = "{";
};

std::string recipient_object(const queue::recipient& to) {
    object one;
    one.text("address", to.address);
    one.text_if("original", to.original);
    one.text_if("dsn_original", to.dsn_original);
    one.number_if("notify_flags", to.notify);
    one.plain("done", to.done ? "true" : "false");
    return one.out + '}';
}

} // namespace

result<void> print_raw(queue::queue_file& file, std::FILE* out) {
    return each_piece(file,
                      [out](std::string_view piece) { std::fwrite(piece.data(), 1, piece.size(), out); });
}

result<void> print_json(queue::queue_file& file, const std::string& name, bool envelope_only,
                        std::FILE* out) {
    auto read = file.read_envelope({.keep_done = true});
    if (!read)
        return tl::make_unexpected(read.error());
    object message;
    message.text("file", name);
    message.number("message_size", read->size ? read->size->content_size : file.status().st_size);
    message.number("arrival_time", read->arrival.tv_sec);
    message.number_if("create_time", read->create_time);
    message.text("sender", read->sender);
    message.text_if("full_name", read->full_name);
    message.text_if("encoding", read->encoding);
    message.text_if("rewrite_context", read->rewrite_context);
    message.text_if("envelope_id", read->dsn_envid);
    message.number_if("ret_flags", read->dsn_ret);
    message.text_if("content_filter", read->content_filter);
    message.text_if("inspector", read->inspector);
    message.text_if("redirect_to", read->redirect);
    message.text_if("verp_delimiters", read->verp);
    message.text_if("errors_to", read->errors_to);
    message.number_if("warn_time", std::max(read->warn_time, 0LL)); // -1: no warning is wanted
    message.number_if("trace_flags", read->trace_flags);
    object attributes;
    for (const auto& [key, value] : read->attributes)
        if (read->attribute(key).data() == value.data()) // the first of its name
            attributes.text(key, value);
    message.plain("attributes", attributes.out + '}');
    std::string recipients;
    for (const auto& to : read->recipients)
        recipients += (recipients.empty() ? "" : ", ") + recipient_object(to);
    message.plain("recipients", '[' + recipients + ']');
    if (!envelope_only) {
        std::string text;
        if (auto all = each_piece(file, [&text](std::string_view piece) { text += piece; }); !all)
            return all;
        if (is_utf8(text)) {
            append_json_name(message.out, "text");
            append_json_string(message.out, text);
        } else
            message.text("text_base64", to_base64(text));
    }
    message.out += "}\n";
    std::fwrite(message.out.data(), 1, message.out.size(), out);
    return {};
}

} // namespace mta::postcat
