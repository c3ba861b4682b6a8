// Bodies of configuration.hpp.
//
// A value is worked out when first asked for and kept in its row's slot. Slots are published with one compare-and-swap,
// so that threads may race for a value; the loser's copy is dropped.
#include <mta/config/configuration.hpp>

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

#include <mta/config/expand.hpp>
#include <mta/config/file_snapshot.hpp>
#include <mta/config/main_cf.hpp>
#include <mta/config/networks.hpp>
#include <mta/config/values.hpp>
#include <mta/core/file.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

struct slot {
    std::string text;
    std::vector<std::string> list;
    long long number = 0;
};

constexpr std::size_t row_count = std::size(fixed_rows);

} // namespace detail

struct configuration::state {
    std::string directory;
    std::vector<std::string> files; // main.cf and the pieces that it names
    std::vector<main_setting> settings; // file order; overrides (line 0) behind
    std::vector<std::string> warnings;
    std::array<int, detail::row_count> set{}; // index into settings + 1; 0 is "not set"
    std::vector<int> others;                  // settings of names without a row, sorted by name
    mutable std::array<std::atomic<detail::slot*>, detail::row_count> slots{};

    state() = default;
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state() {
        for (auto& entry : slots)
            delete entry.load(std::memory_order_relaxed);
    }

    void add(const overrides& extra) {
        for (const auto& [name, value] : extra)
            settings.push_back({name, value, 0, 0});
    }

    result<void> add_file(std::string_view text, std::string path) {
        auto file = parse_main(text, path);
        if (!file)
            return tl::make_unexpected(file.error());
        for (auto& entry : file->settings) {
            entry.file = files.size();
            settings.push_back(std::move(entry));
        }
        warnings.insert(warnings.end(), file->warnings.begin(), file->warnings.end());
        files.push_back(std::move(path));
        return {};
    }

    // The files of mtad_main_cf_directory, where main.cf sets it. They cannot name a directory themselves.
    result<void> add_pieces(const std::string& main_text) {
        constexpr std::string_view name = "mtad_main_cf_directory";
        const auto named = std::any_of(settings.begin(), settings.end(),
                                       [&](const main_setting& entry) { return entry.name == name; });
        if (!named)
            return {};
        const auto main = parse(directory, main_text, files.front());
        if (!main)
            return tl::make_unexpected(main.error());
        const auto paths = piece_files(*main, main->text(name));
        if (!paths)
            return tl::make_unexpected(paths.error());
        for (const auto& path : *paths) {
            const auto text = read_configuration_file(path);
            if (!text)
                return tl::make_unexpected(text.error());
            if (auto done = add_file(*text, path); !done)
                return done;
        }
        return {};
    }

    void complete(const overrides& extra) {
        if (directory != build::config_directory)
            settings.insert(settings.begin(), main_setting{"config_directory", directory, 0, 0});
        add(extra);
        drop_read_only();
        index();
    }

    // What describes the running process is not for files to say.
    void drop_read_only() {
        std::erase_if(settings, [&](const main_setting& entry) {
            if (entry.name != "process_id" && entry.name != "process_name" && entry.name != "service_name")
                return false;
            warnings.push_back(files[entry.file] + ": read-only parameter assignment: " + entry.name + "=" + entry.value);
            return true;
        });
    }

    // Finds the last setting of each name.
    void index() {
        set.fill(0);
        others.clear();
        for (int i = 0; i < static_cast<int>(settings.size()); ++i) {
            auto& entry = settings[static_cast<std::size_t>(i)];
            const auto row = find_parameter(entry.name);
            if (!row) {
                others.push_back(i);
                continue;
            }
            if (set[*row] != 0)
                warn_about_earlier(set[*row] - 1, i);
            set[*row] = i + 1;
        }
        std::stable_sort(others.begin(), others.end(), [&](int a, int b) { return name_of(a) < name_of(b); });
        std::vector<int> last;
        for (const int i : others) {
            if (!last.empty() && name_of(last.back()) == name_of(i)) {
                warn_about_earlier(last.back(), i);
                last.back() = i;
            } else {
                last.push_back(i);
            }
        }
        others = std::move(last);
    }

    void warn_about_earlier(int earlier, int later) {
        const auto& before = settings[static_cast<std::size_t>(earlier)];
        const auto& now = settings[static_cast<std::size_t>(later)];
        if (now.line != 0 && before.line != 0 && now.file == before.file && now.value != before.value)
            warnings.push_back(files[now.file] + ", line " + std::to_string(now.line) +
                               ": overriding earlier entry: " + before.name + "=" + before.value);
    }

    [[nodiscard]] std::string_view name_of(int i) const { return settings[static_cast<std::size_t>(i)].name; }

