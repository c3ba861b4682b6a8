// Takes every file of maildrop/ into the queue, as the pickup service does, without a daemon: a tool for tests.
//
//     clean_maildrop CONFIG_DIRECTORY      prints "NAME → ID" or "NAME: reason" per file
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <mta/config/configuration.hpp>
#include <mta/intake/intake.hpp>
#include <mta/queue/spool.hpp>

namespace {

class print_sink final : public mta::log_sink {
public:
    void write(mta::severity level, std::string_view tag, unsigned long, std::string_view text) override {
        std::fprintf(stderr, "%.*s: %s%.*s\n", static_cast<int>(tag.size()), tag.data(),
                     std::string(mta::severity_prefix(level)).c_str(), static_cast<int>(text.size()), text.data());
    }
};

int fail(const std::string& text) {
    std::fprintf(stderr, "clean_maildrop: %s\n", text.c_str());
    return 1;
}

int run(const char* directory) {
    auto cfg = mta::configuration::load(directory);
    if (!cfg)
        return fail(cfg.error().text());
    auto where = mta::queue::spool::open(mta::queue::spool_options_from(*cfg));
    if (!where)
        return fail(where.error().text());
    const auto sink = std::make_shared<print_sink>();
    auto context = mta::intake::intake_context::open(*cfg, *where, mta::logger(sink, "postfix/cleanup"));
    if (!context)
        return fail(context.error().text());
    std::vector<std::string> names;
    auto seen = mta::queue::scan(*where, mta::queue::directory::maildrop, [&](const mta::queue::scan_entry& entry) {
        names.emplace_back(entry.name);
        return mta::queue::scan_step::go_on;
    });
    if (!seen)
        return fail(seen.error().text());
    for (const auto& name : names) {
        auto taken = mta::intake::take_maildrop_file(*context, mta::logger(sink, "postfix/pickup"), *where, name);
        if (!taken)
            return fail(taken.error().text());
        if (taken->result == mta::intake::pickup_result::queued)
            std::printf("%s → %s\n", name.c_str(), taken->queue_id.c_str());
        else
            std::printf("%s: %s\n", name.c_str(), taken->reason.c_str());
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    return argc == 2 ? run(argv[1]) : fail("usage: clean_maildrop CONFIG_DIRECTORY");
}
