#include <catch2/catch.hpp>

#include <string>

#include <mta/core/base64.hpp>
#include <mta/core/text.hpp>
#include <mta/message/encoded_word.hpp>

using namespace mta::message;

namespace {

// What a reader shows, and what the rules say of each word.
std::string decoded(std::string_view field, const std::string& charset) {
    std::string out;
    for (auto word : mta::split(field, "\n ")) {
        CHECK(word.size() <= 75);
        const std::string head = "=?" + charset + "?";
        REQUIRE(word.starts_with(head));
        REQUIRE(word.ends_with("?="));
        const char encoding = word[head.size()];
        word = word.substr(head.size() + 2, word.size() - head.size() - 4);
        std::string part;
        if (encoding == 'B') {
            part = mta::from_base64(word).value();
        } else {
            CHECK(encoding == 'Q');
            for (std::size_t i = 0; i < word.size(); ++i) {
                if (word[i] == '=')
                    part += static_cast<char>(std::stoi(std::string(word.substr(i + 1, 2)), nullptr, 16)), i += 2;
                else
                    part += word[i] == '_' ? ' ' : word[i];
            }
        }
        if (charset == "utf-8")
            CHECK(mta::is_utf8(part));
        out += part;
    }
    return out;
}

} // namespace

TEST_CASE("names become encoded words in the shorter encoding", "[message][encoded_word]") {
    CHECK(encoded_words("J\xC3\xB6rg M", "utf-8") == "=?utf-8?Q?J=C3=B6rg_M?=");
    CHECK(encoded_words("\xE5\xB1\xB1\xE7\x94\xB0", "utf-8") == "=?utf-8?B?5bGx55Sw?=");
    CHECK(encoded_words("Zo\xEB Miller-Smith (\"x\")", "iso-8859-1") ==
          "=?iso-8859-1?Q?Zo=EB_Miller-Smith_=28=22x=22=29?=");
    CHECK(encoded_words("", "utf-8").empty());
}

TEST_CASE("long names are parted between characters, and read back as they were", "[message][encoded_word]") {
    std::string mixed;
    for (int i = 0; i < 60; ++i)
        mixed += i % 3 == 0 ? "\xE5\xB1\xB1" : i % 3 == 1 ? "x" : "\xF0\x9F\x98\x80";
    for (const std::string& text : {mixed, std::string(300, 'a') + "\xC3\xA9", std::string(200, ' ')})
        CHECK(decoded(encoded_words(text, "utf-8"), "utf-8") == text);
    // Bytes that are no UTF-8 come through as well.
    const std::string odd("\x80\xFF\xC3(\0x", 6);
    CHECK(decoded(encoded_words(odd, "unknown-8bit"), "unknown-8bit") == odd);
}
