// Tells for certain that no file of a queue has a name; of a few names it says "perhaps" without need.
//
// Two megabytes, whatever the size of the queue (a Bloom filter). Adding is for one thread, asking for any number.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace mta::postsuper {

class name_filter {
public:
    void add(std::string_view name) {
        for (const auto bit : bits_of(name))
            words_[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }

    [[nodiscard]] bool perhaps(std::string_view name) const {
        for (const auto bit : bits_of(name))
            if ((words_[bit / 64] >> (bit % 64) & 1U) == 0)
                return false;
        return true;
    }

private:
    static constexpr std::size_t bits = std::size_t{1} << 24U;

    // Four places out of one hash: enough for millions of names.
    static std::array<std::size_t, 4> bits_of(std::string_view name) {
        const std::uint64_t hash = std::hash<std::string_view>()(name);
        const std::uint64_t step = hash >> 32U | 1U;
        return {hash % bits, (hash + step) % bits, (hash + 2 * step) % bits, (hash + 3 * step) % bits};
    }

    std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>(bits / 64);
};

} // namespace mta::postsuper
