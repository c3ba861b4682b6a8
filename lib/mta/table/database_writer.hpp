// Writes hash and btree databases: a whole new one, or changes in place.
//
// A new database is built beside the old one and renamed over it, so that no reader ever sees half of it. Changes in
// place hold the exclusive lock that readers respect. Berkeley DB stays in the .ipp.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::table {

enum class terminator { unknown, with, without }; // of keys and values: the trailing NUL

class database_writer {
public:
    // Starts a new NAME.db of type "hash" or "btree"; another process that builds the same one is waited for.
    [[nodiscard]] static result<database_writer> create(const std::string& type, const std::string& name, mode_t mode,
                                                        terminator style);
    // Opens NAME.db, creating it when absent.
    [[nodiscard]] static result<database_writer> update(const std::string& type, const std::string& name, mode_t mode,
                                                        terminator style);
    database_writer(database_writer&&) noexcept;
    database_writer& operator=(database_writer&&) noexcept;
    ~database_writer(); // what was not finished is gone (create) or as far as it came (update)

    // False: the key is there, and its value was left.
    [[nodiscard]] result<bool> insert(std::string_view key, std::string_view value);
    [[nodiscard]] result<void> replace(std::string_view key, std::string_view value);
    // Both without a NUL whatever the style: NIS's own keys.
    [[nodiscard]] result<void> put_bare(std::string_view key, std::string_view value);
    // False: there was no such key.
    [[nodiscard]] result<bool> remove(std::string_view key);

    // Flushes and, for a new database, puts it in its place.
    [[nodiscard]] result<void> finish();

private:
    struct impl;
    explicit database_writer(std::unique_ptr<impl> opened);
    std::unique_ptr<impl> impl_;
};

} // namespace mta::table
