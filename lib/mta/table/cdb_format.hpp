// The constant database format (cdb) in memory: find a key, visit all records. docs/cdb-format.md has the bytes.
//
// No I/O and no allocation; every answer points into the caller's bytes. Safe on hostile input (fuzz_table_sources): a place
// outside the file is errc::malformed, and no search visits a slot twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <mta/core/result.hpp>

namespace mta::table {

namespace cdb {
inline constexpr std::size_t tables = 256;
inline constexpr std::size_t header_size = tables * 8;

[[nodiscard]] constexpr std::uint32_t hash(std::string_view key) noexcept {
    std::uint32_t out = 5381;
    for (const char c : key)
        out = (out * 33) ^ static_cast<unsigned char>(c);
    return out;
}
} // namespace cdb

class cdb_view {
public:
    // bytes must outlive the view. Fewer bytes than a header are errc::truncated.
    [[nodiscard]] static result<cdb_view> open(std::string_view bytes) {
        if (bytes.size() < cdb::header_size)
            return fail(errc::truncated, "not a constant database");
        return cdb_view(bytes);
    }

    // The value of the first record with this key.
    [[nodiscard]] result<std::optional<std::string_view>> find(std::string_view key) const {
        const auto wanted = cdb::hash(key);
        const auto start = number(wanted % cdb::tables * 8);
        const auto slots = number(wanted % cdb::tables * 8 + 4);
        if (slots == 0)
            return std::nullopt;
        if (!inside(start, std::uint64_t{slots} * 8))
            return broken();
        for (std::uint32_t step = 0, at = (wanted >> 8U) % slots; step < slots; ++step, at = (at + 1) % slots) {
            const auto place = number(start + std::size_t{at} * 8 + 4);
            if (place == 0)
                return std::nullopt;
            if (number(start + std::size_t{at} * 8) != wanted)
                continue;
            const auto record = read(place);
            if (!record)
                return tl::make_unexpected(record.error());
            if (record->first == key)
                return record->second;
        }
        return std::nullopt;
    }

    // Visits the records in the order in which they were written, until visit answers false.
    template <class Visit>
    [[nodiscard]] result<void> walk(Visit&& visit) const {
        // Records end where the first hash table begins.
        std::uint64_t end = bytes_.size();
        for (std::size_t i = 0; i < cdb::tables; ++i)
            end = std::min<std::uint64_t>(end, number(i * 8));
        for (std::size_t at = cdb::header_size; at < end;) {
            const auto record = read(at);
            if (!record)
                return tl::make_unexpected(record.error());
            if (!visit(record->first, record->second))
                break;
            at += 8 + record->first.size() + record->second.size();
        }
        return {};
    }

private:
    explicit cdb_view(std::string_view bytes) noexcept : bytes_(bytes) {}

    [[nodiscard]] static failure broken() { return fail(errc::malformed, "broken constant database"); }
    [[nodiscard]] bool inside(std::uint64_t at, std::uint64_t size) const noexcept {
        return at <= bytes_.size() && size <= bytes_.size() - at;
    }
    [[nodiscard]] std::uint32_t number(std::size_t at) const noexcept {
        std::uint32_t out = 0;
        for (std::size_t i = 4; i-- > 0;)
            out = out << 8U | static_cast<unsigned char>(bytes_[at + i]);
        return out;
    }
    [[nodiscard]] result<std::pair<std::string_view, std::string_view>> read(std::size_t at) const {
        if (!inside(at, 8))
            return broken();
        const auto key = number(at);
        const auto value = number(at + 4);
        if (!inside(at + 8, std::uint64_t{key} + value))
            return broken();
        return std::pair(bytes_.substr(at + 8, key), bytes_.substr(at + 8 + key, value));
    }

    std::string_view bytes_;
};

} // namespace mta::table
