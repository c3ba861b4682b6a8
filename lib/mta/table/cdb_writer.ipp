#include <algorithm>
#include <array>
#include <span>
#include <unordered_set>
#include <vector>

#include <mta/table/cdb_format.hpp>
#include <mta/table/replacement_file.hpp>
#include <mta/table/spill_store.hpp>
#include <mta/table/table_writer.hpp>

namespace mta::table {
namespace {

constexpr std::size_t chunk = 1U << 20U;
constexpr std::size_t most_slots = 1U << 20U; // in memory, twice

void append_number(std::string& to, std::size_t number) {
    for (unsigned shift = 0; shift < 32; shift += 8)
        to += static_cast<char>(number >> shift & 0xFFU);
}

class cdb_writer final : public table_writer {
public:
    static result<writer_ptr> start(const std::string& name, const writer_options& options) {
        if (options.how != write_mode::create)
            return fail(errc::unsupported, "dict_cdb_open: inappropriate open flags for cdb database - specify O_RDONLY "
                                           "or O_WRONLY|O_CREAT|O_TRUNC");
        auto place = replacement_file::start(name + ".cdb", options.mode);
        if (!place)
            return tl::make_unexpected(place.error());
        auto fd = open_file(place->temporary(), O_RDWR | O_CREAT | O_TRUNC, options.mode);
        if (!fd)
            return fail(fd.error().code, "open database " + place->temporary());
        return std::unique_ptr<cdb_writer>(new cdb_writer(std::move(*place), std::move(*fd), options));
    }

    result<void> load(entry_source& sorted) override {
        auto one = sorted.next();
        for (; one && *one != nullptr; one = sorted.next())
            if (auto done = append((*one)->key, (*one)->value, nul()); !done)
                return done;
        return one ? result<void>() : tl::make_unexpected(one.error());
    }
    result<bool> insert(std::string_view key, std::string_view value) override {
        if (!keys_.emplace(key).second)
            return false;
        if (auto done = append(key, value, nul()); !done)
            return tl::make_unexpected(done.error());
        return true;
    }
    // The format has no way to change a record; the first one of a key counts. So this is for new keys.
    result<void> replace(std::string_view key, std::string_view value) override { return append(key, value, nul()); }
    result<void> put_bare(std::string_view key, std::string_view value) override { return append(key, value, 0); }
    result<bool> remove(std::string_view) override {
        return fail(errc::unsupported, "cdb databases cannot be changed: build a new one");
    }

    result<void> finish() override {
        std::string header;
        for (std::size_t first = 0, last = 0; first < cdb::tables; first = last) {
            // As many tables at once as fit.
            std::size_t slots = 0;
            for (last = first; last < cdb::tables && (last == first || slots + counts_[last] <= most_slots); ++last)
                slots += counts_[last];
            const auto tables = slots_of(first, last);
            if (!tables)
                return tl::make_unexpected(tables.error());
            for (const auto& table : *tables) {
                append_number(header, at_);
                append_number(header, table.size() * 2);
                if (auto done = write_table(table); !done)
                    return done;
            }
        }
        if (auto done = flush(); !done)
            return done;
        if (::pwrite(fd_.get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size()))
            return fail_errno("error writing " + place_.temporary());
        fd_.reset();
        return place_.commit();
    }

private:
    struct slot {
        std::uint32_t hash;
        std::uint32_t place;
    };
    cdb_writer(replacement_file place, unique_fd fd, const writer_options& options)
        : place_(std::move(place)), fd_(std::move(fd)), options_(options), pending_(cdb::header_size, '\0'),
          store_(parent_directory(place_.path()), 0) {}

    // Unlike the others this format is written without the NUL unless it is asked for.
    [[nodiscard]] std::size_t nul() const noexcept { return options_.style == terminator::with ? 1 : 0; }

    result<void> append(std::string_view key, std::string_view value, std::size_t nul) {
        auto hash = cdb::hash(key);
        if (nul != 0)
            hash *= 33;
        const std::size_t size = 8 + key.size() + value.size() + 2 * nul;
        if (auto room = take(size); !room)
            return room;
        if (auto noted = note({hash, static_cast<std::uint32_t>(at_ - size)}); !noted)
            return noted;
        append_number(pending_, key.size() + nul);
        append_number(pending_, value.size() + nul);
        pending_.append(key).append(nul, '\0');
        pending_.append(value).append(nul, '\0');
        return pending_.size() < chunk ? result<void>() : flush();
    }
    result<void> note(slot added) {
        if (slots_.size() == most_slots) {
            auto put = store_.put({reinterpret_cast<const char*>(slots_.data()), slots_.size() * sizeof(slot)});
            if (!put)
                return tl::make_unexpected(put.error());
            away_.push_back(std::move(*put));
            slots_.clear();
        }
        ++counts_[added.hash % cdb::tables];
        slots_.push_back(added);
        return {};
    }
    // The slots of some tables, in the order in which they came.
    result<std::vector<std::vector<slot>>> slots_of(std::size_t first, std::size_t last) const {
        std::vector<std::vector<slot>> out(last - first);
        for (auto i = first; i < last; ++i)
            out[i - first].reserve(counts_[i]);
        const auto take = [&](std::span<const slot> from) {
            for (const auto& one : from)
                if (const auto table = one.hash % cdb::tables; table >= first && table < last)
                    out[table - first].push_back(one);
        };
        std::vector<slot> part(chunk / sizeof(slot));
        for (const auto& piece : away_)
            for (std::size_t at = 0; at < piece.size; at += chunk) {
                const auto size = std::min(chunk, piece.size - at);
                if (auto done = store_.read(piece, at, {reinterpret_cast<char*>(part.data()), size}); !done)
                    return tl::make_unexpected(done.error());
                take(std::span(part).first(size / sizeof(slot)));
            }
        take(slots_);
        return out;
    }
    result<void> write_table(const std::vector<slot>& table) {
        std::vector<slot> places(table.size() * 2, slot{0, 0});
        for (const auto& one : table) {
            std::size_t at = (one.hash >> 8U) % places.size();
            while (places[at].place != 0)
                at = at + 1 == places.size() ? 0 : at + 1;
            places[at] = one;
        }
        if (auto room = take(places.size() * 8); !room)
            return room;
        for (const auto& one : places) {
            append_number(pending_, one.hash);
            append_number(pending_, one.place);
        }
        return pending_.size() < chunk ? result<void>() : flush();
    }
    result<void> take(std::size_t size) {
        if (size > 0xFFFFFFFFU - at_)
            return fail(errc::too_large, place_.path() + ": a cdb database cannot be larger than 4 GiB");
        at_ += size;
        return {};
    }
    result<void> flush() {
        if (auto done = write_all(fd_.get(), pending_); !done)
            return fail(done.error().code, "error writing " + place_.temporary());
        pending_.clear();
        return {};
    }

    replacement_file place_;
    unique_fd fd_;
    writer_options options_;
    std::string pending_;                // bytes not yet written; begins with room for the header
    std::size_t at_ = cdb::header_size;  // where the next byte goes
    std::array<std::size_t, cdb::tables> counts_{}; // of slots
    std::vector<slot> slots_;                       // those that are not away
    spill_store store_;
    std::vector<spill_store::piece> away_;
    std::unordered_set<std::string> keys_; // of insert()
};

} // namespace

result<writer_ptr> write_cdb(const std::string& name, const writer_options& options) {
    return cdb_writer::start(name, options);
}

} // namespace mta::table
