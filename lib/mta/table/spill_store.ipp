#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <mta/table/spill_store.hpp>

namespace mta::table {
namespace {

unique_fd nameless_file(const std::string& directory) {
    unique_fd out(::open(directory.c_str(), O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
    if (out)
        return out;
    // Not every file system has such files.
    std::string path = directory + "/build.XXXXXX";
    out = unique_fd(::mkostemp(path.data(), O_CLOEXEC));
    if (out)
        ::unlink(path.c_str());
    return out;
}

} // namespace

result<void> spill_store::open() {
    file_ = nameless_file(directory_);
    const int why = errno;
    if (!file_)
        file_ = nameless_file("/tmp");
    if (!file_)
        return fail_errno("create a temporary file in " + directory_, why);
    return {};
}

result<spill_store::piece> spill_store::put(std::string bytes) {
    piece out;
    out.size = bytes.size();
    {
        const std::lock_guard lock(mutex_);
        if (bytes.capacity() <= room_) {
            room_ -= bytes.capacity();
            out.bytes = std::move(bytes);
            return out;
        }
        room_ = 0; // what comes later is no better
        if (!file_)
            if (auto opened = open(); !opened)
                return tl::make_unexpected(opened.error());
        out.place = end_;
        end_ += bytes.size();
    }
    for (std::size_t done = 0; done < bytes.size();) {
        const auto wrote = ::pwrite(file_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(*out.place + done));
        if (wrote < 0 && errno != EINTR)
            return fail_errno("write a temporary file in " + directory_);
        done += static_cast<std::size_t>(std::max<ssize_t>(wrote, 0));
    }
    return out;
}

result<void> spill_store::read(const piece& from, std::size_t at, std::span<char> to) const {
    if (!from.place) {
        std::copy_n(from.bytes.data() + at, to.size(), to.data());
        return {};
    }
    for (std::size_t done = 0; done < to.size();) {
        const auto got = ::pread(file_.get(), to.data() + done, to.size() - done, static_cast<off_t>(*from.place + at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_errno("read a temporary file in " + directory_, got == 0 ? EIO : errno);
        done += static_cast<std::size_t>(got);
    }
    return {};
}

} // namespace mta::table