    [[nodiscard]] const main_setting* setting_of(std::string_view name) const {
        if (const auto row = find_parameter(name))
            return set[*row] != 0 ? &settings[static_cast<std::size_t>(set[*row] - 1)] : nullptr;
        const auto at = std::lower_bound(others.begin(), others.end(), name,
                                         [&](int i, std::string_view want) { return name_of(i) < want; });
        return at != others.end() && name_of(*at) == name ? &settings[static_cast<std::size_t>(*at)] : nullptr;
    }

    // The text of a row before expansion. Computed defaults are worked out here.
    [[nodiscard]] std::optional<std::string_view> raw(std::string_view name) const {
        if (const auto* entry = setting_of(name))
            return entry->value;
        if (const auto row = find_parameter(name)) {
            if (fixed_rows()[*row].computed)
                return at(*row).text;
            return fixed_rows()[*row].initial;
        }
        if (const auto* family = detail::find_family(name))
            return family->initial;
        return std::nullopt;
    }

    [[nodiscard]] static std::span<const parameter> fixed_rows() { return detail::fixed_rows; }

    [[nodiscard]] result<std::string> expand(std::string_view text) const;
    [[nodiscard]] std::string computed(std::string_view name) const;
    [[nodiscard]] result<detail::slot> evaluate(std::uint16_t row) const;
    [[nodiscard]] result<void> convert(const parameter& row, detail::slot& out) const;
    [[nodiscard]] const detail::slot& at(std::uint16_t row) const;
    [[nodiscard]] std::string where(std::string_view name) const;
};

namespace detail {

class state_source final : public macro_source {
public:
    explicit state_source(std::function<std::optional<std::string_view>(std::string_view)> find)
        : find_(std::move(find)) {}
    std::optional<std::string_view> find(std::string_view name) override { return find_(name); }

private:
    std::function<std::optional<std::string_view>(std::string_view)> find_;
};

inline std::string host_name() {
    std::array<char, 257> name{};
    if (gethostname(name.data(), name.size() - 1) != 0)
        return "localhost";
    return lower(name.data());
}

} // namespace detail

result<std::string> configuration::state::expand(std::string_view text) const {
    if (text.find('$') == std::string_view::npos)
        return std::string(text);
    detail::state_source source([this](std::string_view name) { return raw(name); });
    return expand_macros(text, source);
}

std::string configuration::state::computed(std::string_view name) const {
    if (name == "process_id")
        return std::to_string(getpid());
    if (name == "process_name")
        return program_invocation_short_name;
    if (name == "myhostname") {
        auto host = detail::host_name();
        if (host.find('.') != std::string::npos)
            return host;
        const auto* domain = setting_of("mydomain");
        const auto text = domain != nullptr ? expand(domain->value) : result<std::string>("localdomain");
        return host + "." + text.value_or("localdomain");
    }
    if (name == "mydomain") {
        const auto& host = at(param::myhostname.row).text;
        const auto dot = host.find('.');
        return dot == std::string::npos ? "localdomain" : host.substr(dot + 1);
    }
    if (name == "mynetworks") {
        auto addresses = interface_addresses(at(param::inet_protocols.row).list);
        if (!addresses)
            return {};
        const auto& wanted = at(param::inet_interfaces.row).list;
        const auto listed = [&](const std::string& word) {
            return std::find(wanted.begin(), wanted.end(), word) != wanted.end();
        };
        if (!listed("all"))
            std::erase_if(*addresses, [&](const interface_address& entry) {
                const bool loopback = entry.address.starts_with("127.") || entry.address == "::1";
                return !(loopback && listed("loopback-only")) && !listed(entry.address) &&
                       !listed("[" + entry.address + "]") && !(loopback && listed("localhost"));
            });
        return networks_for(at(param::mynetworks_style.row).text, *addresses);
    }
    return {};
}

result<void> configuration::state::convert(const parameter& row, detail::slot& out) const {
    switch (row.type) {
    case kind::yes_no: {
        const auto value = parse_yes_no(row.name, out.text);
        if (!value)
            return tl::make_unexpected(value.error());
        out.number = *value ? 1 : 0;
        return {};
    }
    case kind::integer: {
        const auto value = parse_number(row.name, out.text);
        if (!value)
            return tl::make_unexpected(value.error());
        out.number = *value;
        const std::string name(row.name);
        if (*value < row.low)
            return fail(errc::malformed, "invalid " + name + " parameter value " + out.text + " < " +
                                             std::to_string(row.low));
        if (*value > row.high)
            return fail(errc::malformed, "invalid " + name + " parameter value " + out.text + " > " +
                                             std::to_string(row.high));
        return {};
    }
    case kind::time: {
        const auto value = parse_time(row.name, out.text, row.unit);
        if (!value)
            return tl::make_unexpected(value.error());
        out.number = value->count();
        if (out.number < row.low)
            return fail(errc::malformed, "invalid " + std::string(row.name) + ": " + out.text + " (min " +
                                             std::to_string(row.low) + ")");
        return {};
    }
    case kind::list:
        out.list = split_list(out.text);
        return {};
    case kind::text:
        if (static_cast<long long>(out.text.size()) < row.low)
            return fail(errc::malformed, "bad string length " + std::to_string(out.text.size()) + " < " +
                                             std::to_string(row.low) + ": " + std::string(row.name) + " = " + out.text);
        return {};
    case kind::raw:
        return {};
    }
    return {};
}

