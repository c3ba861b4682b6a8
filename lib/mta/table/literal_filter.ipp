#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include <mta/table/literal_filter.hpp>

namespace mta::table {
namespace {

constexpr std::array<std::size_t, 4> widths{8, 4, 2, 1};
// What a hit of a short window is worth beside one of eight bytes: it is in many more texts.
constexpr std::array<std::size_t, 4> weights{1, 4, 64, 1024};

std::uint64_t window_at(const char* from, std::size_t width) noexcept {
    std::uint64_t out = 0;
    std::memcpy(&out, from, width);
    return out;
}

std::uint64_t mixed(std::uint64_t window) noexcept {
    window *= 0x9E3779B97F4A7C15U;
    return window ^ (window >> 32U);
}

std::size_t width_index(std::size_t length) noexcept {
    return length >= 8 ? 0 : length >= 4 ? 1 : length >= 2 ? 2 : 3;
}

struct window_counts {
    std::array<std::unordered_map<std::uint64_t, std::uint32_t>, 4> of;

    void add(const std::string& word) {
        const auto index = width_index(word.size());
        for (std::size_t at = 0; at + widths[index] <= word.size(); ++at)
            ++of[index][window_at(word.data() + at, widths[index])];
    }
    // The place of the rarest window, and how many words have it.
    [[nodiscard]] std::pair<std::size_t, std::size_t> rarest(const std::string& word) const {
        const auto index = width_index(word.size());
        std::pair<std::size_t, std::size_t> best{0, static_cast<std::size_t>(-1)};
        for (std::size_t at = 0; at + widths[index] <= word.size(); ++at) {
            const std::size_t count = of[index].at(window_at(word.data() + at, widths[index]));
            if (count < best.second)
                best = {at, count};
        }
        return best;
    }
    [[nodiscard]] std::size_t cost(const literal_factor& factor) const {
        std::size_t out = 0;
        for (const auto& word : factor)
            out += rarest(word).second * weights[width_index(word.size())];
        return out;
    }
};

} // namespace

literal_filter::literal_filter(const std::vector<std::vector<literal_factor>>& rules) {
    window_counts counts;
    for (const auto& factors : rules)
        for (const auto& factor : factors)
            for (const auto& word : factor)
                counts.add(word);
    std::array<std::vector<std::pair<std::uint64_t, std::uint32_t>>, 4> entries;
    for (std::uint32_t rule = 0; rule < rules.size(); ++rule) {
        const literal_factor* chosen = nullptr;
        std::size_t least = static_cast<std::size_t>(-1);
        for (const auto& factor : rules[rule])
            if (const auto cost = counts.cost(factor); cost < least) {
                least = cost;
                chosen = &factor;
            }
        if (chosen == nullptr)
            continue;
        for (const auto& word : *chosen) {
            const auto index = width_index(word.size());
            entries[index].emplace_back(window_at(word.data() + counts.rarest(word).first, widths[index]), rule);
        }
    }
    for (std::size_t i = 0; i < widths.size(); ++i) {
        tables_[i].width = widths[i];
        fill(tables_[i], entries[i]);
    }
}

void literal_filter::fill(width_table& table, std::vector<std::pair<std::uint64_t, std::uint32_t>>& entries) {
    if (entries.empty())
        return;
    std::ranges::sort(entries);
    table.slots.resize(std::bit_ceil(entries.size() * 2));
    const auto bits = std::bit_ceil(std::max<std::size_t>(entries.size() * 16, 64));
    table.present.resize(bits / 64);
    const std::size_t mask = table.slots.size() - 1;
    for (std::size_t at = 0; at < entries.size();) {
        const auto window = entries[at].first;
        const auto hash = mixed(window);
        table.present[(hash & (bits - 1)) / 64] |= std::uint64_t{1} << (hash % 64);
        std::size_t place = (hash >> 16U) & mask;
        while (table.slots[place].count != 0)
            place = (place + 1) & mask;
        auto& taken = table.slots[place];
        taken.window = window;
        taken.first = static_cast<std::uint32_t>(postings_.size());
        for (; at < entries.size() && entries[at].first == window; ++at)
            postings_.push_back(entries[at].second);
        taken.count = static_cast<std::uint32_t>(postings_.size()) - taken.first;
    }
}

void literal_filter::candidates(std::string_view text, std::vector<std::uint32_t>& to) const {
    for (const auto& table : tables_) {
        if (table.slots.empty())
            continue;
        const std::size_t bit_mask = table.present.size() * 64 - 1;
        const std::size_t mask = table.slots.size() - 1;
        for (std::size_t at = 0; at + table.width <= text.size(); ++at) {
            const auto window = window_at(text.data() + at, table.width);
            const auto hash = mixed(window);
            if ((table.present[(hash & bit_mask) / 64] >> (hash % 64) & 1U) == 0)
                continue;
            std::size_t place = (hash >> 16U) & mask;
            for (; table.slots[place].count != 0; place = (place + 1) & mask) {
                const auto& taken = table.slots[place];
                if (taken.window != window)
                    continue;
                to.insert(to.end(), postings_.begin() + taken.first, postings_.begin() + taken.first + taken.count);
                break;
            }
        }
    }
}

} // namespace mta::table
