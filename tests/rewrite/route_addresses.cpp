// Answers what the rewriting service answers, without a daemon: a tool for tests.
//
//     route_addresses CONFIG_DIRECTORY     reads questions from standard input, a line each, fields apart by
//     tabs:
//         rewrite  local|remote  ADDRESS       → ADDRESS (both in external form, as the service has them)
//         resolve  SENDER        RECIPIENT     → class ["routed"] TAB transport TAB nexthop TAB recipient,
//                                                or "malformed"
// A question without an answer gives "trouble TAB text".
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <mta/address/parts.hpp>
#include <mta/config/configuration.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/rewrite/router.hpp>

namespace {

using namespace mta::rewrite;

constexpr const char* class_names[] = {"local", "virtual_alias", "virtual_mailbox", "relay", "default"};

std::string trouble(const mta::error& what) {
    return "trouble\t" + what.text();
}

std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> out(1);
    for (const char c : line)
        if (c == '\t')
            out.emplace_back();
        else
            out.back() += c;
    out.resize(3);
    return out;
}

class answers {
public:
    explicit answers(const mta::configuration& cfg) : cfg_(cfg), rewriter_(cfg) {}

    std::string to(const std::vector<std::string>& question) {
        if (question[0] == "rewrite") {
            const auto address = mta::address::unquote(question[2]);
            return mta::address::quote(
                question[1] == "local"
                    ? rewriter_.local(address)
                    : rewriter_.with_origin(address, cfg_.text("remote_header_rewrite_domain")));
        }
        if (question[0] == "resolve")
            return resolve(question[1], question[2]);
        return "trouble\tno such question";
    }

private:
    std::string resolve(const std::string& sender, const std::string& recipient) {
        if (!router_) {
            auto opened = router::open(cfg_);
            if (!opened)
                return trouble(opened.error());
            router_.emplace(std::move(*opened));
        }
        const auto route = router_->resolve(sender, recipient);
        if (!route)
            return trouble(route.error());
        if (route->malformed)
            return "malformed";
        return std::string(class_names[static_cast<unsigned>(route->kind)]) +
               (route->routed ? " routed" : "") + "\t" + route->transport + "\t" + route->nexthop + "\t" +
               route->recipient;
    }

    const mta::configuration& cfg_;
    rewriter rewriter_;
    std::optional<router> router_;
};

} // namespace

int main(int argc, char** argv) {
    const auto cfg = mta::configuration::load(argc == 2 ? argv[1] : "/nonexistent");
    if (!cfg) {
        std::fprintf(stderr, "route_addresses: %s\n", cfg.error().text().c_str());
        return 1;
    }
    answers all(*cfg);
    std::string line;
    while (std::getline(std::cin, line))
        std::printf("%s\n", all.to(fields_of(line)).c_str());
    return 0;
}
