#include <catch2/catch.hpp>

#include <mta/address/parts.hpp>

using namespace mta::address;

TEST_CASE("the last @ parts local part and domain", "[address][parts]") {
    struct row {
        const char* address;
        const char* local;
        const char* domain;
        bool has_domain;
    };
    const auto r = GENERATE(row{"user@example.com", "user", "example.com", true}, row{"user", "user", "", false},
                            row{"user@", "user", "", true}, row{"@example.com", "", "example.com", true},
                            row{"a@b@c", "a@b", "c", true}, row{"", "", "", false});
    CAPTURE(r.address);
    const auto parts = split_address(r.address);
    CHECK(parts.local == r.local);
    CHECK(parts.domain == r.domain);
    CHECK(parts.has_domain == r.has_domain);
}

TEST_CASE("the extension begins at the first delimiter, but for special names", "[address][parts]") {
    struct row {
        const char* local;
        const char* delimiters;
        const char* user;
        const char* extension; // nullptr: none
    };
    const auto r = GENERATE(
        row{"user+ext", "+", "user", "ext"}, row{"user+a+b", "+", "user", "a+b"}, row{"user+", "+", "user", ""},
        row{"+user", "+", "+user", nullptr}, row{"user", "+", "user", nullptr}, row{"user+ext", "", "user+ext", nullptr},
        row{"user-ext", "+-", "user", "ext"}, row{"owner-list", "-", "owner-list", nullptr},
        row{"list-request", "-", "list-request", nullptr}, row{"mailer-daemon", "-", "mailer-daemon", nullptr},
        row{"Double-Bounce", "-", "Double-Bounce", nullptr}, row{"owner-list+x", "+", "owner-list", "x"});
    CAPTURE(r.local, r.delimiters);
    const auto parts = split_extension(r.local, r.delimiters);
    CHECK(parts.user == r.user);
    CHECK(parts.extension.has_value() == (r.extension != nullptr));
    if (parts.extension && r.extension != nullptr)
        CHECK(*parts.extension == r.extension);
}

TEST_CASE("owner- and -request are split when they are not special", "[address][parts]") {
    CHECK(split_extension("owner-list", "-", false).user == "owner");
}

TEST_CASE("an address is quoted only where it must be, and comes back as it was", "[address][parts]") {
    struct row {
        const char* internal;
        const char* external;
    };
    const auto r = GENERATE(row{"", ""}, row{"user@example.com", "user@example.com"}, row{"a.b@c", "a.b@c"},
                            row{"john doe@c", "\"john doe\"@c"}, row{".a@c", "\".a\"@c"}, row{"a.@c", "\"a.\"@c"},
                            row{"a..b@c", "\"a..b\"@c"}, row{"a@b@c", "\"a@b\"@c"}, row{"a\"b@c", "\"a\\\"b\"@c"},
                            row{"a\\b@c", "\"a\\\\b\"@c"}, row{"@c", "\"\"@c"}, row{"\xc3\xa9@c", "\xc3\xa9@c"},
                            row{"a(b)@c", "\"a(b)\"@c"}, row{"joe", "joe"}, row{"x y", "\"x y\""});
    CAPTURE(r.internal);
    CHECK(quote(r.internal) == r.external);
    CHECK(unquote(r.external) == r.internal);
    std::string storage;
    CHECK(quoted_view(r.internal, storage) == r.external);
}

TEST_CASE("broken quoting is taken as it stands", "[address][parts]") {
    CHECK(unquote("\"a@b") == "a@b");
    CHECK(unquote("a\\") == "a\\");
    CHECK(unquote("\"") == "");
}
