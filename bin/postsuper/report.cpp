#include "report.hpp"

#include <utility>

#include <mta/core/json.hpp>
#include <mta/queue/spool.hpp>

namespace mta::postsuper {

void report::tell(char action, const found_file& file, bool named) {
    ++treated_;
    if (options_.count)
        return;
    if (options_.json) {
        std::string line = "{";
        for (const auto& [name, value] :
             {std::pair<const char*, std::string_view>("action", action_word(action)),
              {"queue_name", queue::name(file.where)},
              {"queue_id", file.id}}) {
            append_json_name(line, name);
            append_json_string(line, value);
        }
        append_json_name(line, "done");
        std::fprintf(out_, "%s%s}\n", line.c_str(), options_.dry_run ? "false" : "true");
    } else if (options_.dry_run)
        std::fprintf(out_, "%s: would be %s\n", file.id.c_str(), done_to(action));
    else if (named || !options_.selection.empty())
        log_.info(file.id + ": " + done_to(action));
}

void report::count(const char* what, unsigned long count) {
    log_.info(std::string(what) + ": " + std::to_string(count) + (count == 1 ? " message" : " messages"));
}

void report::summary(const counts& done, std::string_view asked_for, unsigned long renamed) {
    if (options_.dry_run) {
        if (options_.count)
            std::fprintf(out_, options_.json ? "{\"count\": %lu}\n" : "%lu\n", treated_);
        return;
    }
    const auto asked = [&](std::string_view actions) {
        return asked_for.find_first_of(actions) != std::string_view::npos;
    };
    if (asked("r"))
        count("Requeued", done.requeued);
    if (asked("d"))
        count("Deleted", done.deleted);
    if (asked("ef"))
        count("Force-expired", done.expired);
    if (asked("h"))
        count("Placed on hold", done.held);
    if (asked("Hf"))
        count("Released from hold", done.released);
    if (renamed > 0) {
        count("Renamed to match inode number", renamed);
        log_.warning("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
    }
}

} // namespace mta::postsuper
