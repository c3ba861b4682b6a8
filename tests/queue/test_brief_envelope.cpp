#include "temporary_spool.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <mta/queue/brief_envelope.hpp>
#include <mta/queue/queue_file.hpp>

using namespace mta;
using namespace mta::queue;

namespace {

// False: refused. head: how many bytes the first piece has.
bool read_briefly(const std::string& bytes, std::size_t head, brief_envelope& into) {
    const auto at = into.take_head(std::string_view(bytes).substr(0, head), bytes.size());
    return at && *at < bytes.size() && into.take_tail(std::string_view(bytes).substr(*at));
}

// What is not refused must be what the reader of whole envelopes finds.
bool agree(const std::string& bytes, std::size_t head) {
    brief_envelope brief;
    if (!read_briefly(bytes, head, brief))
        return false;
    static const test::temporary_directory folder;
    const auto path = folder.path + "/file";
    std::ofstream(path, std::ios::binary) << bytes;
    auto file = queue_file::adopt(unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
    REQUIRE(file);
    const auto whole = file->read_envelope({.attributes = false});
    if (!whole)
        FAIL("a brief envelope of a file that has none: " << whole.error().text());
    CHECK(brief.arrival == whole->arrival.tv_sec);
    CHECK(brief.content_size == whole->size->content_size);
    CHECK(brief.sender == whole->sender);
    std::vector<std::string_view> addresses;
    for (const auto& to : whole->recipients)
        addresses.push_back(to.address);
    CHECK(brief.recipients == addresses);
    return true;
}

const std::vector<std::string> ordinary = {"bounce", "bounce_headers_only", "delay_warning", "double_bounce", "long_id",
    "null_sender_long_line", "sendmail", "sendmail_dsn_extracted", "sixty_recipients", "smtp_dsn", "success_report", "verp"};

} // namespace

TEST_CASE("files as a mail system writes them are read briefly, and like the whole envelope", "[queue][brief_envelope]") {
    const auto name = GENERATE(from_range(ordinary));
    CAPTURE(name);
    const auto bytes = test::golden(name);
    CHECK(agree(bytes, bytes.size()));
    const auto text = queue_file::adopt(unique_fd(::open((TESTDATA "/queue/" + name).c_str(), O_RDONLY)))->read_envelope();
    REQUIRE(text);
    CHECK(agree(bytes, static_cast<std::size_t>(text->data_offset)));
    brief_envelope brief;
    CHECK_FALSE(brief.take_head(std::string_view(bytes).substr(0, static_cast<std::size_t>(text->data_offset) - 1), bytes.size()));
}

TEST_CASE("a file with places to edit it, of maildrop, or with damage is refused or read alike", "[queue][brief_envelope]") {
    CHECK_FALSE(agree(test::golden("milter_edited"), 1U << 20U));
    CHECK_FALSE(agree(test::golden("maildrop"), 1U << 20U));
    const std::string folder = TESTDATA "/queue/damaged/";
    DIR* handle = ::opendir(folder.c_str());
    REQUIRE(handle != nullptr);
    while (const dirent* entry = ::readdir(handle)) {
        const std::string name = entry->d_name;
        CAPTURE(name);
        if (entry->d_type == DT_REG)
            CHECK((!agree(test::slurp(folder + name), 1U << 20U) || name.starts_with("good_")));
    }
    ::closedir(handle);
}

TEST_CASE("whatever byte is changed, and wherever the file ends, no brief envelope differs", "[queue][brief_envelope]") {
    const auto bytes = test::golden(GENERATE("smtp_dsn", "sendmail_dsn_extracted"));
    std::size_t read = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        CAPTURE(at);
        CHECK_FALSE(agree(bytes.substr(0, at), 1U << 20U));
        for (const char byte : {'\0', ' ', 'A', 'D', 'E', 'M', 'R', 'S', 'X', 'p', '\x7f', '\xff'}) {
            auto other = bytes;
            other[at] = byte;
            read += agree(other, 1U << 20U) ? 1 : 0;
        }
    }
    CHECK(read > bytes.size()); // most of a file is text
}
