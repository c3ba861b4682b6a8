// A module for a test: its table throws what the key names, from as deep as a C++ library would.
#include <new>
#include <stdexcept>

#include <mta/table/client_module.hpp>

namespace mta::table {
namespace {

class throwing_table final : public lookup_table {
public:
    explicit throwing_table(std::string name) : lookup_table(std::move(name), {}) {}
    result<std::optional<std::string>> lookup(std::string_view key) override {
        if (key == "runtime_error")
            throw std::runtime_error("thrown inside");
        if (key == "bad_alloc")
            throw std::bad_alloc();
        if (key == "number")
            throw 42;
        if (key == "out_of_range")
            return std::string(1, std::string("x").at(key.size()));
        return std::nullopt;
    }
};

result<table_ptr> open_throwing(const client_settings& settings, const client_log&) {
    if (settings.has("refuse"))
        throw std::runtime_error("thrown by open");
    return std::make_unique<throwing_table>("throwing:" + settings.name());
}

} // namespace
} // namespace mta::table

extern "C" const mtad_table_module* mtad_table_entry() {
    static const auto module = mta::table::make_module<mta::table::open_throwing>("throwing", 0);
    return &module;
}
