#include <sys/mman.h>
#include <sys/stat.h>

#include <mta/core/file.hpp>
#include <mta/table/cdb_format.hpp>
#include <mta/table/file_mark.hpp>
#include <mta/table/terminator.hpp>
#include <mta/table/types.hpp>

namespace mta::table {
namespace {

class file_mapping {
public:
    file_mapping() = default;
    file_mapping(const file_mapping&) = delete;
    file_mapping& operator=(const file_mapping&) = delete;
    ~file_mapping() {
        if (size_ != 0)
            ::munmap(start_, size_);
    }
    [[nodiscard]] bool map(int fd, std::size_t size) noexcept {
        if (size == 0)
            return true;
        start_ = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
        if (start_ == MAP_FAILED)
            return false;
        size_ = size;
        return true;
    }
    [[nodiscard]] std::string_view bytes() const noexcept { return {static_cast<const char*>(start_), size_}; }

private:
    void* start_ = nullptr;
    std::size_t size_ = 0;
};

class cdb_table final : public lookup_table {
public:
    cdb_table(std::string name, std::unique_ptr<file_mapping> mapping, cdb_view view, file_mark mark,
              terminator style)
        : lookup_table(std::move(name), {}), mapping_(std::move(mapping)), view_(view), mark_(std::move(mark)),
          style_(style) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        const std::string text(key);
        const auto found = look_up_both(style_, text, [this](std::string_view bytes) { return view_.find(bytes); });
        if (!found)
            return fail(found.error().code, "error reading " + mark_.path() + ": " + found.error().text());
        if (!*found)
            return std::nullopt;
        return std::string(without_nul(**found));
    }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        return view_.walk([&](std::string_view key, std::string_view value) {
            return visit(without_nul(key), without_nul(value));
        });
    }
    [[nodiscard]] bool changed() const override { return mark_.changed(); }

private:
    std::unique_ptr<file_mapping> mapping_;
    cdb_view view_;
    file_mark mark_;
    terminator style_;
};

} // namespace

result<table_ptr> open_cdb(const std::string& name, const open_options& options) {
    const std::string path = name + ".cdb";
    auto fd = open_file(path, O_RDONLY);
    if (!fd)
        return fail(fd.error().code, "open database " + path);
    struct stat status {};
    auto mapping = std::make_unique<file_mapping>();
    if (::fstat(fd->get(), &status) != 0 || !mapping->map(fd->get(), static_cast<std::size_t>(status.st_size)))
        return fail_errno("open database " + path);
    auto view = cdb_view::open(mapping->bytes());
    if (!view)
        return fail(view.error().code, "open database " + path + ": " + view.error().text());
    return std::make_unique<cdb_table>("cdb:" + path, std::move(mapping), *view, file_mark(path, status),
                                       options.style);
}

} // namespace mta::table
