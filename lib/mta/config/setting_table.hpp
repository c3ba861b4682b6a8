// What main.cf, its pieces and -o overrides set: every entry in the order of files, and the last of each name at hand.
//
// No expansion, no types. Entries are added first, then index() is called, then they are asked for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/config/main_cf.hpp>
#include <mta/config/parameter.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

using overrides = std::vector<std::pair<std::string, std::string>>;

class setting_table {
public:
    // A file's text behind what is there. path is used in messages. Errors: parse_main()'s.
    [[nodiscard]] result<void> add_file(std::string_view text, std::string path);
    // These win over the files.
    void add(const overrides& extra);
    // Any other entry of that name wins over this.
    void add_first(std::string name, std::string value);
    // What describes the running process is not for files to say: with a warning.
    void drop_read_only();
    // Finds the last entry of each name; warns of earlier ones in the same file that say something else.
    void index();

    // The last entry of a name; nullptr when nobody set it.
    [[nodiscard]] const main_setting* find(std::string_view name) const;
    [[nodiscard]] const main_setting* of_row(std::uint16_t row) const;
    // Those of names that have no row in the parameter table, sorted by name.
    [[nodiscard]] std::vector<const main_setting*> without_row() const;
    // Of all names.
    [[nodiscard]] std::vector<const main_setting*> last_of_each() const;
    // The same without an index.
    [[nodiscard]] bool mentions(std::string_view name) const;

    // What a message about that name begins with: "PATH, line N: ", main.cf's path where no file sets it, "" for overrides.
    [[nodiscard]] std::string where(std::string_view name) const;

    [[nodiscard]] const std::vector<std::string>& files() const noexcept { return files_; } // main_setting::file counts them
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }
    void forget_warnings() { warnings_.clear(); }

private:
    [[nodiscard]] const main_setting& entry(int at) const { return entries_[static_cast<std::size_t>(at)]; }
    void warn_about_earlier(int earlier, int later);

    std::vector<std::string> files_;
    std::vector<main_setting> entries_; // file order; overrides (line 0) behind
    std::vector<std::string> warnings_;
    std::vector<int> rows_;   // for each row of the parameter table the number of its last entry + 1; 0 is "not set"
    std::vector<int> others_; // last entries of names without a row, sorted by name
};

} // namespace mta::config
