// Networks of one address family, found by the addresses in them: a path-compressed binary tree.
//
// Finds every network that holds an address, in time that grows with the length of the address and not with the number
// of networks. No I/O.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mta::table {

struct network {
    std::array<unsigned char, 16> bytes{}; // in network order; an AF_INET address is the first four
    int family = 0;
    int bits = 0; // length of the prefix

    [[nodiscard]] bool bit(int at) const noexcept {
        return (bytes[static_cast<std::size_t>(at) / 8] >> (7 - at % 8) & 1) != 0;
    }
    // How many leading bits (at most limit) the two have in common.
    [[nodiscard]] int common_bits(const network& other, int limit) const noexcept {
        for (int at = 0; at < limit; at += 8) {
            const auto differing = static_cast<unsigned>(bytes[static_cast<std::size_t>(at) / 8] ^
                                                         other.bytes[static_cast<std::size_t>(at) / 8]);
            if (differing != 0) {
                const int same = at + __builtin_clz(differing) - 24;
                return same < limit ? same : limit;
            }
        }
        return limit;
    }
    [[nodiscard]] bool contains(const network& address) const noexcept {
        return family == address.family && common_bits(address, bits) == bits;
    }
    void clear_host_bits() noexcept {
        for (int at = bits; at < 128; ++at)
            bytes[static_cast<std::size_t>(at) / 8] &= static_cast<unsigned char>(~(1U << (7 - at % 8)));
    }
};

class network_tree {
public:
    void add(const network& where, std::uint32_t value) {
        root_ = insert(root_, where, value);
    }

    // Appends the values of all networks that hold address, shortest prefix first.
    void find(const network& address, std::vector<std::uint32_t>& to) const {
        for (auto at = root_; at != none;) {
            const auto& one = nodes_[at];
            if (one.where.common_bits(address, one.where.bits) < one.where.bits)
                return;
            for (auto link = one.first; link != none; link = entries_[link].next)
                to.push_back(entries_[link].value);
            if (one.where.bits >= address.bits)
                return;
            at = one.child[address.bit(one.where.bits) ? 1 : 0];
        }
    }

private:
    static constexpr std::uint32_t none = 0xFFFFFFFFU;
    struct node {
        network where;
        std::array<std::uint32_t, 2> child{none, none};
        std::uint32_t first = none; // in entries_
    };
    struct entry {
        std::uint32_t value = 0;
        std::uint32_t next = none;
    };

    std::uint32_t insert(std::uint32_t at, const network& where, std::uint32_t value);

    std::vector<node> nodes_;
    std::vector<entry> entries_;
    std::uint32_t root_ = none;
};

inline std::uint32_t network_tree::insert(std::uint32_t at, const network& where, std::uint32_t value) {
    const auto attach = [&](std::uint32_t to) {
        entries_.push_back({value, nodes_[to].first});
        nodes_[to].first = static_cast<std::uint32_t>(entries_.size() - 1);
        return to;
    };
    const auto make = [&](const network& of) {
        nodes_.emplace_back().where = of;
        return static_cast<std::uint32_t>(nodes_.size() - 1);
    };
    if (at == none)
        return attach(make(where));
    const auto shorter = where.bits < nodes_[at].where.bits ? where.bits : nodes_[at].where.bits;
    const int common = where.common_bits(nodes_[at].where, shorter);
    if (common == where.bits && common == nodes_[at].where.bits)
        return attach(at);
    if (common == nodes_[at].where.bits) {
        const std::size_t side = where.bit(common) ? 1 : 0;
        const auto below = insert(nodes_[at].child[side], where, value);
        nodes_[at].child[side] = below;
        return at;
    }
    // The two part ways above this node.
    network shared = where;
    shared.bits = common;
    shared.clear_host_bits();
    const auto fork = make(shared);
    nodes_[fork].child[nodes_[at].where.bit(common) ? 1 : 0] = at;
    if (common == where.bits)
        return attach(fork);
    const auto leaf = attach(make(where));
    nodes_[fork].child[where.bit(common) ? 1 : 0] = leaf;
    return fork;
}

} // namespace mta::table
