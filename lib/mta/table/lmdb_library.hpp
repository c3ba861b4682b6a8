// Handles of liblmdb, and the one way to open an environment. Only .ipp files of LMDB tables include this.
//
// A database is one file (MDB_NOSUBDIR) and locking is ours (MDB_NOLOCK): readers hold a shared fcntl lock and writers
// an exclusive one, as every program does that shares such files.
#pragma once

#include <fcntl.h>
#include <lmdb.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <mta/core/lock.hpp>
#include <mta/core/result.hpp>
#include <mta/table/patience.hpp>

namespace mta::table {

struct lmdb_closer {
    void operator()(MDB_env* env) const { ::mdb_env_close(env); }
    void operator()(MDB_txn* txn) const { ::mdb_txn_abort(txn); }
    void operator()(MDB_cursor* cursor) const { ::mdb_cursor_close(cursor); }
};
using lmdb_env_ptr = std::unique_ptr<MDB_env, lmdb_closer>;
using lmdb_txn_ptr = std::unique_ptr<MDB_txn, lmdb_closer>;
using lmdb_cursor_ptr = std::unique_ptr<MDB_cursor, lmdb_closer>;

[[nodiscard]] inline failure lmdb_trouble(const std::string& what, int code) {
    if (code > 0)
        return fail_errno(what, code);
    return fail(errc::temporary, what + ": " + ::mdb_strerror(code));
}

// flags: MDB_RDONLY or 0. The map is at least map_size and leaves a file that has grown room to grow on.
[[nodiscard]] inline result<lmdb_env_ptr> open_lmdb_env(const std::string& path, unsigned flags, std::size_t map_size,
                                                        unsigned mode) {
    MDB_env* raw = nullptr;
    if (const int code = ::mdb_env_create(&raw); code != 0)
        return lmdb_trouble("open database " + path, code);
    lmdb_env_ptr env(raw);
    (void)::mdb_env_set_mapsize(raw, map_size);
    if (const int code = ::mdb_env_open(raw, path.c_str(), MDB_NOSUBDIR | MDB_NOLOCK | flags, mode); code != 0)
        return lmdb_trouble("open database " + path, code);
    return env;
}

[[nodiscard]] inline int lmdb_descriptor(MDB_env* env) {
    int fd = -1;
    (void)::mdb_env_get_fd(env, &fd);
    return fd;
}

// A lock on the environment's own descriptor. Unlike other locks of fcntl it is the descriptor's and not the process's: another
// environment of this process is kept out too, since it does not know which pages this one reads, and closing that one
// does not end it. Other processes see no difference.
class lmdb_lock {
public:
    // Waits as long as this thread may.
    [[nodiscard]] static result<lmdb_lock> wait(MDB_env* env, lock_mode mode) {
        const int fd = lmdb_descriptor(env);
        const bool for_ever = waiting_ends() == std::chrono::steady_clock::time_point::max();
        constexpr std::chrono::milliseconds step(10);
        while (call(fd, for_ever ? F_OFD_SETLKW : F_OFD_SETLK, mode == lock_mode::shared ? F_RDLCK : F_WRLCK) != 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN && errno != EACCES)
                return fail_errno("lock");
            if (!may_wait() || std::chrono::steady_clock::now() >= waiting_ends())
                return fail(errc::temporary, "locked by another process");
            std::this_thread::sleep_for(step);
        }
        return lmdb_lock(fd);
    }
    lmdb_lock(lmdb_lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    lmdb_lock& operator=(lmdb_lock&&) = delete;
    ~lmdb_lock() {
        if (fd_ >= 0)
            (void)call(fd_, F_OFD_SETLK, F_UNLCK);
    }

private:
    explicit lmdb_lock(int fd) noexcept : fd_(fd) {}
    [[nodiscard]] static int call(int fd, int how, int type) noexcept {
        struct flock request {};
        request.l_type = static_cast<short>(type);
        request.l_whence = SEEK_SET;
        return ::fcntl(fd, how, &request);
    }
    int fd_;
};

} // namespace mta::table
