// Bodies of setting_table.hpp.
#include <mta/config/setting_table.hpp>

#include <algorithm>

namespace mta::config {

result<void> setting_table::add_file(std::string_view text, std::string path) {
    auto file = parse_main(text, path);
    if (!file)
        return tl::make_unexpected(file.error());
    for (auto& one : file->settings) {
        one.file = files_.size();
        entries_.push_back(std::move(one));
    }
    warnings_.insert(warnings_.end(), file->warnings.begin(), file->warnings.end());
    files_.push_back(std::move(path));
    return {};
}

void setting_table::add(const overrides& extra) {
    for (const auto& [name, value] : extra)
        entries_.push_back({name, value, 0, 0});
}

void setting_table::add_first(std::string name, std::string value) {
    entries_.insert(entries_.begin(), main_setting{std::move(name), std::move(value), 0, 0});
}

void setting_table::drop_read_only() {
    std::erase_if(entries_, [&](const main_setting& one) {
        if (one.name != "process_id" && one.name != "process_name" && one.name != "service_name")
            return false;
        warnings_.push_back(files_[one.file] + ": read-only parameter assignment: " + one.name + "=" + one.value);
        return true;
    });
}

void setting_table::index() {
    rows_.assign(parameters().size(), 0);
    std::vector<int> unknown;
    for (int i = 0; i < static_cast<int>(entries_.size()); ++i) {
        const auto row = find_parameter(entry(i).name);
        if (!row) {
            unknown.push_back(i);
            continue;
        }
        if (rows_[*row] != 0)
            warn_about_earlier(rows_[*row] - 1, i);
        rows_[*row] = i + 1;
    }
    std::stable_sort(unknown.begin(), unknown.end(), [&](int a, int b) { return entry(a).name < entry(b).name; });
    others_.clear();
    for (const int i : unknown) {
        if (!others_.empty() && entry(others_.back()).name == entry(i).name) {
            warn_about_earlier(others_.back(), i);
            others_.back() = i;
        } else {
            others_.push_back(i);
        }
    }
}

void setting_table::warn_about_earlier(int earlier, int later) {
    const auto& before = entry(earlier);
    const auto& now = entry(later);
    if (now.line != 0 && before.line != 0 && now.file == before.file && now.value != before.value)
        warnings_.push_back(files_[now.file] + ", line " + std::to_string(now.line) +
                            ": overriding earlier entry: " + before.name + "=" + before.value);
}

const main_setting* setting_table::of_row(std::uint16_t row) const {
    return rows_[row] != 0 ? &entry(rows_[row] - 1) : nullptr;
}

const main_setting* setting_table::find(std::string_view name) const {
    if (const auto row = find_parameter(name))
        return of_row(*row);
    const auto at = std::lower_bound(others_.begin(), others_.end(), name,
                                     [&](int i, std::string_view want) { return entry(i).name < want; });
    return at != others_.end() && entry(*at).name == name ? &entry(*at) : nullptr;
}

std::vector<const main_setting*> setting_table::without_row() const {
    std::vector<const main_setting*> out;
    out.reserve(others_.size());
    for (const int i : others_)
        out.push_back(&entry(i));
    return out;
}

std::vector<const main_setting*> setting_table::last_of_each() const {
    auto out = without_row();
    for (const int number : rows_)
        if (number != 0)
            out.push_back(&entry(number - 1));
    return out;
}

bool setting_table::mentions(std::string_view name) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const main_setting& one) { return one.name == name; });
}

std::string setting_table::where(std::string_view name) const {
    const auto* one = find(name);
    if (one == nullptr)
        return files_.front() + ": ";
    return one->line == 0 ? std::string() : files_[one->file] + ", line " + std::to_string(one->line) + ": ";
}

} // namespace mta::config
