#include <algorithm>
#include <bit>
#include <cstring>

#include <mta/table/entry_sorter.hpp>

namespace mta::table {
namespace detail {

// In front of key, NUL, value, NUL.
struct record_head {
    std::uint32_t rank;
    std::uint32_t key;
    std::uint32_t value;
    std::int32_t line;
    [[nodiscard]] std::size_t size() const noexcept { return sizeof *this + std::size_t{key} + value + 2; }
};

struct record {
    database_entry entry;
    std::uint32_t rank = 0;
    std::string_view bytes;
};

} // namespace detail

namespace {

using detail::record;
using detail::record_head;

constexpr std::size_t most_bytes = 6U << 20U; // of a run
constexpr std::size_t most_entries = 1U << 17U;
constexpr std::size_t longest_part = 1U << 31U;
constexpr std::size_t all_buffers = 16U << 20U; // of runs that are merged
constexpr std::size_t least_buffer = 1U << 14U;
constexpr std::size_t best_buffer = 1U << 17U;

record_head head_at(const char* at) noexcept {
    record_head out; // NOLINT: filled at once
    std::memcpy(&out, at, sizeof out);
    return out;
}
record record_at(const char* at) noexcept {
    const auto head = head_at(at);
    const char* const key = at + sizeof head;
    return {{{key, head.key}, {key + head.key + 1, head.value}, head.line}, head.rank, {at, head.size()}};
}

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

// Sixteen bytes of each key, behind what all have alike, or rank and eight bytes: mostly nothing else need be looked at.
struct sort_head {
    std::uint64_t first;
    std::uint64_t second;
    std::uint32_t place;
};

std::vector<sort_head> sort_heads(const char* bytes, std::span<const std::uint32_t> places) {
    bool ranked = false;
    auto shared = record_at(bytes + places.front()).entry.key;
    for (const auto place : places) {
        const auto one = record_at(bytes + place);
        ranked = ranked || one.rank != 0;
        const auto differ = std::ranges::mismatch(shared, one.entry.key).in1;
        shared = shared.substr(0, static_cast<std::size_t>(differ - shared.begin()));
    }
    std::vector<sort_head> out(places.size());
    std::ranges::transform(places, out.begin(), [&](std::uint32_t place) {
        const auto one = record_at(bytes + place);
        const auto start = bytes_from(one.entry.key, shared.size());
        return ranked ? sort_head{one.rank, start, place} : sort_head{start, bytes_from(one.entry.key, shared.size() + 8), place};
    });
    return out;
}

void sort_by_rank(const char* bytes, std::vector<std::uint32_t>& places) {
    std::ranges::stable_sort(places, {}, [bytes](std::uint32_t place) { return head_at(bytes + place).rank; });
}

void sort_by_key(const char* bytes, std::vector<std::uint32_t>& places) {
    auto heads = sort_heads(bytes, places);
    std::ranges::sort(heads, [bytes](const sort_head& a, const sort_head& b) {
        if (a.first != b.first)
            return a.first < b.first;
        if (a.second != b.second)
            return a.second < b.second;
        const auto order = record_at(bytes + a.place).entry.key.compare(record_at(bytes + b.place).entry.key);
        return order != 0 ? order < 0 : a.place < b.place; // later ones lie behind
    });
    std::ranges::transform(heads, places.begin(), &sort_head::place);
}

} // namespace

result<void> run_builder::add(std::string_view key, std::string_view value, int line, std::uint32_t rank) {
    if (key.size() > longest_part || value.size() > longest_part)
        return fail(errc::too_large, "line " + std::to_string(line) + ": the entry is too large for a database");
    if (!places_.empty() && (places_.size() >= most_entries || bytes_.size() + key.size() + value.size() > most_bytes))
        if (auto done = flush(); !done)
            return done;
    if (ordered_ && !places_.empty()) {
        const auto last = record_at(bytes_.data() + places_.back());
        ordered_ = last.rank < rank || (last.rank == rank && (policy_ == on_duplicate::keep_all || last.entry.key < key));
    }
    places_.push_back(static_cast<std::uint32_t>(bytes_.size()));
    const record_head head{rank, static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value.size()), line};
    char start[sizeof head];
    std::memcpy(start, &head, sizeof head);
    bytes_.append(start, sizeof start).append(key).append(1, '\0').append(value).append(1, '\0');
    return {};
}

result<std::string> run_builder::in_order(std::size_t& entries) {
    const char* const bytes = bytes_.data();
    if (policy_ == on_duplicate::keep_all)
        sort_by_rank(bytes, places_);
    else
        sort_by_key(bytes, places_);
    std::string out;
    out.reserve(bytes_.size());
    entries = 0;
    for (std::size_t i = 0; i < places_.size();) {
        auto kept = record_at(bytes + places_[i++]);
        while (policy_ != on_duplicate::keep_all && i < places_.size()) {
            const auto other = record_at(bytes + places_[i]);
            if (other.rank != kept.rank || other.entry.key != kept.entry.key)
                break;
            const bool last = policy_ == on_duplicate::take_last;
            if (auto done = told_ ? told_(last ? kept.entry : other.entry) : result<void>(); !done)
                return tl::make_unexpected(done.error());
            if (last)
                kept = other;
            ++i;
        }
        out.append(kept.bytes);
        ++entries;
    }
    return out;
}

result<void> run_builder::flush() {
    auto entries = places_.size();
    std::string bytes;
    if (ordered_) {
        bytes = std::exchange(bytes_, {});
    } else {
        auto sorted = in_order(entries);
        if (!sorted)
            return tl::make_unexpected(sorted.error());
        bytes = std::move(*sorted);
    }
    bytes_.clear();
    places_.clear();
    ordered_ = true;
    auto put = store_.put(std::move(bytes));
    if (!put)
        return tl::make_unexpected(put.error());
    runs_.push_back({std::move(*put), entries});
    return {};
}

