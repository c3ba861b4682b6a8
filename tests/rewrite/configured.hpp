// A configuration made of main.cf text, with names that need no host.
#pragma once

#include <mta/config/configuration.hpp>

namespace mta::test {

inline config::configuration configured(const std::string& text) {
    return config::configuration::parse("/nonexistent",
                                        "myhostname = mx.home.test\nmydomain = home.test\nmyorigin = home.test\n"
                                        "mydestination = home.test, mx.home.test\ninet_interfaces = 127.0.0.1\n" +
                                            text,
                                        "main.cf")
        .value();
}

} // namespace mta::test