result<detail::slot> configuration::state::evaluate(std::uint16_t row) const {
    const auto& info = fixed_rows()[row];
    detail::slot out;
    const auto* entry = set[row] != 0 ? &settings[static_cast<std::size_t>(set[row] - 1)] : nullptr;
    if (entry == nullptr && info.computed) {
        out.text = computed(info.name);
    } else {
        const std::string_view text = entry != nullptr ? std::string_view(entry->value) : info.initial;
        if (info.type == kind::raw) {
            out.text = text;
        } else {
            auto expanded = expand(text);
            if (!expanded)
                return fail(expanded.error().code, std::string(info.name) + ": " + expanded.error().detail);
            out.text = std::move(*expanded);
        }
    }
    if (auto done = convert(info, out); !done)
        return tl::make_unexpected(done.error());
    return out;
}

const detail::slot& configuration::state::at(std::uint16_t row) const {
    auto& place = slots[row];
    if (const auto* ready = place.load(std::memory_order_acquire))
        return *ready;
    auto value = evaluate(row);
    if (!value) { // validate() is where this is an error
        detail::slot fallback;
        fallback.text = expand(fixed_rows()[row].initial).value_or(std::string());
        (void)convert(fixed_rows()[row], fallback);
        value = std::move(fallback);
    }
    auto mine = std::make_unique<detail::slot>(std::move(*value));
    detail::slot* current = nullptr;
    if (place.compare_exchange_strong(current, mine.get(), std::memory_order_acq_rel))
        return *mine.release();
    return *current;
}

std::string configuration::state::where(std::string_view name) const {
    const auto* entry = setting_of(name);
    if (entry == nullptr)
        return files.front() + ": ";
    return entry->line == 0 ? std::string() : files[entry->file] + ", line " + std::to_string(entry->line) + ": ";
}

result<configuration> configuration::parse(std::string directory, std::string text, std::string path,
                                           const overrides& extra) {
    auto fresh = std::make_shared<state>();
    fresh->directory = std::move(directory);
    if (auto done = fresh->add_file(text, std::move(path)); !done)
        return tl::make_unexpected(done.error());
    fresh->complete(extra);
    return configuration(std::move(fresh));
}

result<configuration> configuration::load(std::string directory, const overrides& extra) {
    auto path = directory + "/main.cf";
    auto text = read_configuration_file(path);
    if (!text)
        return tl::make_unexpected(text.error());
    auto fresh = std::make_shared<state>();
    fresh->directory = std::move(directory);
    if (auto done = fresh->add_file(*text, std::move(path)); !done)
        return tl::make_unexpected(done.error());
    if (auto done = fresh->add_pieces(*text); !done)
        return tl::make_unexpected(done.error());
    fresh->complete(extra);
    return configuration(std::move(fresh));
}

result<std::vector<std::string>> piece_files(const configuration& cfg, const std::string& directory) {
    std::vector<std::string> out;
    if (directory.empty())
        return out;
    const auto path = directory.starts_with('/') ? directory : cfg.directory() + "/" + directory;
    if (auto adopted = adopted_pieces(path))
        return std::move(*adopted);
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder)
        return fail_errno("open " + path);
    while (const auto* entry = ::readdir(folder.get())) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with('.') && name.ends_with(".cf"))
            out.push_back(path + "/" + std::string(name));
    }
    std::sort(out.begin(), out.end());
    return out;
}

configuration configuration::defaults(std::string directory) {
    auto path = directory + "/main.cf";
    return *parse(std::move(directory), {}, std::move(path));
}

configuration configuration::with_overrides(const overrides& extra) const {
    if (extra.empty())
        return *this;
    auto fresh = std::make_shared<state>();
    fresh->directory = state_->directory;
    fresh->files = state_->files;
    fresh->settings = state_->settings;
    fresh->add(extra);
    fresh->index();
    fresh->warnings.clear(); // the original reported them
    return configuration(std::move(fresh));
}

const std::string& configuration::text_at(std::uint16_t row) const {
    return state_->at(row).text;
}

long long configuration::number_at(std::uint16_t row) const {
    return state_->at(row).number;
}

