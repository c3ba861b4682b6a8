#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include <mta/table/entry_list.hpp>

namespace mta::table {
namespace {

constexpr std::size_t block_size = 1U << 20U;

// Eight bytes from a place on, as a number that sorts as they do.
std::uint64_t bytes_from(std::string_view key, std::size_t place) noexcept {
    std::uint64_t out = 0;
    if (place + sizeof out <= key.size()) {
        std::memcpy(&out, key.data() + place, sizeof out);
        return std::endian::native == std::endian::little ? __builtin_bswap64(out) : out;
    }
    for (std::size_t i = 0; i < sizeof out; ++i)
        out = out << 8U | (place + i < key.size() ? static_cast<unsigned char>(key[place + i]) : 0U);
    return out;
}

// How many bytes all keys begin with alike.
std::size_t common_beginning(std::span<const database_entry> entries) noexcept {
    auto shared = entries.empty() ? std::string_view() : entries.front().key;
    for (const auto& one : entries) {
        const auto differ = std::ranges::mismatch(shared, one.key).in1;
        shared = shared.substr(0, static_cast<std::size_t>(differ - shared.begin()));
    }
    return shared.size();
}

} // namespace

std::string_view entry_list::keep(std::string_view text) {
    if (text.size() >= room_) {
        const auto size = std::max(block_size, text.size() + 1);
        blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
        free_ = blocks_.back().get();
        room_ = size;
    }
    char* const at = free_;
    std::memcpy(at, text.data(), text.size());
    at[text.size()] = '\0';
    free_ += text.size() + 1;
    room_ -= text.size() + 1;
    return {at, text.size()};
}

void entry_list::add(std::string_view key, std::string_view value, int line) {
    entries_.push_back({keep(key), keep(value), line});
}

// Entries are wide and their keys are elsewhere: sixteen bytes of each key, behind what all have alike, are sorted in
// their place.
void entry_list::sort() {
    if (std::ranges::is_sorted(entries_, {}, &database_entry::key))
        return;
    struct head {
        std::uint64_t first;
        std::uint64_t second;
        std::uint32_t index;
    };
    const auto place = common_beginning(entries_);
    std::vector<head> heads(entries_.size());
    for (std::uint32_t i = 0; i < heads.size(); ++i)
        heads[i] = {bytes_from(entries_[i].key, place), bytes_from(entries_[i].key, place + 8), i};
    std::ranges::sort(heads, [this](const head& a, const head& b) {
        if (a.first != b.first)
            return a.first < b.first;
        if (a.second != b.second)
            return a.second < b.second;
        const auto order = entries_[a.index].key.compare(entries_[b.index].key);
        return order != 0 ? order < 0 : a.index < b.index;
    });
    std::vector<database_entry> out;
    out.reserve(heads.size());
    for (const auto& one : heads)
        out.push_back(entries_[one.index]);
    entries_ = std::move(out);
}

std::span<const database_entry> entry_list::sorted(on_duplicate policy,
                                                   const std::function<void(const database_entry&)>& dropped) {
    sort();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        if (kept == 0 || entries_[kept - 1].key != entries_[i].key) {
            entries_[kept++] = entries_[i];
            continue;
        }
        dropped(entries_[i]);
        if (policy == on_duplicate::take_last)
            entries_[kept - 1] = entries_[i];
    }
    entries_.resize(kept);
    return entries_;
}

} // namespace mta::table
