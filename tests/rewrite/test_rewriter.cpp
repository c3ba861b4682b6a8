#include <catch2/catch.hpp>

#include <mta/rewrite/rewriter.hpp>

#include <mta/core/file.hpp>

#include "../support/temporary_directory.hpp"
#include "configured.hpp"

TEST_CASE("every address becomes user@domain", "[rewrite][rewriter]") {
    struct row {
        const char* why;
        const char* in;
        const char* out;
    };
    const mta::rewrite::rewriter under_test(mta::test::configured("append_dot_mydomain = yes\n"));
    const auto [why, in, out] = GENERATE(
        row{"complete", "u@d.test", "u@d.test"}, row{"bare", "u", "u@home.test"},
        row{"incomplete domain", "u@host", "u@host.home.test"}, row{"trailing dot", "u@host.", "u@host"},
        row{"route", "@a.test,@b.test:u@c.test", "u@c.test"}, row{"bang path", "site.test!u", "u@site.test"},
        row{"longer bang path", "a.test!b!u", "b!u@a.test"}, row{"percent", "u%d.test", "u@d.test"},
        row{"percent before a domain stays", "u%d.test@e.test", "u%d.test@e.test"},
        row{"literal", "u@[127.0.0.1]", "u@[127.0.0.1]"}, row{"null", "", ""},
        row{"two trailing dots", "u@d.test..", "u@d.test.."}, row{"only a dot", "u@.", "u@."},
        row{"nobody behind the bang", "d.test!", "@d.test"}, row{"nothing before the bang", "!u", "u@"},
        row{"nobody before the percent", "%d.test", "@d.test"}, row{"nothing behind the percent", "u%", "u@"},
        row{"bang before percent", "a.test!u%b.test", "u%b.test@a.test"});
    CAPTURE(why);
    CHECK(under_test.local(in) == out);
}

TEST_CASE("myorigin may name a file", "[rewrite][rewriter]") {
    const mta::test::temporary_directory dir;
    REQUIRE(mta::replace_file(dir / "mailname", "named.test\n", 0644));
    CHECK(mta::rewrite::rewriter(mta::test::configured("myorigin = " + (dir / "mailname") + "\n")).local("u") ==
          "u@named.test");
    CHECK(mta::rewrite::rewriter(mta::test::configured("myorigin = /nonexistent\n")).local("u") == "u@mx.home.test");
}
