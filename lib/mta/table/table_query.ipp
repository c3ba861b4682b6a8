// Looks up keys from the command line or standard input, and lists tables.
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include <mta/core/file.hpp>
#include <mta/core/json.hpp>
#include <mta/core/text.hpp>
#include <mta/table/command_task.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/line_input.hpp>
#include <mta/table/message_keys.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {
namespace {

result<table_ptr> open(const command_task& task, const char* file) {
    const auto spec = task.parts(file);
    if (spec.type.empty() || spec.name.empty())
        return fail(errc::malformed, "open dictionary: expecting \"type:name\" form instead of \"" + spec.type + ":" +
                                         spec.name + "\"");
    auto options = task.how_to_open();
    options.many_lookups = task.options.query == "-";
    return open_table(spec.type + ":" + spec.name, options);
}

// What is printed is written before the command waits for more input, so that a program can ask and be answered.
class output {
public:
    explicit output(bool json) : json_(json) {}
    void add(std::string_view key, std::string_view separator, std::string_view value) {
        if (json_) {
            text_ += '{';
            append_json_string(text_, printable(key));
            text_ += ": ";
            append_json_string(text_, printable(value));
            text_ += "}\n";
            return;
        }
        text_.append(key).append(separator).append(value) += '\n';
    }
    [[nodiscard]] bool is_full() const noexcept { return text_.size() >= full; }
    result<void> flush_when_full() { return is_full() ? flush() : result<void>(); }
    result<void> flush() {
        auto done = write_all(STDOUT_FILENO, text_);
        text_.clear();
        if (!done)
            return fail(done.error().code, "write output");
        return {};
    }

private:
    static constexpr std::size_t full = 1U << 16U;
    bool json_;
    std::string text_;
};

class asker {
public:
    asker(command_task& task, std::span<const char* const> files)
        : task_(task), files_(files), utf8_(task.utf8()), folds_(task.folds()) {}

    // The first value. A table is opened when a key comes to it: what no key needs may be missing.
    result<std::optional<std::string>> first_value(std::string_view key) {
        for (std::size_t i = 0; i < files_.size(); ++i) {
            if (tables_.size() == i)
                if (auto opened = open_next(); !opened)
                    return tl::make_unexpected(opened.error());
            auto found = ask(*tables_[i], key);
            if (!found || *found)
                return found;
        }
        return std::nullopt;
    }
    // Locks are kept while there are keys to ask for, and not while others are waited for.
    void begin_batch() {
        if (!batches_ || std::exchange(in_batch_, true))
            return;
        for (const auto& one : tables_)
            one->begin_batch();
    }
    void end_batch() {
        if (!std::exchange(in_batch_, false))
            return;
        for (const auto& one : tables_)
            one->end_batch();
    }

private:
    result<void> open_next() {
        auto table = open(task_, files_[tables_.size()]);
        if (!table)
            return tl::make_unexpected(table.error());
        if ((*table)->traits().may_block) {
            end_batch();
            batches_ = false;
        } else if (in_batch_) {
            (*table)->begin_batch();
        }
        tables_.push_back(std::move(*table));
        return {};
    }
    result<std::optional<std::string>> ask(lookup_table& table, std::string_view key) {
        // A key that is no text is refused under the name that it came with.
        const bool as_is = !folds_ || table.traits().exact_keys() || (utf8_ && !is_ascii(key) && !is_utf8(key));
        auto found = table.lookup(as_is ? key : folder_(key, utf8_));
        if (!found) {
            const std::string what = "table " + table.name() + ": query error";
            return fail(errc::temporary, found.error().detail.empty() ? what : what + ": " + found.error().text());
        }
        if (*found && (*found)->empty()) {
            task_.log.warning("table " + table.name() + ": key " + std::string(key) +
                              ": empty string result is not allowed");
            task_.log.warning("table " + table.name() + " should return NO RESULT in case of NOT FOUND");
        }
        return found;
    }

    command_task& task_;
    std::span<const char* const> files_;
    bool utf8_;
    bool folds_;
    std::vector<table_ptr> tables_;
    bool batches_ = true;
    bool in_batch_ = false;
    key_folder folder_;
};

result<int> query_input(command_task& task, asker& from) {
    output out(task.options.json);
    int status = 1;
    const auto flush = [&] {
        from.end_batch();
        return out.flush();
    };
    const auto ask = [&](std::string_view line) -> result<void> {
        const auto key = line.substr(0, line.find('\0')); // as the reference has it
        from.begin_batch();
        const auto found = from.first_value(key);
        if (!found)
            return tl::make_unexpected(found.error());
        if (*found) {
            out.add(key, task.style.separator, **found);
            status = 0;
        }
        return out.is_full() ? flush() : result<void>();
    };
    line_input input(STDIN_FILENO, flush);
    const auto done = task.options.has('b') || task.options.has('h')
                          ? each_message_key(input, {task.options.has('h'), task.options.has('b'), task.options.has('m')}, ask)
                          : input.each_line(ask);
    // What was found before a trouble is shown.
    const auto written = flush();
    if (!done)
        return tl::make_unexpected(done.error());
    if (!written)
        return tl::make_unexpected(written.error());
    return status;
}

} // namespace

result<int> query_tables(command_task& task, std::span<const char* const> files) {
    asker from(task, files);
    if (*task.options.query == "-")
        return query_input(task, from);
    const auto found = from.first_value(*task.options.query);
    if (!found)
        return tl::make_unexpected(found.error());
    if (!*found)
        return 1;
    output out(task.options.json);
    if (task.options.json)
        out.add(*task.options.query, {}, **found);
    else
        out.add({}, {}, **found);
    if (auto written = out.flush(); !written)
        return tl::make_unexpected(written.error());
    return 0;
}

result<int> list_table(command_task& task, const char* file) {
    auto table = open(task, file);
    if (!table)
        return tl::make_unexpected(table.error());
    output out(task.options.json);
    result<void> written;
    auto walked = (*table)->walk([&](std::string_view key, std::string_view value) {
        out.add(key, task.style.separator, value);
        written = out.flush_when_full();
        return written.has_value();
    });
    if (written)
        written = out.flush();
    if (!walked)
        return tl::make_unexpected(walked.error());
    if (!written)
        return tl::make_unexpected(written.error());
    return 0;
}

} // namespace mta::table
