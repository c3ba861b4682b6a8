// Pages of a file, read once and kept in memory up to a limit. Knows nothing of what is in them.
//
// Copies, not a mapping of the file: a file that is cut short under a mapping would end the process.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include <mta/table/berkeley_pages.hpp>

namespace mta::table {

class page_cache final : public page_source {
public:
    struct limits {
        std::size_t most = 0; // bytes that are kept
        std::size_t step = 0; // bytes that are read at once: a power of two; at least a page is
    };

    // fd must outlive this. None when there is no room for so large a file.
    [[nodiscard]] static std::unique_ptr<page_cache> make(int fd, std::size_t file_size, std::size_t page_size, limits bounds) {
        auto out = std::unique_ptr<page_cache>(new page_cache(fd, file_size, page_size, bounds));
        constexpr int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        out->start_ = static_cast<char*>(::mmap(nullptr, std::max<std::size_t>(file_size, 1), PROT_READ | PROT_WRITE, how, -1, 0));
        if (out->start_ == MAP_FAILED)
            return nullptr;
        // Pages that are all kept are better found in few large ones of the machine's own.
        if (file_size <= bounds.most && file_size >= worth_large_pages)
            (void)::madvise(out->start_, file_size, MADV_HUGEPAGE);
        return out;
    }
    page_cache(const page_cache&) = delete;
    page_cache& operator=(const page_cache&) = delete;
    ~page_cache() override {
        if (start_ != MAP_FAILED)
            ::munmap(start_, std::max<std::size_t>(file_size_, 1));
    }

    [[nodiscard]] std::string_view page(std::uint32_t number) override {
        const std::size_t at = std::size_t{number} * page_size_;
        if (at + page_size_ > file_size_ || (!there_[at / step_] && !read(at / step_)))
            return {};
        return {start_ + at, page_size_};
    }
    // Lets go of what is over the limit. Not while a page is in use.
    void trim() {
        if (kept_ <= most_)
            return;
        (void)::madvise(start_, file_size_, MADV_DONTNEED);
        there_.assign(there_.size(), false);
        kept_ = 0;
    }

private:
    static constexpr std::size_t worth_large_pages = 8U << 20U;

    page_cache(int fd, std::size_t file_size, std::size_t page_size, limits bounds)
        : fd_(fd), file_size_(file_size), page_size_(page_size), most_(bounds.most),
          step_(std::max(bounds.step, page_size)), there_((file_size + step_ - 1) / step_) {}

    bool read(std::size_t index) {
        const std::size_t from = index * step_;
        const std::size_t size = std::min(step_, file_size_ - from);
        for (std::size_t done = 0; done < size;) {
            const auto got = ::pread(fd_, start_ + from + done, size - done, static_cast<off_t>(from + done));
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return false;
            done += static_cast<std::size_t>(got);
        }
        there_[index] = true;
        kept_ += size;
        return true;
    }

    int fd_;
    std::size_t file_size_;
    std::size_t page_size_;
    std::size_t most_;
    std::size_t step_;
    std::vector<bool> there_; // a bit for each step
    std::size_t kept_ = 0;
    char* start_ = static_cast<char*>(MAP_FAILED);
};

} // namespace mta::table
