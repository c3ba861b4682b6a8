// What the parts of postmap and postalias share: the options of this run, and the configuration.
#pragma once

#include <optional>
#include <set>
#include <string>

#include <mta/config/configuration.hpp>
#include <mta/table/registry.hpp>
#include <mta/table/table_command.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {

struct command_options {
    std::set<char> letters;
    std::string directory; // -c
    std::optional<std::string> query;
    std::optional<std::string> remove;
    std::optional<std::string> explain;
    bool check = false;
    bool statistics = false;
    bool convert = false;
    bool json = false;

    [[nodiscard]] bool has(char letter) const { return letters.contains(letter); }
};

struct command_task {
    const command_style& style;
    config::command_log& log;
    command_options options;
    config::configuration cfg;

    [[nodiscard]] bool folds() const { return !options.has('f'); }
    // Whether keys, values and source lines must be UTF-8. Lines of messages need not, unless -U asks.
    [[nodiscard]] bool utf8() const {
        const bool message = options.has('b') || options.has('h');
        return !options.has('u') && (!message || options.has('U')) && cfg.yes_no("smtputf8_enable").value_or(true);
    }
    [[nodiscard]] terminator style_of_keys() const {
        return options.has('n') ? terminator::without : options.has('N') ? terminator::with : terminator::unknown;
    }
    // "type:name", with the default type where none is given.
    [[nodiscard]] spec_parts parts(const char* file) const {
        return split_spec(file, cfg.text("default_database_type"));
    }
    [[nodiscard]] open_options how_to_open() const {
        open_options out;
        out.fold_case = folds();
        out.utf8 = utf8();
        out.file_values = options.has('F');
        out.style = style_of_keys();
        out.read_buffer = size("berkeley_db_read_buffer_size", out.read_buffer);
        out.map_size = size("lmdb_map_size", out.map_size);
        return out;
    }
    [[nodiscard]] writer_options how_to_write(write_mode how, mode_t mode) const {
        writer_options out;
        out.how = how;
        out.mode = mode;
        out.utf8 = utf8();
        out.style = style_of_keys();
        out.buffer = size("berkeley_db_create_buffer_size", out.buffer);
        out.map_size = size("lmdb_map_size", out.map_size);
        return out;
    }

private:
    [[nodiscard]] std::size_t size(const char* parameter, std::size_t otherwise) const {
        const auto value = cfg.number(parameter);
        return value && *value > 0 ? static_cast<std::size_t>(*value) : otherwise;
    }
};

// Each answers the exit status. An error is fatal; nothing half-done is left behind when it is returned.
[[nodiscard]] result<int> build_tables(command_task& task, std::span<const char* const> files);
[[nodiscard]] result<int> remove_keys(command_task& task, std::span<const char* const> files);
[[nodiscard]] result<int> query_tables(command_task& task, std::span<const char* const> files);
[[nodiscard]] result<int> list_table(command_task& task, const char* file);

// Each key tried, and the table, file and line that answered. 0: there was an answer.
[[nodiscard]] result<int> explain_key(command_task& task, std::span<const char* const> files);
// 0: nothing to say about any source.
[[nodiscard]] result<int> check_sources(command_task& task, std::span<const char* const> files);
[[nodiscard]] result<int> table_statistics(command_task& task, std::span<const char* const> files);
[[nodiscard]] result<int> convert_table(command_task& task, std::span<const char* const> files);

} // namespace mta::table
