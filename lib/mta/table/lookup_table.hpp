// The lookup-table interface that every map type implements.
//
// This header includes no database header: what needs one lives in that type's .ipp, compiled once, and reaches
// callers through open_table() (registry.hpp).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::table {

// How a type answers; set once when the table is opened.
// One byte, so that a live table can change it while others look.
struct traits {
    bool patterns : 1 = false;  // answers by pattern (regexp, cidr): whole keys only, no partial address lookups
    bool may_block : 1 = false; // may wait for the network: not for an event loop
    bool folds : 1 = true;      // keys are in lower case

    // Whether keys are to be looked up as they are written.
    [[nodiscard]] bool exact_keys() const noexcept { return patterns || !folds; }
};

class lookup_table {
public:
    virtual ~lookup_table() = default;

    // Looks up key as given: the caller folds case and splits addresses.
    //
    // Returns the value, nullopt when the table answered "no such key", or an error when it could not answer. A
    // caller that turns an error into "not found" loses mail: on error, defer.
    //
    // May block on I/O. Not thread-safe. The value is a copy.
    [[nodiscard]] virtual result<std::optional<std::string>> lookup(std::string_view key) = 0;

    // Until end_batch() lookups may keep what each of them takes and gives back otherwise, such as the lock of a file. A
    // caller ends the batch before it waits for anything. Most types have nothing to keep.
    virtual void begin_batch() {}
    virtual void end_batch() {}

    // Visits every entry in the table's order until visit answers false. errc::unsupported for types that cannot.
    [[nodiscard]] virtual result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) {
        (void)visit;
        return fail(errc::unsupported, "table " + name_ + ": sequence operation is not supported");
    }

    // Where the last answer of lookup() stands in the source ("FILE:LINE"), for types that know; else empty.
    [[nodiscard]] virtual std::string last_place() const { return {}; }

    // Whether the file behind the table has changed since it was opened. Costs a stat(2): ask at most once a second.
    [[nodiscard]] virtual bool changed() const { return false; }

    // "type:name" as it was opened.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] virtual table::traits traits() const noexcept { return traits_; }

protected:
    lookup_table(std::string name, table::traits traits) : name_(std::move(name)), traits_(traits) {}

private:
    std::string name_;
    table::traits traits_;
};

using table_ptr = std::unique_ptr<lookup_table>;

} // namespace mta::table
