// Finds keys in the pages of a Berkeley DB file: hash and btree, format version 9 in this machine's byte order.
//
// Knows what postmap and postalias write: one database a file, one value a key, no checksums and no encryption. What
// it does not know, or what looks wrong (a page that says it is another, an offset outside its page, a chain that does
// not end), it answers with "odd", never with "absent": the caller asks the library then. No I/O of its own; safe on
// hostile input (fuzz_berkeley_pages). docs/berkeley-format.md has the layout.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mta::table {

struct berkeley_layout {
    bool hash = false; // or btree
    std::uint32_t page_size = 0;
    std::uint32_t last_page = 0;
    std::uint32_t root = 0;       // btree
    std::uint32_t max_bucket = 0; // hash, from here
    std::uint32_t high_mask = 0;
    std::uint32_t low_mask = 0;
    std::array<std::uint32_t, 32> spares{};
};

// What of the file's beginning read_berkeley_layout needs.
inline constexpr std::size_t berkeley_head_size = 512;

// nullopt: not a file for berkeley_pages.
[[nodiscard]] std::optional<berkeley_layout> read_berkeley_layout(std::string_view head);

// The library's hash function (FNV-1 without its offset).
[[nodiscard]] constexpr std::uint32_t berkeley_hash(std::string_view key, std::uint32_t out = 0) noexcept {
    for (const char c : key)
        out = (out * 16777619U) ^ static_cast<unsigned char>(c);
    return out;
}

class page_source {
public:
    virtual ~page_source() = default;
    // The page whole, or nothing if it is not to be had. Its bytes stay where they are while a key is looked for.
    [[nodiscard]] virtual std::string_view page(std::uint32_t number) = 0;
};

class berkeley_pages {
public:
    enum class outcome { found, absent, odd };

    // pages must outlive this.
    berkeley_pages(const berkeley_layout& layout, page_source& pages) : layout_(layout), pages_(pages) {}

    // value is the stored one, in a page or in here; it stays until the next call.
    [[nodiscard]] outcome find(std::string_view key, std::string_view& value);

private:
    [[nodiscard]] outcome find_hash(std::string_view key, std::string_view& value);
    [[nodiscard]] outcome find_btree(std::string_view key, std::string_view& value);
    [[nodiscard]] outcome chained(std::uint32_t number, std::uint32_t size, std::string_view& value);

    berkeley_layout layout_;
    page_source& pages_;
    std::string assembled_; // a value of several pages
};

} // namespace mta::table
