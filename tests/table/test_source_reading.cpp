#include <catch2/catch.hpp>

#include <fcntl.h>

#include <fstream>

#include <mta/core/file.hpp>
#include <mta/table/line_input.hpp>
#include <mta/table/source_reading.hpp>
#include <mta/table/text_source.hpp>

#include "../support/temporary_directory.hpp"

using namespace mta::table;

namespace {

std::string written(const mta::test::temporary_directory& dir, const std::string& text) {
    auto path = dir / "source";
    std::ofstream(path, std::ios::binary) << text;
    return path;
}

std::vector<std::pair<int, std::string>> lines_of(std::string_view text, int first = 1) {
    std::vector<std::pair<int, std::string>> out;
    line_reader lines(text, "t", first);
    while (const auto line = lines.next())
        out.emplace_back(line->line, std::string(line->text));
    return out;
}

std::vector<std::pair<int, std::string>> all_of(const spill_store& store, entry_runs runs, on_duplicate policy) {
    std::vector<std::pair<int, std::string>> out;
    entry_merge merged(store, std::move(runs), policy, nullptr);
    for (auto one = merged.next(); one && *one != nullptr; one = merged.next())
        out.emplace_back((*one)->line, std::string((*one)->key) + "=" + std::string((*one)->value));
    return out;
}

} // namespace

TEST_CASE("a source in parts has the lines of the whole", "[table][source_reading]") {
    const std::string text = GENERATE(
        as<std::string>(), "", "\n", "a 1", "a 1\nb 2\n", "  lost\na 1\n  2\n\n# x\n\t3\nb 4\n#\n#\n\nc 5", "# only\n# comments\n",
        "a\n \n \n \n \n \n \nb\n", "a 1\n\n\n\n\n\n\nb 2\n\n\n  3\nc 4\n");
    const auto size = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{1000});
    CAPTURE(text, size);
    const mta::test::temporary_directory dir;
    const auto file = mta::open_file(written(dir, text), O_RDONLY);
    REQUIRE(file);
    source_parts parts(file->get(), "t", size);
    std::vector<std::pair<int, std::string>> seen;
    std::string whole;
    for (bool last = false; !last;) {
        const auto part = parts.next();
        REQUIRE(part);
        whole += part->text;
        last = part->last;
        for (auto& line : lines_of(part->text, part->first_line))
            seen.push_back(std::move(line));
    }
    CHECK(whole == text);
    CHECK(seen == lines_of(text));
}

TEST_CASE("many processors find in a big source what one finds", "[table][source_reading]") {
    std::string text;
    for (int i = 0; text.size() < (10U << 20U); ++i) {
        text += "key" + std::to_string(i * 7919LL % 100000) + (i % 1000 == 3 ? "\n" : " value " + std::to_string(i) + "\n");
        if (i % 11 == 0)
            text += "# a comment\n\n   and more of it\n";
        if (i % 501 == 0)
            text += "Key: \xff\n";
        if (i % 777 == 0)
            text += "Key" + std::to_string(i) + ": x\n";
    }
    const mta::test::temporary_directory dir;
    const auto path = written(dir, text);
    const auto policy = GENERATE(on_duplicate::keep_first, on_duplicate::take_last, on_duplicate::keep_all);
    command_style style;
    style.parser = postmap_parser;
    source_rules rules{style, "source", "database", true};
    rules.policy = policy;
    std::vector<std::vector<std::pair<int, std::string>>> entries;
    std::vector<std::vector<std::pair<int, std::string>>> messages;
    for (const unsigned processors : {1U, 3U}) {
        spill_store store(dir.path(), 1000);
        const auto file = mta::open_file(path, O_RDONLY);
        REQUIRE(file);
        auto content = read_source(rules, store, file->get(), text.size(), processors);
        REQUIRE(content);
        entries.push_back(all_of(store, std::move(content->entries), policy));
        messages.push_back(all_of(store, std::move(content->messages), on_duplicate::keep_all));
    }
    CHECK(entries[0].size() >= 90000);
    CHECK(entries[0] == entries[1]);
    // Which duplicates are found before the merge depends on how many are read together; all others are the same.
    for (auto& all : messages) {
        CHECK(std::ranges::is_sorted(all, {}, &std::pair<int, std::string>::first));
        std::erase_if(all, [](const auto& one) { return one.second.find("duplicate") != std::string::npos; });
    }
    CHECK(messages[0].size() > 500);
    CHECK(messages[0] == messages[1]);
}
