#include <catch2/catch.hpp>

#include <cstdlib>
#include <ctime>

#include <mta/message/trace.hpp>

using namespace mta::message;

namespace {
constexpr std::time_t when = 1795239461;
void use_utc() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
}
} // namespace

TEST_CASE("Received from the network names the one recipient, or nobody", "[message][trace]") {
    use_utc();
    smtp_trace about{.helo = "cl.test",
                     .client_name = "unknown",
                     .client_address = "127.0.0.1",
                     .myhostname = "mx.test",
                     .protocol = "ESMTP",
                     .queue_id = "ABC",
                     .recipient = "bob@far.test",
                     .authenticated_user = {},
                     .tls = {},
                     .when = when};
    CHECK(received_by_smtp(about) == "Received: from cl.test (unknown [127.0.0.1])\n\tby mx.test (Postfix) with ESMTP id ABC"
                                     "\n\tfor <bob@far.test>; Sat, 21 Nov 2026 05:37:41 +0000 (UTC)");
    about.recipient = {};
    about.client_address = "::1";
    CHECK(received_by_smtp(about) == "Received: from cl.test (unknown [IPv6:::1])\n\tby mx.test (Postfix) with ESMTP id ABC;"
                                     "\n\tSat, 21 Nov 2026 05:37:41 +0000 (UTC)");
}

TEST_CASE("Received of local mail names the user", "[message][trace]") {
    use_utc();
    CHECK(received_by_pickup("mx.test", "Postfix", 1000, "ABC", when) ==
          "Received: by mx.test (Postfix, from userid 1000)\n\tid ABC; Sat, 21 Nov 2026 05:37:41 +0000 (UTC)");
    CHECK(received_internal("mx.test", "Postfix", "ABC", when) ==
          "Received: by mx.test (Postfix)\n\tid ABC; Sat, 21 Nov 2026 05:37:41 +0000 (UTC)");
}

TEST_CASE("a client cannot end the comment it stands in", "[message][trace]") {
    CHECK(trace_text("a(b)c\n\xe9;\"") == "a?b?c????");
}

TEST_CASE("a message ID is made of time, queue ID and host", "[message][trace]") {
    CHECK(make_message_id(when, "ABC", "mx.test") == "<20261121053741.ABC@mx.test>");
}
