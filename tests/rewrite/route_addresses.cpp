// Answers what the rewriting service answers, without a daemon: a tool for tests.
//
//     route_addresses CONFIG_DIRECTORY     reads questions from standard input, a line each, fields apart by tabs:
//         rewrite  local|remote  ADDRESS       → ADDRESS (both in external form, as the service has them)
//         resolve  SENDER        RECIPIENT     → class ["routed"] TAB transport TAB nexthop TAB recipient,
//                                                or "malformed"
//         alias    ADDRESS                     → addresses, apart by tabs
//         canonical USE          ADDRESS       → ADDRESS (USE: one of canonical_classes' words)
//         recipient ADDRESS                    → "known" or code TAB text
// A question without an answer gives "trouble TAB text".
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <mta/address/parts.hpp>
#include <mta/config/configuration.hpp>
#include <mta/core/text.hpp>
#include <mta/rewrite/canonical.hpp>
#include <mta/rewrite/recipient_check.hpp>
#include <mta/rewrite/rewriter.hpp>
#include <mta/rewrite/router.hpp>
#include <mta/rewrite/virtual_alias.hpp>

namespace {

using namespace mta::rewrite;

constexpr const char* class_names[] = {"local", "virtual_alias", "virtual_mailbox", "relay", "default"};
constexpr std::string_view use_names[] = {"envelope_sender", "envelope_recipient", "header_sender",
                                          "header_recipient"};

std::string trouble(const mta::error& what) { return "trouble\t" + what.text(); }

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
            return mta::address::quote(question[1] == "local"
                                           ? rewriter_.local(address)
                                           : rewriter_.with_origin(address, cfg_.text("remote_header_rewrite_domain")));
        }
        if (question[0] == "resolve")
            return resolve(question[1], question[2]);
        if (question[0] == "alias")
            return with(aliases_, [&](auto& aliases) -> mta::result<std::string> {
                auto list = aliases.expand(question[1]);
                if (!list)
                    return tl::make_unexpected(list.error());
                return mta::join(*list, "\t");
            });
        if (question[0] == "canonical")
            return with(canonical_, [&](auto& mapping) -> mta::result<std::string> {
                for (unsigned i = 0; i < std::size(use_names); ++i)
                    if (use_names[i] == question[1])
                        return mapping.map(question[2], static_cast<address_use>(i));
                return mta::fail(mta::errc::malformed, "no such use");
            });
        if (question[0] == "recipient")
            return with(recipients_, [&](auto& check) -> mta::result<std::string> {
                auto verdict = check.check(question[1]);
                if (!verdict)
                    return tl::make_unexpected(verdict.error());
                return verdict->known ? "known" : std::to_string(verdict->code) + "\t" + verdict->text;
            });
        return "trouble\tno such question";
    }

private:
    template <class Part, class Ask>
    std::string with(std::optional<Part>& part, Ask ask) {
        if (!part) {
            auto opened = Part::open(cfg_);
            if (!opened)
                return trouble(opened.error());
            part.emplace(std::move(*opened));
        }
        auto answer = ask(*part);
        return answer ? *answer : trouble(answer.error());
    }
    std::string resolve(const std::string& sender, const std::string& recipient) {
        return with(router_, [&](auto& router) -> mta::result<std::string> {
            auto route = router.resolve(sender, recipient);
            if (!route)
                return tl::make_unexpected(route.error());
            if (route->malformed)
                return "malformed";
            const std::string about = std::string(class_names[static_cast<unsigned>(route->kind)]) +
                                      (route->routed ? " routed" : "");
            return about + "\t" + route->transport + "\t" + route->nexthop + "\t" + route->recipient;
        });
    }

    const mta::configuration& cfg_;
    rewriter rewriter_;
    std::optional<router> router_;
    std::optional<virtual_alias> aliases_;
    std::optional<canonical> canonical_;
    std::optional<recipient_check> recipients_;
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
