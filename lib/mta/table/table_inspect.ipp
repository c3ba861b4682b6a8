// What the commands know beyond the historic options: which table answers and why, what is wrong with a source, how
// big a table is, and one type made into another.
#include <sys/stat.h>

#include <unistd.h>

#include <string>
#include <unordered_map>
#include <vector>

#include <mta/address/parts.hpp>
#include <mta/core/file.hpp>
#include <mta/core/json.hpp>
#include <mta/core/text.hpp>
#include <mta/table/command_task.hpp>
#include <mta/table/entry_sorter.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/key_folding.hpp>
#include <mta/table/rule_check.hpp>
#include <mta/table/text_source.hpp>

namespace mta::table {
namespace {

result<void> print(const std::string& text) { return write_all(STDOUT_FILENO, text); }

// The keys of an address in the order in which most tables are asked; one key for everything else.
std::vector<std::string> keys_of(const std::string& key, const std::string& delimiters) {
    std::vector<std::string> out{key};
    const auto parts = address::split_address(key);
    if (!parts.has_domain)
        return out;
    const auto local = address::split_extension(parts.local, delimiters);
    const std::string user(local.user);
    const std::string domain = "@" + std::string(parts.domain);
    if (local.extension)
        out.push_back(user + domain);
    out.emplace_back(parts.local);
    if (local.extension)
        out.push_back(user);
    out.push_back(domain);
    return out;
}

// Counts what is said on its way to the log.
class counting_sink final : public log_sink {
public:
    explicit counting_sink(std::shared_ptr<log_sink> next) : next_(std::move(next)) {}
    void write(severity level, std::string_view tag, unsigned long number, std::string_view text) override {
        ++count_;
        next_->write(level, tag, number, text);
    }
    [[nodiscard]] int count() const noexcept { return count_; }

private:
    std::shared_ptr<log_sink> next_;
    int count_ = 0;
};

// A source of keys and values: what a build would warn of, and for a key that stands there twice also where it stood.
result<void> check_source(command_task& task, const spec_parts& spec) {
    const auto text = read_file(spec.name, std::size_t{1} << 32U);
    if (!text)
        return tl::make_unexpected(text.error());
    line_reader lines(*text, spec.name);
    const auto parser = task.style.parser();
    key_folder folder;
    std::unordered_map<std::string, int> seen;
    while (const auto line = lines.next()) {
        const auto say = [&](const std::string& what) {
            current_log().warning(spec.name + ", line " + std::to_string(line->line) + ": " + what);
        };
        if (task.utf8() && !is_utf8_line(*line)) {
            say("non-UTF-8 input \"" + std::string(line->text) + "\"" + ignored_line);
            continue;
        }
        const auto entry = parser->parse(line->text);
        if (!entry) {
            say(entry.error().text());
            continue;
        }
        if (!entry->remark.empty())
            say(std::string(entry->remark));
        const std::string key(task.folds() ? folder(entry->key, task.utf8()) : entry->key);
        if (const auto [it, fresh] = seen.try_emplace(key, line->line); !fresh)
            say("duplicate entry: \"" + key + "\" is on line " + std::to_string(it->second) + " already");
    }
    return {};
}

// The file that a table is in; nullopt for a table that is in none.
std::optional<struct stat> file_behind(const spec_parts& spec) {
    const bool text = spec.type == "texthash";
    struct stat status {};
    if ((!text && !can_write(spec.type)) ||
        ::stat((text ? spec.name : database_file(spec.type, spec.name)).c_str(), &status) != 0)
        return std::nullopt;
    return status;
}

result<void> check_one(command_task& task, const char* file) {
    const auto spec = task.parts(file);
    const bool rules = spec.type == "regexp" || spec.type == "pcre" || spec.type == "cidr";
    if (!rules && (can_write(spec.type) || spec.type == "texthash"))
        return check_source(task, spec);
    const auto shadowed = find_shadowed(spec.type, spec.name);
    if (!shadowed)
        return tl::make_unexpected(shadowed.error());
    for (const auto& one : *shadowed)
        current_log().warning(spec.name + ", line " + std::to_string(one.line) + ": " + one.what +
                              " is never reached: line " + std::to_string(one.by) + " answers first");
    return {};
}

} // namespace

result<int> explain_key(command_task& task, std::span<const char* const> files) {
    const auto keys = keys_of(*task.options.explain, task.cfg.text("recipient_delimiter"));
    bool hit = false;
    for (const char* file : files) {
        const auto spec = task.parts(file);
        auto table = open_table(spec.type + ":" + spec.name, task.how_to_open());
        if (!table)
            return tl::make_unexpected(table.error());
        for (const auto& key : keys) {
            const auto traits = (*table)->traits();
            if (&key != &keys.front() && traits.patterns)
                break; // whole keys only
            const auto asked = traits.exact_keys() || !task.folds() ? key : folded_key(key, task.utf8());
            const auto found = (*table)->lookup(asked);
            const auto place = found && *found ? (*table)->last_place() : std::string();
            const std::string outcome = !found ? "error" : *found ? "found" : "not found";
            std::string out;
            if (task.options.json) {
                out = "{";
                for (const auto& [name, text] : {std::pair<const char*, std::string>("table", (*table)->name()),
                                                 {"key", asked}, {"outcome", outcome},
                                                 {"value", found && *found ? **found : ""},
                                                 {"place", place}, {"error", found ? "" : found.error().text()}})
                    if (!text.empty()) {
                        append_json_name(out, name);
                        append_json_string(out, printable(text));
                    }
                out += "}\n";
            } else {
                out = (*table)->name() + ": \"" + asked + "\": " + outcome +
                      (!found ? ": " + found.error().text() : *found ? ": " + **found : "") +
                      (place.empty() ? "" : " (" + place + ")") + "\n";
            }
            if (auto done = print(out); !done)
                return tl::make_unexpected(done.error());
            if (!found)
                return 1; // whoever asks gets "try again later": no further table is looked at
            if (*found) {
                hit = true;
                break;
            }
        }
        if (hit)
            break;
    }
    return hit ? 0 : 1;
}

result<int> check_sources(command_task& task, std::span<const char* const> files) {
    const auto counted = std::make_shared<counting_sink>(task.log.log().sink());
    set_environment(task.cfg, logger(counted, task.log.log().tag()));
    for (const char* file : files)
        if (auto done = check_one(task, file); !done)
            return tl::make_unexpected(done.error());
    return counted->count() == 0 ? 0 : 1;
}

result<int> table_statistics(command_task& task, std::span<const char* const> files) {
    for (const char* file : files) {
        const auto spec = task.parts(file);
        auto table = open_table(spec.type + ":" + spec.name, task.how_to_open());
        if (!table)
            return tl::make_unexpected(table.error());
        std::size_t entries = 0;
        std::size_t bytes = 0;
        std::size_t longest_key = 0;
        std::size_t longest_value = 0;
        const auto walked = (*table)->walk([&](std::string_view key, std::string_view value) {
            ++entries;
            bytes += key.size() + value.size();
            longest_key = std::max(longest_key, key.size());
            longest_value = std::max(longest_value, value.size());
            return true;
        });
        if (!walked)
            return tl::make_unexpected(walked.error());
        const auto status = file_behind(spec);
        std::string out = task.options.json ? "{" : (*table)->name() + ":";
        if (task.options.json) {
            append_json_name(out, "table");
            append_json_string(out, printable((*table)->name()));
        }
        for (const auto& [name, number] : {std::pair<const char*, std::size_t>("entries", entries), {"bytes", bytes},
                                           {"longest_key", longest_key}, {"longest_value", longest_value},
                                           {"file_size", status ? static_cast<std::size_t>(status->st_size) : 0}}) {
            if (task.options.json)
                append_json_name(out, name);
            else
                out += std::string(" ") + name + "=";
            out += std::to_string(number);
        }
        if (auto done = print(out + (task.options.json ? "}\n" : "\n")); !done)
            return tl::make_unexpected(done.error());
    }
    return 0;
}

result<int> convert_table(command_task& task, std::span<const char* const> files) {
    if (files.size() != 2)
        return fail(errc::malformed, "--convert needs two tables: the one to read and the one to write");
    const auto from = task.parts(files[0]);
    const auto to = task.parts(files[1]);
    if (auto writable = can_write(to.type); !writable)
        return tl::make_unexpected(writable.error());
    // What an alias database holds beside its aliases is written anew by the target's builder: it is copied as it is.
    auto table = open_table(from.type + ":" + from.name, task.how_to_open());
    if (!table)
        return tl::make_unexpected(table.error());
    // Who may not read the one may not read the other.
    const auto status = file_behind(from);
    const auto mode = static_cast<mode_t>(status && !task.options.has('p') ? 0600 | (status->st_mode & 0044) : 0644);
    const auto how = task.how_to_write(write_mode::create, mode);
    const auto rank = load_rank(to.type, how);
    spill_store store(parent_directory(to.name), most_in_memory);
    run_builder runs(store, on_duplicate::keep_first, nullptr);
    result<void> added;
    const auto walked = (*table)->walk([&](std::string_view key, std::string_view value) {
        added = runs.add(key, value, 0, rank != nullptr ? rank(key) : 0);
        return added.has_value();
    });
    if (!walked)
        return tl::make_unexpected(walked.error());
    auto all = added ? runs.finish() : tl::make_unexpected(added.error());
    if (!all)
        return tl::make_unexpected(all.error());
    entry_merge entries(store, std::move(*all), on_duplicate::keep_first, nullptr);
    auto writer = open_writer(to.type, to.name, how);
    if (!writer)
        return tl::make_unexpected(writer.error());
    if (auto done = (*writer)->load(entries); !done)
        return tl::make_unexpected(done.error());
    if (auto done = (*writer)->finish(); !done)
        return tl::make_unexpected(done.error());
    return 0;
}

} // namespace mta::table
