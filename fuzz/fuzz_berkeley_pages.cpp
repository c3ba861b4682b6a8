// Files of Berkeley DB of any bytes: the first two say how long the key is, the key follows, and the file. No crash, no
// byte outside the file, and every search ends.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <mta/table/berkeley_pages.hpp>

namespace {

class memory_pages final : public mta::table::page_source {
public:
    memory_pages(std::string_view bytes, std::size_t size) : bytes_(bytes), size_(size) {}
    std::string_view page(std::uint32_t number) override {
        const std::size_t at = number * size_;
        return at + size_ <= bytes_.size() ? bytes_.substr(at, size_) : std::string_view();
    }

private:
    std::string_view bytes_;
    std::size_t size_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mta::table;
    if (size < 2)
        return 0;
    std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t length = data[0] + 256U * data[1];
    const auto key = bytes.substr(0, length);
    bytes.remove_prefix(key.size());
    const auto layout = read_berkeley_layout(bytes.substr(0, berkeley_head_size));
    if (!layout)
        return 0;
    memory_pages pages(bytes, layout->page_size);
    berkeley_pages finder(*layout, pages);
    std::string_view value;
    if (finder.find(key, value) == berkeley_pages::outcome::found && value.size() > bytes.size() * 65536)
        std::abort();
    return 0;
}
