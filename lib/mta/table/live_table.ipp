#include <chrono>

#include <mta/table/live_table.hpp>

namespace mta::table {
namespace {

class live_table final : public lookup_table {
public:
    live_table(std::string spec, table::traits traits, const open_options& options, result<table_ptr> opened)
        : lookup_table(spec, traits), spec_(std::move(spec)), options_(options), opened_(std::move(opened)) {}

    result<std::optional<std::string>> lookup(std::string_view key) override {
        refresh();
        if (!opened_)
            return tl::make_unexpected(opened_.error());
        return (*opened_)->lookup(key);
    }
    result<void> walk(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        refresh();
        if (!opened_)
            return tl::make_unexpected(opened_.error());
        return (*opened_)->walk(visit);
    }

private:
    void refresh() {
        const auto now = std::chrono::steady_clock::now();
        if (now - checked_ < std::chrono::seconds(1))
            return;
        checked_ = now;
        if (opened_ && !(*opened_)->changed())
            return;
        auto again = open_table(spec_, options_);
        if (again || !opened_)
            opened_ = std::move(again);
    }

    std::string spec_;
    open_options options_;
    result<table_ptr> opened_;
    std::chrono::steady_clock::time_point checked_ = std::chrono::steady_clock::now();
};

} // namespace

result<table_ptr> open_live_table(std::string_view spec, const open_options& options) {
    auto opened = open_table(spec, options);
    table::traits traits;
    if (opened)
        traits = (*opened)->traits();
    else if (opened.error().code.category() != std::generic_category())
        return opened; // nothing that time mends
    return std::make_unique<live_table>(std::string(spec), traits, options, std::move(opened));
}

} // namespace mta::table
