// The one error channel of the library: a value, or an error that says what went wrong and where.
//
// An error has a code for programs and a detail for the log. The detail may hold file names,
// line numbers and text from other hosts; it never goes to an SMTP client.
//
// Only this header names tl::expected, so that a later move to std::expected is one file.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <tl/expected.hpp>

namespace mta {

struct error {
    std::error_code code;
    std::string detail;

    // "detail: reason" for system errors, the detail alone otherwise.
    [[nodiscard]] std::string text() const {
        if (detail.empty())
            return code.message();
        if (code.category() == std::generic_category() || code.category() == std::system_category())
            return detail + ": " + code.message();
        return detail;
    }
};

template <class T>
using result = tl::expected<T, error>;

using failure = tl::unexpected<error>;

[[nodiscard]] inline failure fail(std::error_code code, std::string detail = {}) {
    return failure(error{code, std::move(detail)});
}

// The current errno as an error; detail says what was attempted, for example "open /etc/postfix/main.cf".
[[nodiscard]] inline failure fail_errno(std::string detail, int number = errno) {
    return failure(error{std::error_code(number, std::generic_category()), std::move(detail)});
}

// Reasons that are no system error and belong to no area.
enum class errc {
    malformed = 1, // the input breaks its own format
    truncated,     // the input ends too early
    too_large,     // over a limit
    temporary,     // no answer now; ask again later
    timeout,       // a deadline passed
    closed,        // the peer went away
    unsupported,   // no such type, operation or option in this build
    not_permitted, // a policy forbids it
};

namespace detail {
class errc_category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "mta"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
        case errc::malformed:
            return "malformed input";
        case errc::truncated:
            return "unexpected end of input";
        case errc::too_large:
            return "too large";
        case errc::temporary:
            return "temporary failure";
        case errc::timeout:
            return "timed out";
        case errc::closed:
            return "connection closed";
        case errc::unsupported:
            return "not supported";
        case errc::not_permitted:
            return "not permitted";
        }
        return "unknown error";
    }
};
inline const errc_category errc_category_instance{};
} // namespace detail

[[nodiscard]] inline std::error_code make_error_code(errc value) noexcept {
    return {static_cast<int>(value), detail::errc_category_instance};
}

// Whether asking again later can help. SMTP 4xx or 5xx and exit statuses derive from this one answer.
// Unknown system errors count as temporary: a mail system that is unsure keeps the mail.
[[nodiscard]] inline bool is_temporary(const std::error_code& code) noexcept {
    if (code.category() != detail::errc_category_instance)
        return true;
    switch (static_cast<errc>(code.value())) {
    case errc::temporary:
    case errc::timeout:
    case errc::closed:
        return true;
    default:
        return false;
    }
}

} // namespace mta

template <>
struct std::is_error_code_enum<mta::errc> : std::true_type {};
