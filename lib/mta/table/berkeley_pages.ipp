#include <algorithm>
#include <bit>
#include <cstring>

#include <mta/table/berkeley_pages.hpp>

namespace mta::table {
namespace {

template <class Number>
Number number_at(std::string_view bytes, std::size_t at) noexcept {
    Number out{};
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return out;
}
std::uint32_t word_at(std::string_view bytes, std::size_t at) noexcept { return number_at<std::uint32_t>(bytes, at); }
std::uint8_t byte_at(std::string_view bytes, std::size_t at) noexcept { return static_cast<std::uint8_t>(bytes[at]); }

// Places in a page, and what stands there.
constexpr std::size_t page_number = 8;
constexpr std::size_t next_page = 16;
constexpr std::size_t entry_count = 20;
constexpr std::size_t overflow_length = 22;
constexpr std::size_t page_type = 25;
constexpr std::size_t page_header = 26;
constexpr std::uint8_t btree_inner = 3;
constexpr std::uint8_t btree_leaf = 5;
constexpr std::uint8_t overflow = 7;
constexpr std::uint8_t sorted_hash_page = 13; // sorted, as every page is since version 9

// Types of items.
constexpr std::uint8_t in_page = 1;
constexpr std::uint8_t hash_elsewhere = 3;
constexpr std::uint8_t btree_elsewhere = 3;
constexpr std::size_t reference_size = 12; // of a value that is elsewhere: type, first page, length

// A page that is what it should be, with room for the offsets of its entries.
class checked_page {
public:
    checked_page(page_source& from, std::uint32_t number, std::size_t size) : bytes_(from.page(number)) {
        if (bytes_.size() != size || word_at(bytes_, page_number) != number) {
            bytes_ = {};
            return;
        }
        type_ = byte_at(bytes_, page_type);
        entries_ = number_at<std::uint16_t>(bytes_, entry_count);
        if (type_ != overflow && page_header + std::size_t{2} * entries_ > size)
            type_ = 0;
    }
    [[nodiscard]] std::uint8_t type() const noexcept { return type_; } // 0: no such page
    [[nodiscard]] std::size_t entries() const noexcept { return entries_; }
    [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t offset(std::size_t index) const noexcept {
        return number_at<std::uint16_t>(bytes_, page_header + 2 * index);
    }
    [[nodiscard]] bool holds(std::size_t at, std::size_t size) const noexcept {
        return at >= page_header + 2 * entries_ && at <= bytes_.size() && size <= bytes_.size() - at;
    }
    // Items of a hash page begin with their type and end where the one before begins. Empty: none.
    [[nodiscard]] std::string_view hash_item(std::size_t index) const noexcept {
        const auto from = offset(index);
        const auto to = index == 0 ? bytes_.size() : offset(index - 1);
        return from < to && holds(from, to - from) ? bytes_.substr(from, to - from) : std::string_view();
    }

private:
    std::string_view bytes_;
    std::uint8_t type_ = 0;
    std::size_t entries_ = 0;
};

struct btree_item {
    std::uint8_t type = 0; // 0: none
    std::string_view data; // or, of a value that is elsewhere, the reference
};

// Length, type, data; in inner pages a page number and a count before the data.
btree_item item_of(const checked_page& page, std::size_t index) noexcept {
    const bool inner = page.type() == btree_inner;
    const std::size_t head = inner ? 12 : 3;
    const auto at = page.offset(index);
    if (!page.holds(at, head))
        return {};
    const auto type = byte_at(page.bytes(), at + 2);
    if (!inner && type == btree_elsewhere)
        return page.holds(at, reference_size) ? btree_item{type, page.bytes().substr(at, reference_size)} : btree_item{};
    const std::size_t size = number_at<std::uint16_t>(page.bytes(), at);
    return page.holds(at + head, size) ? btree_item{type, page.bytes().substr(at + head, size)} : btree_item{};
}

// The orders of keys: by their bytes, and of two that begin alike the shorter one first, or last.
struct btree_order {
    [[nodiscard]] static int of(std::string_view a, std::string_view b) noexcept { return a.compare(b); }
};
struct hash_order {
    [[nodiscard]] static int of(std::string_view a, std::string_view b) noexcept {
        const auto both = std::min(a.size(), b.size());
        const int order = a.substr(0, both).compare(b.substr(0, both));
        return order != 0 ? order : a.size() > b.size() ? -1 : a.size() < b.size() ? 1 : 0;
    }
};

// The entry (of every step-th one) whose key is the last that is not behind the wanted one; key(index) answers what
// stands there, or nothing when it cannot tell.
struct search_result {
    std::size_t index = 0;
    bool equal = false;
    bool odd = false;
};
template <class Order, class Key>
search_result search(std::size_t count, std::size_t first, std::size_t step, std::string_view wanted, Key&& key) {
    std::size_t low = first; // entries before are not behind the wanted one
    std::size_t high = count;
    while (low < high) {
        const auto middle = low + (high - low) / 2;
        const std::optional<std::string_view> there = key(middle * step);
        if (!there)
            return {.odd = true};
        const auto order = Order::of(*there, wanted);
        if (order == 0)
            return {.index = middle * step, .equal = true};
        (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
    }
    return {.index = low == 0 ? 0 : (low - 1) * step};
}

bool has_keys_elsewhere(const checked_page& page) noexcept {
    for (std::size_t index = 0; index < page.entries(); index += 2)
        if (const auto item = page.hash_item(index); item.size() == reference_size && byte_at(item, 0) != in_page)
            return true;
    return false;
}

bool read_hash(std::string_view head, berkeley_layout& to) {
    // A file that another hash function has filled says so by the hash of this word.
    constexpr std::string_view sample("%$sniglet^&\0", 12);
    to.max_bucket = word_at(head, 72);
    to.high_mask = word_at(head, 76);
    to.low_mask = word_at(head, 80);
    for (std::size_t i = 0; i < to.spares.size(); ++i)
        to.spares[i] = word_at(head, 96 + 4 * i);
    return to.max_bucket <= to.last_page && word_at(head, 92) == berkeley_hash(sample);
}

} // namespace

std::optional<berkeley_layout> read_berkeley_layout(std::string_view head) {
    constexpr std::uint32_t hash_magic = 0x061561;
    constexpr std::uint32_t btree_magic = 0x053162;
    constexpr std::uint32_t version = 9;
    if (head.size() < berkeley_head_size || word_at(head, page_number) != 0 || word_at(head, 16) != version)
        return std::nullopt;
    berkeley_layout out;
    const auto magic = word_at(head, 12);
    out.hash = magic == hash_magic;
    out.page_size = word_at(head, 20);
    out.last_page = word_at(head, 32);
    const bool encrypted = byte_at(head, 24) != 0;
    const bool checksums_or_parts = byte_at(head, 26) != 0 || word_at(head, 36) != 0;
    const bool duplicates_or_more = word_at(head, 48) != 0;
    if ((!out.hash && magic != btree_magic) || byte_at(head, page_type) != (out.hash ? 8 : 9) || encrypted ||
        checksums_or_parts || duplicates_or_more || !std::has_single_bit(out.page_size) || out.page_size < 512 ||
        out.page_size > 65536 || out.last_page > 0x7FFFFFFFU)
        return std::nullopt;
    if (!out.hash)
        out.root = word_at(head, 88);
    else if (!read_hash(head, out))
        return std::nullopt;
    return out;
}

berkeley_pages::outcome berkeley_pages::find(std::string_view key, std::string_view& value) {
    return layout_.hash ? find_hash(key, value) : find_btree(key, value);
}

berkeley_pages::outcome berkeley_pages::find_hash(std::string_view key, std::string_view& value) {
    auto bucket = berkeley_hash(key) & layout_.high_mask;
    if (bucket > layout_.max_bucket)
        bucket &= layout_.low_mask;
    if (bucket > layout_.max_bucket)
        return outcome::odd;
    auto number = bucket + layout_.spares[static_cast<std::size_t>(std::bit_width(bucket))];
    constexpr int longest = 10000; // pages of one bucket: a chain that leads to itself ends there
    for (int hops = 0; hops < longest; ++hops) {
        const checked_page page(pages_, number, layout_.page_size);
        if (page.type() != sorted_hash_page || page.entries() % 2 != 0)
            return outcome::odd;
        const auto key_at = [&](std::size_t index) -> std::optional<std::string_view> {
            const auto item = page.hash_item(index);
            if (item.empty() || byte_at(item, 0) != in_page)
                return std::nullopt;
            return item.substr(1);
        };
        const auto place = search<hash_order>(page.entries() / 2, 0, 2, key, key_at);
        if (place.odd)
            return outcome::odd;
        if (place.equal) {
            const auto item = page.hash_item(place.index + 1);
            if (!item.empty() && byte_at(item, 0) == hash_elsewhere && item.size() == reference_size)
                return chained(word_at(item, 4), word_at(item, 8), value);
            if (item.empty() || byte_at(item, 0) != in_page)
                return outcome::odd;
            value = item.substr(1);
            return outcome::found;
        }
        // Those have an order of their own.
        if (has_keys_elsewhere(page))
            return outcome::odd;
        number = word_at(page.bytes(), next_page);
        if (number == 0)
            return outcome::absent;
    }
    return outcome::odd;
}

berkeley_pages::outcome berkeley_pages::find_btree(std::string_view key, std::string_view& value) {
    constexpr int deepest = 255;
    auto number = layout_.root;
    for (int depth = 0; depth < deepest; ++depth) {
        const checked_page page(pages_, number, layout_.page_size);
        const auto key_at = [&](std::size_t index) -> std::optional<std::string_view> {
            const auto item = item_of(page, index);
            return item.type == in_page ? std::optional(item.data) : std::nullopt;
        };
        if (page.type() == btree_inner && page.entries() != 0) {
            // The first key of an inner page stands for all that come before the second.
            const auto place = search<btree_order>(page.entries(), 1, 1, key, key_at);
            if (place.odd || !page.holds(page.offset(place.index), 12))
                return outcome::odd;
            number = word_at(page.bytes(), page.offset(place.index) + 4);
            continue;
        }
        if (page.type() != btree_leaf || page.entries() % 2 != 0)
            return outcome::odd;
        const auto place = search<btree_order>(page.entries() / 2, 0, 2, key, key_at);
        if (place.odd || !place.equal)
            return place.odd ? outcome::odd : outcome::absent;
        const auto item = item_of(page, place.index + 1);
        if (item.type == btree_elsewhere)
            return chained(word_at(item.data, 4), word_at(item.data, 8), value);
        value = item.data;
        return item.type == in_page ? outcome::found : outcome::odd;
    }
    return outcome::odd;
}

berkeley_pages::outcome berkeley_pages::chained(std::uint32_t number, std::uint32_t size, std::string_view& value) {
    constexpr std::uint32_t largest = 16U << 20U; // and so does this one
    if (size > largest)
        return outcome::odd;
    assembled_.clear();
    while (assembled_.size() < size) {
        const checked_page page(pages_, number, layout_.page_size);
        if (page.type() != overflow)
            return outcome::odd;
        const std::size_t length = number_at<std::uint16_t>(page.bytes(), overflow_length);
        // All but the last are full.
        if (length != std::min(page.bytes().size() - page_header, size - assembled_.size()))
            return outcome::odd;
        assembled_.append(page.bytes().substr(page_header, length));
        number = word_at(page.bytes(), next_page);
    }
    if (number != 0)
        return outcome::odd;
    value = assembled_;
    return outcome::found;
}

} // namespace mta::table
