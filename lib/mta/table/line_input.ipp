#include <sys/stat.h>

#include <mta/table/line_input.hpp>

namespace mta::table {

result<std::string> read_descriptor(int fd, const std::string& title) {
    std::string out;
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        out.reserve(static_cast<std::size_t>(status.st_size) + 1);
    for (;;) {
        const auto used = out.size();
        out.resize(std::max(out.capacity(), used + 65536));
        const auto got = ::read(fd, out.data() + used, out.size() - used);
        out.resize(used + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (got < 0 && errno != EINTR)
            return fail_errno("read " + title);
        if (got == 0)
            return out;
    }
}

} // namespace mta::table
