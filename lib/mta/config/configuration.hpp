// The configuration of one mail system: main.cf over the compiled defaults, with typed and expanded values.
//
//     auto cfg = config::configuration::load("/etc/postfix");
//     if (cfg && (*cfg)[param::soft_bounce]) …
//     (*cfg)[param::message_size_limit]   long long
//     (*cfg)[param::queue_run_delay]      std::chrono::seconds
//     (*cfg)[param::mydestination]        const std::vector<std::string>&
//     (*cfg)[param::myhostname]           const std::string&
//
// Loading reads and splits main.cf and nothing else. A value is expanded and checked the first time somebody asks, and
// kept; references stay valid as long as the configuration or a copy of it. Copies share everything. Any number of
// threads may read one configuration.
//
// A caller that depends on typed values calls validate() once at start and stops on its error: after that every typed
// value is good. Without it a bad value reads as its default.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mta/config/parameter.hpp>
#include <mta/config/parameters.hpp>
#include <mta/config/setting_table.hpp>
#include <mta/core/result.hpp>

namespace mta::config {

class configuration {
public:
    // Reads directory/main.cf and, behind it, the files of mtad_main_cf_directory where it names one. overrides (from -o)
    // win over the files. The error text is complete:
    // "open DIR/main.cf: No such file or directory", "DIR/main.cf, line 3: missing '=' after attribute name: …".
    [[nodiscard]] static result<configuration> load(std::string directory, const overrides& extra = {});

    // Only the compiled defaults, without any file; directory is what config_directory says.
    [[nodiscard]] static configuration defaults(std::string directory);

    // The same from text in memory; path is used in messages.
    [[nodiscard]] static result<configuration> parse(std::string directory, std::string text, std::string path,
                                                     const overrides& extra = {});

    // Typed values.
    [[nodiscard]] const std::string& operator[](text_param key) const { return text_at(key.row); }
    [[nodiscard]] const std::string& operator[](raw_param key) const { return text_at(key.row); }
    [[nodiscard]] bool operator[](yes_no_param key) const { return number_at(key.row) != 0; }
    [[nodiscard]] long long operator[](integer_param key) const { return number_at(key.row); }
    [[nodiscard]] std::chrono::seconds operator[](time_param key) const {
        return std::chrono::seconds(number_at(key.row));
    }
    [[nodiscard]] const std::vector<std::string>& operator[](list_param key) const { return list_at(key.row); }

    // The expanded text of any parameter, whatever its kind.
    template <kind Kind>
    [[nodiscard]] const std::string& text(key<Kind> key) const { return text_at(key.row); }

    // The expanded value of a name made at run time, built-in or the user's own; "" when nobody defined it.
    // A NAME that ends in a per-transport suffix (smtp_destination_recipient_limit) and is not set takes the value of
    // its default parameter (default_destination_recipient_limit), as for every service of master.cf.
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] result<long long> number(std::string_view name) const;
    [[nodiscard]] result<std::chrono::seconds> time(std::string_view name) const;
    [[nodiscard]] result<bool> yes_no(std::string_view name) const;

    // Whether main.cf or an override gives the name a value (an empty one counts).
    [[nodiscard]] bool is_set(std::string_view name) const;
    // The value before expansion: as set, else the default; nullopt for an unknown name that nobody set.
    [[nodiscard]] std::optional<std::string_view> unexpanded(std::string_view name) const;

    // text with $name, ${name?…} … replaced. The error is about bad syntax or endless recursion.
    [[nodiscard]] result<std::string> expand(std::string_view text) const;

    // This configuration with the -o settings of one master.cf line on top.
    [[nodiscard]] configuration with_overrides(const overrides& extra) const;

    // Checks every parameter that somebody acts on and that is set, or whose default depends on one that is: numbers,
    // times, yes/no, ranges, $-syntax. The error names file and line: "/etc/postfix/main.cf, line 7: bad numerical
    // configuration: …". What nobody acts on stops nobody.
    [[nodiscard]] result<void> validate() const;

    // All such complaints in the order of names; of every parameter, or of those that somebody acts on.
    enum class scope { all, acted_on };
    [[nodiscard]] std::vector<error> problems(scope which = scope::all) const;

    // Warnings found while reading ("…/main.cf, line 9: overriding earlier entry: name=value").
    [[nodiscard]] const std::vector<std::string>& warnings() const;

    // The directory that main.cf was read from.
    [[nodiscard]] const std::string& directory() const;

    struct setting {
        std::string_view name;
        std::string_view value; // before expansion
        int line;               // 0 for an override
        std::string_view file;  // path; of an override main.cf's
    };
    // What main.cf and overrides set, sorted by name; of several entries the last.
    [[nodiscard]] std::vector<setting> settings() const;

private:
    struct state;
    explicit configuration(std::shared_ptr<const state> shared) : state_(std::move(shared)) {}
    [[nodiscard]] const std::string& text_at(std::uint16_t row) const;
    [[nodiscard]] long long number_at(std::uint16_t row) const;
    [[nodiscard]] const std::vector<std::string>& list_at(std::uint16_t row) const;

    std::shared_ptr<const state> state_;
};

} // namespace mta::config

namespace mta {
namespace param = config::param;
using config::configuration;
} // namespace mta