result<entry_runs> run_builder::finish() {
    if (!places_.empty())
        if (auto done = flush(); !done)
            return tl::make_unexpected(done.error());
    return std::exchange(runs_, {});
}

// Where the reading of one run is.
class entry_merge::cursor {
public:
    cursor(const spill_store& store, const entry_run& run, std::size_t number, std::size_t buffer)
        : store_(&store), run_(&run.where), number_(number), wanted_(buffer) {}

    // To the next record. False at the end.
    result<bool> advance() {
        at_ += now_.bytes.size();
        if (run_->place)
            if (auto there = fill(); !there)
                return tl::make_unexpected(there.error());
        const std::string_view bytes = run_->place ? std::string_view(buffer_) : std::string_view(run_->bytes);
        if (at_ == bytes.size())
            return false;
        now_ = record_at(bytes.data() + at_);
        start_ = bytes_from(now_.entry.key, 0);
        return true;
    }
    [[nodiscard]] const record& now() const noexcept { return now_; }
    [[nodiscard]] std::uint64_t start() const noexcept { return start_; }
    [[nodiscard]] std::size_t number() const noexcept { return number_; }

private:
    // Sees to it that a whole record is at at_, if there is one left.
    result<void> fill() {
        for (std::size_t needed = sizeof(record_head);;) {
            const auto left = buffer_.size() - at_;
            if (left >= needed) {
                const auto whole = head_at(buffer_.data() + at_).size();
                if (left >= whole)
                    return {};
                needed = whole;
            }
            const auto more = std::min(std::max(wanted_, needed) - left, run_->size - read_);
            if (more == 0)
                return {};
            buffer_.erase(0, at_);
            at_ = 0;
            buffer_.resize(left + more);
            if (auto done = store_->read(*run_, read_, std::span(buffer_).subspan(left)); !done)
                return done;
            read_ += more;
        }
    }

    const spill_store* store_;
    const spill_store::piece* run_;
    std::size_t number_;
    std::size_t wanted_; // bytes that are read at once
    std::string buffer_; // of a run that is in the file
    std::size_t read_ = 0;
    std::size_t at_ = 0; // in what is in memory
    record now_;
    std::uint64_t start_ = 0; // of its key
};

entry_merge::entry_merge(const spill_store& store, entry_runs runs, on_duplicate policy, duplicate_told told)
    : store_(store), runs_(std::move(runs)), policy_(policy), told_(std::move(told)) {
    for (const auto& run : runs_) {
        at_most_.entries += run.entries;
        at_most_.bytes += run.where.size - run.entries * (sizeof(record_head) + 2);
    }
}
entry_merge::~entry_merge() = default;

bool entry_merge::before(const cursor& a, const cursor& b) const noexcept {
    if (a.now().rank != b.now().rank)
        return a.now().rank < b.now().rank;
    if (policy_ != on_duplicate::keep_all) {
        if (a.start() != b.start())
            return a.start() < b.start();
        if (const auto order = a.now().entry.key.compare(b.now().entry.key); order != 0)
            return order < 0;
    }
    return a.number() < b.number();
}

// Moves the cursor at a place of the heap down to where it belongs.
void entry_merge::settle(std::size_t from) {
    for (std::size_t child = 0; (child = 2 * from + 1) < heap_.size(); from = child) {
        if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child]))
            ++child;
        if (!before(*heap_[child], *heap_[from]))
            return;
        std::swap(heap_[child], heap_[from]);
    }
}

result<void> entry_merge::rewind() {
    if (started_)
        told_ = nullptr;
    started_ = true;
    heap_.clear();
    cursors_.clear();
    cursors_.reserve(runs_.size());
    const auto buffer = std::clamp(all_buffers / std::max<std::size_t>(runs_.size(), 1), least_buffer, best_buffer);
    for (const auto& run : runs_) {
        auto& added = cursors_.emplace_back(store_, run, cursors_.size(), buffer);
        const auto some = added.advance();
        if (!some)
            return tl::make_unexpected(some.error());
        if (*some)
            heap_.push_back(&added);
    }
    for (std::size_t i = heap_.size() / 2; i-- > 0;)
        settle(i);
    return {};
}

result<void> entry_merge::advance_first() {
    const auto more = heap_.front()->advance();
    if (!more)
        return tl::make_unexpected(more.error());
    if (!*more) {
        heap_.front() = heap_.back();
        heap_.pop_back();
    }
    settle(0);
    return {};
}

void entry_merge::hold() {
    const auto& now = heap_.front()->now();
    key_.assign(now.entry.key);
    value_.assign(now.entry.value);
    rank_ = now.rank;
    held_ = {key_, value_, now.entry.line};
}

result<const database_entry*> entry_merge::next() {
    if (!started_)
        if (auto begun = rewind(); !begun)
            return tl::make_unexpected(begun.error());
    if (heap_.empty())
        return nullptr;
    hold();
    for (;;) {
        if (auto done = advance_first(); !done)
            return tl::make_unexpected(done.error());
        if (policy_ == on_duplicate::keep_all || heap_.empty())
            return &held_;
        const auto& other = heap_.front()->now().entry;
        if (heap_.front()->now().rank != rank_ || other.key != held_.key)
            return &held_;
        const bool last = policy_ == on_duplicate::take_last;
        if (auto done = told_ ? told_(last ? held_ : other) : result<void>(); !done)
            return tl::make_unexpected(done.error());
        if (last)
            hold();
    }
}

} // namespace mta::table
