// Bodies of configuration.hpp.
//
// A value is worked out when first asked for and kept in its row's slot. Slots are published with one compare-and-swap,
// so that threads may race for a value; the loser's copy is dropped.
#include <mta/config/configuration.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

#include <mta/config/expand.hpp>
#include <mta/config/file_snapshot.hpp>
#include <mta/config/networks.hpp>
#include <mta/config/pieces.hpp>
#include <mta/config/setting_table.hpp>
#include <mta/config/typed_value.hpp>
#include <mta/config/values.hpp>
#include <mta/core/text.hpp>

namespace mta::config {
namespace detail {

constexpr std::size_t row_count = std::size(fixed_rows);

} // namespace detail

struct configuration::state {
    std::string directory;
    setting_table table;
    mutable std::array<std::atomic<typed_value*>, detail::row_count> slots{};

    state() = default;
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state() {
        for (auto& entry : slots)
            delete entry.load(std::memory_order_relaxed);
    }

    // The files of mtad_main_cf_directory, where main.cf sets it. They cannot name a directory themselves.
    result<void> add_pieces(const std::string& main_text) {
        constexpr std::string_view name = "mtad_main_cf_directory";
        if (!table.mentions(name))
            return {};
        const auto main = parse(directory, main_text, table.files().front());
        if (!main)
            return tl::make_unexpected(main.error());
        const auto paths = piece_files(*main, main->text(name));
        if (!paths)
            return tl::make_unexpected(paths.error());
        for (const auto& path : *paths) {
            const auto text = read_configuration_file(path);
            if (!text)
                return tl::make_unexpected(text.error());
            if (auto done = table.add_file(*text, path); !done)
                return done;
        }
        return {};
    }

    void complete(const overrides& extra) {
        if (directory != build::config_directory)
            table.add_first("config_directory", directory);
        table.add(extra);
        table.drop_read_only();
        table.index();
    }

    // The text of a row before expansion. Computed defaults are worked out here.
    [[nodiscard]] std::optional<std::string_view> raw(std::string_view name) const {
        if (const auto* entry = table.find(name))
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
    [[nodiscard]] result<typed_value> evaluate(std::uint16_t row) const;
    [[nodiscard]] const typed_value& at(std::uint16_t row) const;
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
        const auto* domain = table.find("mydomain");
        const auto text = domain != nullptr ? expand(domain->value) : result<std::string>("localdomain");
        return host + "." + text.value_or("localdomain");
    }
    if (name == "mydomain") {
        const auto& host = at(param::myhostname.row).text;
        const auto dot = host.find('.');
        return dot == std::string::npos ? "localdomain" : host.substr(dot + 1);
    }
    if (name == "mynetworks")
        return own_networks(at(param::mynetworks_style.row).text, at(param::inet_interfaces.row).list,
                            at(param::inet_protocols.row).list);
    return {};
}

result<typed_value> configuration::state::evaluate(std::uint16_t row) const {
    const auto& info = fixed_rows()[row];
    typed_value out;
    const auto* entry = table.of_row(row);
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

const typed_value& configuration::state::at(std::uint16_t row) const {
    auto& place = slots[row];
    if (const auto* ready = place.load(std::memory_order_acquire))
        return *ready;
    auto value = evaluate(row);
    if (!value) { // validate() is where this is an error
        typed_value fallback;
        fallback.text = expand(fixed_rows()[row].initial).value_or(std::string());
        (void)convert(fixed_rows()[row], fallback);
        value = std::move(fallback);
    }
    auto mine = std::make_unique<typed_value>(std::move(*value));
    typed_value* current = nullptr;
    if (place.compare_exchange_strong(current, mine.get(), std::memory_order_acq_rel))
        return *mine.release();
    return *current;
}

result<configuration> configuration::parse(std::string directory, std::string text, std::string path,
                                           const overrides& extra) {
    auto fresh = std::make_shared<state>();
    fresh->directory = std::move(directory);
    if (auto done = fresh->table.add_file(text, std::move(path)); !done)
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
    if (auto done = fresh->table.add_file(*text, std::move(path)); !done)
        return tl::make_unexpected(done.error());
    if (auto done = fresh->add_pieces(*text); !done)
        return tl::make_unexpected(done.error());
    fresh->complete(extra);
    return configuration(std::move(fresh));
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
    fresh->table = state_->table;
    fresh->table.add(extra);
    fresh->table.index();
    fresh->table.forget_warnings(); // the original reported them
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
    return state_->table.find(name) != nullptr;
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
        out.push_back(error{what.code, state_->table.where(name) + what.detail});
    };
    // First those that other defaults are made of.
    for (const auto row : {param::myhostname.row, param::mydomain.row})
        if (const auto name = detail::fixed_rows[row].name; state_->at(row).text.empty())
            complain(name, error{make_error_code(errc::malformed), "bad string length 0 < 1: " + std::string(name) + " = "});
    for (std::uint16_t row = 0; row < detail::row_count; ++row) {
        const auto& info = detail::fixed_rows[row];
        const bool can_differ = state_->table.of_row(row) != nullptr || info.initial.find('$') != std::string_view::npos;
        if (!can_differ || (which == scope::acted_on && info.acts.empty()))
            continue;
        if (const auto value = state_->evaluate(row); !value)
            complain(info.name, value.error());
    }
    for (const auto* entry : state_->table.without_row()) {
        const auto* family = detail::find_family(entry->name);
        if (family == nullptr || (which == scope::acted_on && family->acts.empty()))
            continue;
        parameter row = *family;
        row.name = entry->name;
        typed_value value;
        auto expanded = state_->expand(entry->value);
        if (!expanded) {
            complain(entry->name, expanded.error());
            continue;
        }
        value.text = std::move(*expanded);
        if (const auto done = convert(row, value); !done)
            complain(entry->name, done.error());
    }
    if (const auto level = parse_level(state_->at(param::compatibility_level.row).text); !level)
        complain("compatibility_level", level.error());
    return out;
}

const std::vector<std::string>& configuration::warnings() const {
    return state_->table.warnings();
}

const std::string& configuration::directory() const {
    return state_->directory;
}

std::vector<configuration::setting> configuration::settings() const {
    std::vector<setting> out;
    for (const auto* entry : state_->table.last_of_each())
        out.push_back({entry->name, entry->value, entry->line, state_->table.files()[entry->file]});
    std::sort(out.begin(), out.end(), [](const setting& a, const setting& b) { return a.name < b.name; });
    return out;
}

} // namespace mta::config
