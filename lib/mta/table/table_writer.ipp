#include <mta/table/table_writer.hpp>

namespace mta::table {
namespace {

// fail: writes as badly as it reads.
class failing_writer final : public table_writer {
public:
    explicit failing_writer(const std::string& name) : name_(name) {}
    result<bool> insert(std::string_view, std::string_view) override { return trouble("write"); }
    result<void> replace(std::string_view, std::string_view) override { return trouble("write"); }
    result<void> put_bare(std::string_view, std::string_view) override { return trouble("write"); }
    result<bool> remove(std::string_view) override { return trouble("delete"); }
    result<void> finish() override { return {}; }

private:
    [[nodiscard]] failure trouble(const std::string& what) const {
        return fail(errc::temporary, "table fail:" + name_ + ": " + what + " error: Application error");
    }
    std::string name_;
};

} // namespace

result<void> table_writer::load(entry_source& sorted) {
    for (;;) {
        const auto one = sorted.next();
        if (!one)
            return tl::make_unexpected(one.error());
        if (*one == nullptr)
            return {};
        if (auto done = insert((*one)->key, (*one)->value); !done)
            return tl::make_unexpected(done.error());
    }
}

key_rank load_rank([[maybe_unused]] const std::string& type, [[maybe_unused]] const writer_options& options) {
#ifdef MTA_BERKELEY_DB
    if (type == "hash")
        return hash_rank(options);
#endif
    return nullptr;
}

result<writer_ptr> write_fail(const std::string& name, const writer_options&) {
    return std::make_unique<failing_writer>(name);
}

std::string database_file(std::string_view type, const std::string& name) {
    return name + (type == "hash" || type == "btree" ? ".db" : "." + std::string(type));
}

std::string shown_database(const std::string& type, const std::string& name) {
    if (type == "hash" || type == "btree")
        return name + ".db";
    return type == "lmdb" ? type + ":" + name : name;
}

std::string shown_table(const std::string& type, const std::string& name) {
    const bool berkeley = type == "hash" || type == "btree";
    return type + ":" + name + (berkeley ? ".db" : type == "cdb" ? ".cdb" : "");
}

} // namespace mta::table
