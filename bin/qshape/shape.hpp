// The shape of a queue: how many messages or recipients wait for each domain, and for how long.
//
// Counting and layout only; no I/O. The layout is the reference's to the byte (tests/interop/qshape.py).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mta::qshape {

struct shape_options {
    int buckets = 10;           // -b
    double minutes = 5;         // -t: the first bucket's
    bool linear = false;        // -l: buckets add up instead of doubling
    bool parents = false;       // -p
    unsigned long children = 5; // -m: parents with fewer are not shown
    int width = 80;             // -w
    std::size_t top = 0;        // -n: rows at most; 0: all
};

// The domain under which an address counts: lower case, without stray dots; MAILER-DAEMON for the null address.
[[nodiscard]] std::string counted_domain(std::string_view address);

class shape {
public:
    explicit shape(const shape_options& opt) : opt_(opt) { count_in("TOTAL", 0); }

    // age in seconds; the future counts as now.
    void add(std::string_view address, long long age);

    // Rows by falling total, then by length and name of the domain.
    [[nodiscard]] std::string table() const;
    // {"buckets": [5, 10, …, null], "rows": [{"domain": …, "total": …, "counts": […]}, …]}; TOTAL is the first row.
    [[nodiscard]] std::string json() const;

private:
    struct row {
        std::vector<unsigned long> counts; // all, then bucket by bucket
        unsigned long children = 0;
    };
    using rows = std::map<std::string, row, std::less<>>;

    [[nodiscard]] std::size_t bucket(long long age) const;
    row& count_in(const std::string& name, std::size_t bucket);
    [[nodiscard]] std::vector<rows::const_iterator> sorted() const;
    [[nodiscard]] std::vector<std::string> limits() const;

    shape_options opt_;
    rows rows_;
};

} // namespace mta::qshape