const std::vector<std::string>& configuration::list_at(std::uint16_t row) const {
    return state_->at(row).list;
}

std::string configuration::text(std::string_view name) const {
    if (const auto row = find_parameter(name))
        return state_->at(*row).text;
    const auto raw = state_->raw(name);
    return raw ? state_->expand(*raw).value_or(std::string()) : std::string();
}

result<long long> configuration::number(std::string_view name) const {
    return parse_number(name, text(name));
}

result<std::chrono::seconds> configuration::time(std::string_view name) const {
    char unit = 's';
    if (const auto row = find_parameter(name))
        unit = detail::fixed_rows[*row].unit;
    return parse_time(name, text(name), unit);
}

result<bool> configuration::yes_no(std::string_view name) const {
    return parse_yes_no(name, text(name));
}

bool configuration::is_set(std::string_view name) const {
    return state_->setting_of(name) != nullptr;
}

std::optional<std::string_view> configuration::unexpanded(std::string_view name) const {
    return state_->raw(name);
}

result<std::string> configuration::expand(std::string_view text) const {
    return state_->expand(text);
}

result<void> configuration::validate() const {
    auto found = problems(scope::acted_on);
    if (found.empty())
        return {};
    return tl::make_unexpected(std::move(found.front()));
}

std::vector<error> configuration::problems(scope which) const {
    std::vector<error> out;
    const auto complain = [&](std::string_view name, const error& what) {
        out.push_back(error{what.code, state_->where(name) + what.detail});
    };
    // First those that other defaults are made of.
    for (const auto row : {param::myhostname.row, param::mydomain.row})
        if (const auto name = detail::fixed_rows[row].name; state_->at(row).text.empty())
            complain(name, error{make_error_code(errc::malformed), "bad string length 0 < 1: " + std::string(name) + " = "});
    for (std::uint16_t row = 0; row < detail::row_count; ++row) {
        const auto& info = detail::fixed_rows[row];
        const bool can_differ = state_->set[row] != 0 || info.initial.find('$') != std::string_view::npos;
        if (!can_differ || (which == scope::acted_on && info.acts.empty()))
            continue;
        if (const auto value = state_->evaluate(row); !value)
            complain(info.name, value.error());
    }
    for (const int i : state_->others) {
        const auto& entry = state_->settings[static_cast<std::size_t>(i)];
        const auto* family = detail::find_family(entry.name);
        if (family == nullptr || (which == scope::acted_on && family->acts.empty()))
            continue;
        parameter row = *family;
        row.name = entry.name;
        detail::slot value;
        auto expanded = state_->expand(entry.value);
        if (!expanded) {
            complain(entry.name, expanded.error());
            continue;
        }
        value.text = std::move(*expanded);
        if (const auto done = state_->convert(row, value); !done)
            complain(entry.name, done.error());
    }
    if (const auto level = parse_level(state_->at(param::compatibility_level.row).text); !level)
        complain("compatibility_level", level.error());
    return out;
}

const std::vector<std::string>& configuration::warnings() const {
    return state_->warnings;
}

const std::string& configuration::directory() const {
    return state_->directory;
}

std::vector<configuration::setting> configuration::settings() const {
    std::vector<setting> out;
    out.reserve(state_->settings.size());
    const auto add = [&](int i) {
        const auto& entry = state_->settings[static_cast<std::size_t>(i)];
        out.push_back({entry.name, entry.value, entry.line, state_->files[entry.file]});
    };
    for (const int index : state_->set)
        if (index != 0)
            add(index - 1);
    for (const int i : state_->others)
        add(i);
    std::sort(out.begin(), out.end(), [](const setting& a, const setting& b) { return a.name < b.name; });
    return out;
}

namespace {

// Where an installation put its files: facts for installers and packages, which nobody acts on at run time.
bool is_installation_parameter(std::string_view name) {
    static constexpr std::string_view names[] = {
        "command_directory", "html_directory",   "mailq_path",    "manpage_directory", "meta_directory",
        "newaliases_path",   "readme_directory", "sample_directory", "sendmail_path",  "shlib_directory",
    };
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

} // namespace

std::vector<std::string> ignored_parameters(const configuration& cfg) {
    std::vector<std::string> out;
    for (const auto& entry : cfg.settings()) {
        if (entry.line == 0)
            continue;
        const auto row = find_parameter(entry.name);
        const auto* info = row ? &detail::fixed_rows[*row] : detail::find_family(entry.name);
        if (info == nullptr || !info->acts.empty() || is_installation_parameter(entry.name))
            continue;
        // A value that is the default anyway changes nothing, and is not worth a line.
        if (cfg.expand(entry.value).value_or("") != cfg.expand(info->initial).value_or(""))
            out.emplace_back(entry.name);
    }
    return out;
}

} // namespace mta::config
