#include <algorithm>
#include <deque>
#include <future>
#include <iterator>
#include <memory>
#include <thread>

#include <mta/table/entry_parser.hpp>
#include <mta/table/file_values.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/line_input.hpp>
#include <mta/table/source_reading.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {
namespace {

constexpr std::size_t part_size = 4U << 20U;
constexpr unsigned most_threads = 2; // each with some twenty megabytes in hand
constexpr std::size_t part_of_names = 4096; // of files whose contents are the values

// Makes entries of lines; a thread's own.
class part_reader {
public:
    part_reader(const source_rules& rules, spill_store& store)
        : rules_(rules), parser_(rules.style.parser()), messages_(store),
          entries_(store, rules.policy, [this](const database_entry& one) { return duplicate(one); }) {}
    part_reader(const part_reader&) = delete;
    part_reader& operator=(const part_reader&) = delete;

    [[nodiscard]] result<void> read(const source_parts::part& part) {
        line_reader lines(part.text, rules_.title, part.first_line);
        while (const auto line = lines.next())
            if (auto done = add(*line); !done)
                return done;
        return {};
    }
    [[nodiscard]] result<source_content> finish() {
        auto entries = entries_.finish();
        if (!entries)
            return tl::make_unexpected(entries.error());
        auto messages = messages_.finish();
        if (!messages)
            return tl::make_unexpected(messages.error());
        return source_content{std::move(*entries), std::move(*messages)};
    }

private:
    result<void> complain(int line, std::string_view what) {
        return messages_.add(line, rules_.title + ", line " + std::to_string(line) + ": " + std::string(what));
    }
    result<void> duplicate(const database_entry& one) {
        return rules_.tell_duplicates ? messages_.add(one.line, rules_.duplicate(one.key)) : result<void>();
    }
    result<void> add(const logical_line& line) {
        if (rules_.utf8 && !is_utf8_line(line))
            return complain(line.line, "non-UTF-8 input \"" + std::string(line.text) + "\"" + ignored_line);
        if (line.text.empty() && rules_.style.alias_records)
            return {}; // begins with a NUL: nothing to name
        const auto entry = parser_->parse(line.text);
        if (!entry)
            return complain(line.line, entry.error().text());
        if (!entry->remark.empty())
            if (auto done = complain(line.line, entry->remark); !done)
                return done;
        std::string_view value = entry->value;
        if (rules_.file_values) {
            auto content = encoded_files(value);
            if (!content)
                return complain(line.line, content.error().text() + ": skipping this entry");
            value = encoded_ = std::move(*content);
        }
        const auto key = rules_.fold ? folder_(entry->key, rules_.utf8) : entry->key;
        return entries_.add(key, value, line.line, rules_.rank != nullptr ? rules_.rank(key) : 0);
    }

    const source_rules& rules_;
    std::unique_ptr<entry_parser> parser_;
    line_messages messages_;
    run_builder entries_;
    key_folder folder_;
    std::string encoded_;
};

result<void> append(source_content& to, result<source_content> more) {
    if (!more)
        return tl::make_unexpected(more.error());
    std::ranges::move(more->entries, std::back_inserter(to.entries));
    std::ranges::move(more->messages, std::back_inserter(to.messages));
    return {};
}

} // namespace

result<source_content> read_source(const source_rules& rules, spill_store& store, int fd, std::size_t size, unsigned processors) {
    if (processors == 0)
        processors = std::clamp(std::thread::hardware_concurrency(), 1U, most_threads);
    source_parts parts(fd, rules.title, rules.file_values ? part_of_names : part_size);
    part_reader here(rules, store);
    source_content out;
    std::deque<std::future<result<source_content>>> running; // waited for by their destructors, whatever happens
    progress bar(rules.title, stderr);
    std::size_t done = 0;
    for (bool last = false; !last;) {
        auto part = parts.next();
        if (!part)
            return tl::make_unexpected(part.error());
        last = part->last;
        bar.at(done += part->text.size(), size, "read");
        if (processors == 1 || rules.file_values || (last && running.empty())) {
            if (auto had = here.read(*part); !had)
                return tl::make_unexpected(had.error());
            continue;
        }
        if (running.size() == processors) {
            if (auto had = append(out, running.front().get()); !had)
                return tl::make_unexpected(had.error());
            running.pop_front();
        }
        running.push_back(std::async(std::launch::async, [&rules, &store, taken = std::move(*part)]() -> result<source_content> {
            part_reader there(rules, store);
            if (auto had = there.read(taken); !had)
                return tl::make_unexpected(had.error());
            return there.finish();
        }));
    }
    for (auto& one : running)
        if (auto had = append(out, one.get()); !had)
            return tl::make_unexpected(had.error());
    if (auto had = append(out, here.finish()); !had)
        return tl::make_unexpected(had.error());
    return out;
}

} // namespace mta::table
