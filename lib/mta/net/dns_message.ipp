#include <algorithm>

#include <mta/net/dns_message.hpp>

namespace mta::net {

namespace {

class dns_reader {
public:
    explicit dns_reader(std::string_view bytes) : bytes_(bytes) {}

    bool u8(std::uint8_t& value) {
        if (at_ >= bytes_.size())
            return false;
        value = static_cast<std::uint8_t>(bytes_[at_++]);
        return true;
    }
    bool u16(std::uint16_t& value) {
        std::uint8_t high = 0, low = 0;
        if (!u8(high) || !u8(low))
            return false;
        value = static_cast<std::uint16_t>(high << 8 | low);
        return true;
    }
    bool u32(std::uint32_t& value) {
        std::uint16_t high = 0, low = 0;
        if (!u16(high) || !u16(low))
            return false;
        value = std::uint32_t{high} << 16 | low;
        return true;
    }
    [[nodiscard]] std::size_t at() const { return at_; }
    void seek(std::size_t at) { at_ = at; }
    [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
    [[nodiscard]] std::string_view slice(std::size_t from, std::size_t size) const { return bytes_.substr(from, size); }

    // Reads a possibly compressed name; clean is false when a label has bytes that no host name has. A pointer
    // must lead before the place where the name (or the last jump) began, so every name ends.
    bool name(std::string& out, bool& clean) {
        out.clear();
        clean = true;
        std::size_t at = at_;
        std::size_t floor = at_;
        bool jumped = false;
        for (;;) {
            if (at >= bytes_.size())
                return false;
            const auto length = static_cast<std::uint8_t>(bytes_[at]);
            if (length == 0) {
                if (!jumped)
                    at_ = at + 1;
                return true;
            }
            if ((length & 0xc0) == 0xc0) {
                if (at + 1 >= bytes_.size())
                    return false;
                const std::size_t target =
                    static_cast<std::size_t>(length & 0x3f) << 8 | static_cast<std::uint8_t>(bytes_[at + 1]);
                if (target >= floor)
                    return false;
                if (!jumped)
                    at_ = at + 2;
                jumped = true;
                floor = at = target;
                continue;
            }
            if ((length & 0xc0) != 0 || at + 1 + length > bytes_.size() || out.size() + length + 1 > 255)
                return false;
            if (!out.empty())
                out += '.';
            for (const char c : bytes_.substr(at + 1, length)) {
                clean = clean && c > ' ' && c < 127 && c != '.';
                out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            }
            at += std::size_t{1} + length;
        }
    }

private:
    std::string_view bytes_;
    std::size_t at_ = 0;
};

std::string canonical(std::string_view name) {
    if (name.ends_with('.'))
        name.remove_suffix(1);
    std::string out(name);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c + 32);
    return out;
}

// Fills data from a record's content at reader; false when it is broken, keep is false when it is to be skipped.
bool read_data(dns_reader& reader, std::uint16_t size, dns_record& record, bool& keep) {
    const std::size_t end = reader.at() + size;
    switch (record.type) {
    case dns_type::a:
    case dns_type::aaaa:
        if (size != (record.type == dns_type::a ? 4 : 16))
            return false;
        record.data = reader.slice(reader.at(), size);
        return true;
    case dns_type::mx:
        if (size < 3 || !reader.u16(record.preference))
            return false;
        [[fallthrough]];
    case dns_type::cname:
    case dns_type::ptr: {
        bool clean = false;
        if (!reader.name(record.data, clean) || reader.at() != end)
            return false;
        keep = clean;
        return true;
    }
    case dns_type::txt: {
        while (reader.at() < end) {
            std::uint8_t length = 0;
            if (!reader.u8(length) || reader.at() + length > end)
                return false;
            record.data += reader.slice(reader.at(), length);
            reader.seek(reader.at() + length);
        }
        return true;
    }
    default:
        keep = false;
        return true;
    }
}

} // namespace

result<dns_answer> parse_dns_answer(std::string_view bytes, std::string_view name, std::uint16_t type) {
    dns_reader reader(bytes);
    std::uint16_t id = 0, flags = 0, questions = 0, answers = 0, authorities = 0, additional = 0;
    if (!reader.u16(id) || !reader.u16(flags) || !reader.u16(questions) || !reader.u16(answers) ||
        !reader.u16(authorities) || !reader.u16(additional))
        return fail(errc::malformed, "DNS answer shorter than its header");
    if ((flags & 0x8000) == 0 || questions != 1)
        return fail(errc::malformed, "not an answer to one DNS question");
    std::string owner;
    bool clean = false;
    std::uint16_t asked_type = 0, asked_class = 0;
    if (!reader.name(owner, clean) || !reader.u16(asked_type) || !reader.u16(asked_class))
        return fail(errc::malformed, "broken question in DNS answer");
    std::string wanted = canonical(name);
    if (owner != wanted || asked_type != type || asked_class != 1)
        return fail(errc::malformed, "DNS answer to another question");

    dns_answer answer;
    answer.rcode = flags & 0x0f;
    answer.authenticated = (flags & 0x20) != 0;
    std::size_t aliases = 0;
    for (std::uint16_t i = 0; i < answers && answer.records.size() < dns_record_limit; ++i) {
        dns_record record;
        bool owner_clean = false;
        std::uint16_t record_class = 0, size = 0;
        if (!reader.name(record.owner, owner_clean) || !reader.u16(record.type) || !reader.u16(record_class) ||
            !reader.u32(record.ttl) || !reader.u16(size) || size > reader.left())
            return fail(errc::malformed, "broken record in DNS answer");
        const std::size_t end = reader.at() + size;
        if (record_class == 1 && record.owner == wanted && (record.type == type || record.type == dns_type::cname)) {
            bool keep = true;
            if (!read_data(reader, size, record, keep))
                return fail(errc::malformed, "broken record in DNS answer");
            if (record.type == dns_type::cname && type != dns_type::cname) {
                // Resolvers list an alias before what it leads to; a chain longer than this is a loop.
                if (!keep || ++aliases > 16)
                    return fail(errc::malformed, "bad alias in DNS answer");
                wanted = record.data;
            } else if (keep) {
                answer.records.push_back(std::move(record));
            }
        }
        reader.seek(end);
    }
    return answer;
}

} // namespace mta::net
