#include "shape.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <mta/core/json.hpp>
#include <mta/core/text.hpp>

namespace mta::qshape {

namespace {

constexpr int narrowest_domain = 18;

std::string number_text(double value) {
    std::array<char, 40> text{};
    const int length = std::snprintf(text.data(), text.size(), "%.15g", value);
    return {text.data(), static_cast<std::size_t>(length)};
}

// The domain above: "a.b.test" and ".a.b.test" are below ".b.test". Empty for what stands right below the top.
std::string parent_of(std::string_view domain) {
    if (domain.starts_with('.'))
        domain.remove_prefix(1);
    const auto dot = domain.find('.');
    if (dot == 0 || dot == std::string_view::npos || domain.find('.', dot + 1) == std::string_view::npos)
        return {};
    return std::string(domain.substr(dot));
}

void append_cell(std::string& out, std::string_view text, std::size_t width) {
    out.append(width > text.size() ? width - text.size() : 0, ' ').append(text);
}

// What does not fit loses its beginning.
void append_domain(std::string& out, std::string_view domain, std::size_t width) {
    if (domain.size() <= width) {
        append_cell(out, domain, width);
        return;
    }
    const std::string_view mark = domain.starts_with('.') ? ".+" : "+";
    out.append(mark).append(domain.substr(domain.size() - width + mark.size()));
}

} // namespace

std::string counted_domain(std::string_view address) {
    if (address.empty())
        return "MAILER-DAEMON";
    const auto text = lower(address.substr(address.rfind('@') + 1));
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        out += text[at];
        if (text[at] == '.' && at + 1 < text.size() && text[at + 1] == '.')
            ++at; // pairs of dots count as one
    }
    if (out.size() > 1 && out.front() == '.')
        out.erase(0, 1);
    if (out.size() > 1 && out.back() == '.')
        out.pop_back();
    return out;
}

std::size_t shape::bucket(long long age) const {
    const double ages = static_cast<double>(age) / (60 * opt_.minutes);
    if (ages < 1)
        return 1;
    const double place = opt_.linear ? ages + 1 : 2 + std::floor(std::log(ages) / std::log(2.0));
    return place < opt_.buckets ? static_cast<std::size_t>(place) : static_cast<std::size_t>(opt_.buckets);
}

// bucket 0 makes the row without counting.
shape::row& shape::count_in(const std::string& name, std::size_t bucket) {
    auto& found = rows_[name];
    found.counts.resize(static_cast<std::size_t>(opt_.buckets) + 1);
    if (bucket > 0) {
        ++found.counts[0];
        ++found.counts[bucket];
    }
    return found;
}

void shape::add(std::string_view address, long long age) {
    const auto where = bucket(age);
    count_in("TOTAL", where);
    bool first_child = false;
    for (auto domain = counted_domain(address); !domain.empty(); domain = parent_of(domain)) {
        auto& one = count_in(domain, where);
        if (first_child)
            ++one.children;
        first_child = one.counts[0] == 1;
        if (!opt_.parents)
            break;
    }
}

std::vector<shape::rows::const_iterator> shape::sorted() const {
    std::vector<rows::const_iterator> shown;
    for (auto one = rows_.begin(); one != rows_.end(); ++one)
        if (!one->first.starts_with('.') || one->second.children >= opt_.children)
            shown.push_back(one);
    std::stable_sort(shown.begin(), shown.end(), [](const auto& a, const auto& b) {
        if (a->second.counts[0] != b->second.counts[0])
            return a->second.counts[0] > b->second.counts[0];
        if ((a->first == "TOTAL") != (b->first == "TOTAL"))
            return a->first == "TOTAL";
        return a->first.size() < b->first.size();
    });
    if (opt_.top > 0 && shown.size() > opt_.top)
        shown.resize(opt_.top);
    return shown;
}

// Where each bucket ends, in minutes; the last is open.
std::vector<std::string> shape::limits() const {
    std::vector<std::string> found;
    double at = 0;
    for (int i = 1; i <= opt_.buckets; ++i)
        if (i < opt_.buckets) {
            at += at > 0 && !opt_.linear ? at : opt_.minutes;
            found.push_back(number_text(at));
        } else
            found.push_back(number_text(at) + '+');
    return found;
}

std::string shape::table() const {
    auto heads = limits();
    heads.insert(heads.begin(), "T");
    const auto& total = rows_.find("TOTAL")->second.counts;
    std::vector<std::size_t> widths;
    int room = opt_.width;
    for (std::size_t i = 0; i < heads.size(); ++i) {
        const auto longest = std::max(heads[i].size(), std::to_string(total[i]).size());
        widths.push_back(longest > 2 ? longest + 1 : 3);
        room -= static_cast<int>(widths.back());
    }
    const auto domain_width = static_cast<std::size_t>(std::max(room, narrowest_domain));
    std::string out;
    append_cell(out, "", domain_width);
    for (std::size_t i = 0; i < heads.size(); ++i)
        append_cell(out, heads[i], widths[i]);
    out += '\n';
    for (const auto& one : sorted()) {
        append_domain(out, one->first, domain_width);
        for (std::size_t i = 0; i < heads.size(); ++i)
            append_cell(out, std::to_string(one->second.counts[i]), widths[i]);
        out += '\n';
    }
    return out;
}

std::string shape::json() const {
    std::string out = "{";
    append_json_name(out, "buckets");
    const auto ends = limits();
    for (std::size_t i = 0; i < ends.size(); ++i)
        out.append(i == 0 ? "[" : ", ").append(i + 1 < ends.size() ? ends[i] : "null");
    out += ']';
    append_json_name(out, "rows");
    out += '[';
    bool first = true;
    for (const auto& one : sorted()) {
        out += std::exchange(first, false) ? "{" : ", {";
        append_json_name(out, "domain");
        append_json_string(out, printable(one->first));
        append_json_name(out, "total");
        out += std::to_string(one->second.counts[0]);
        append_json_name(out, "counts");
        for (std::size_t i = 1; i < one->second.counts.size(); ++i)
            out.append(i == 1 ? "[" : ", ").append(std::to_string(one->second.counts[i]));
        out += "]}";
    }
    return out + "]}\n";
}

} // namespace mta::qshape
