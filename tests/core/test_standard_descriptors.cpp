#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <mta/core/standard_descriptors.hpp>

TEST_CASE("standard descriptors that are closed become /dev/null, the others stay", "[core]") {
    for (int closed = 0; closed < 8; ++closed) {
        int kept[2] = {-1, -1};
        REQUIRE(::pipe(kept) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            struct stat pipe_status {}, status {};
            bool good = ::fstat(kept[0], &pipe_status) == 0;
            for (int fd = 0; fd < 3; ++fd)
                if ((closed & 1 << fd) != 0)
                    ::close(fd);
                else
                    ::dup2(kept[0], fd);
            good = mta::hold_standard_descriptors() && good;
            for (int fd = 0; fd < 3 && good; ++fd) {
                good = ::fstat(fd, &status) == 0;
                good = good && ((closed & 1 << fd) != 0 ? status.st_rdev == ::makedev(1, 3)
                                                        : status.st_ino == pipe_status.st_ino);
            }
            ::_exit(good ? 0 : 1);
        }
        ::close(kept[0]);
        ::close(kept[1]);
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CAPTURE(closed);
        CHECK(status == 0);
    }
}
