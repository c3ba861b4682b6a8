// Writes databases (hash, btree, lmdb, cdb): a whole new one, or changes to one that is there.
//
// A new Berkeley DB or cdb file is built beside the old one and renamed over it (replacement_file.hpp); a new LMDB content is
// one transaction in the file itself, or put in its place where there was none, or where it is large. Either way no reader
// ever sees half of it, and a writer that is killed leaves the old content. Changes hold the exclusive lock that readers
// respect. Two writers wait for each other. What a build needs of memory does not grow with the number of its entries.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>
#include <mta/table/terminator.hpp>

namespace mta::table {

// A NUL must follow key and value in memory.
struct database_entry {
    std::string_view key;
    std::string_view value;
    int line = 0; // of the source
};

// The entries of a new database, one after another: every key once, in the order of their ranks (load_rank) and of their
// bytes.
class entry_source {
public:
    struct totals {
        std::size_t entries = 0;
        std::size_t bytes = 0; // of keys and values
    };
    entry_source() = default;
    entry_source(const entry_source&) = delete;
    entry_source& operator=(const entry_source&) = delete;
    virtual ~entry_source() = default;

    // Nothing more than this comes.
    [[nodiscard]] virtual totals at_most() const noexcept = 0;
    // The next one stays until the next call; none is the end.
    [[nodiscard]] virtual result<const database_entry*> next() = 0;
    // From the first one on again.
    [[nodiscard]] virtual result<void> rewind() = 0;
};

class table_writer {
public:
    table_writer() = default;
    table_writer(const table_writer&) = delete;
    table_writer& operator=(const table_writer&) = delete;
    virtual ~table_writer() = default; // what was not finished is gone (create) or as far as it came (update)

    // All entries of a new database at once: the quick way.
    [[nodiscard]] virtual result<void> load(entry_source& sorted);
    // False: the key is there, and its value was left.
    [[nodiscard]] virtual result<bool> insert(std::string_view key, std::string_view value) = 0;
    [[nodiscard]] virtual result<void> replace(std::string_view key, std::string_view value) = 0;
    // Both without a NUL whatever the style: NIS's own keys.
    [[nodiscard]] virtual result<void> put_bare(std::string_view key, std::string_view value) = 0;
    // False: there was no such key.
    [[nodiscard]] virtual result<bool> remove(std::string_view key) = 0;

    // Flushes and, for a new database, puts it in its place.
    [[nodiscard]] virtual result<void> finish() = 0;
};

using writer_ptr = std::unique_ptr<table_writer>;

enum class write_mode {
    create, // a new content, whatever was there
    update, // changes; an empty database where there is none
    change, // changes of one that must be there
};

struct writer_options {
    write_mode how = write_mode::create;
    mode_t mode = 0644; // of a new file; one that is replaced keeps its mode and owner
    terminator style = terminator::unknown; // unknown: what is usual for the type
    bool utf8 = false;                      // keys are UTF-8
    std::size_t buffer = 16U << 20U;        // berkeley_db_create_buffer_size
    std::size_t map_size = 16U << 20U;      // lmdb_map_size
};

// errc::unsupported, with the reference's words, when the type cannot be written this way.
[[nodiscard]] result<writer_ptr> open_writer(const std::string& type, const std::string& name,
                                             const writer_options& options);

// The rank of a key for load(); none when the order of the keys' bytes is what a type likes best.
using key_rank = std::uint32_t (*)(std::string_view key);
[[nodiscard]] key_rank load_rank(const std::string& type, const writer_options& options);

// Whether a database of this type can be built at all; the error is open_writer's.
[[nodiscard]] result<void> can_write(const std::string& type);

using writer_opener = result<writer_ptr>(const std::string& name, const writer_options& options);
writer_opener write_hash, write_btree, write_lmdb, write_cdb, write_fail;
// Changes only (write_mode::change). name is "type:name".
writer_opener write_proxy;
[[nodiscard]] key_rank hash_rank(const writer_options& options);

// Where a database of a type that is built here stands: "NAME.db", "NAME.lmdb", "NAME.cdb".
[[nodiscard]] std::string database_file(std::string_view type, const std::string& name);
// The file of a database, as messages about its entries name it: "NAME.db", "lmdb:NAME", "NAME". Not where it stands.
[[nodiscard]] std::string shown_database(const std::string& type, const std::string& name);
// The name of the table, as messages about lookups have it: "hash:NAME.db", "lmdb:NAME", "cdb:NAME.cdb".
[[nodiscard]] std::string shown_table(const std::string& type, const std::string& name);

} // namespace mta::table
