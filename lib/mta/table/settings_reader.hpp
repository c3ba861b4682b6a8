// Reads many parameters in a row and keeps the first complaint, so that an opener says once what is wrong.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <mta/core/text.hpp>
#include <mta/table/client_settings.hpp>
#include <mta/table/server_pool.hpp>

namespace mta::table {

class settings_reader {
public:
    // settings must outlive the reader.
    explicit settings_reader(const client_settings& settings) : settings_(settings) {}

    std::string text(const std::string& parameter, std::string_view otherwise = {}, std::size_t least = 0) {
        return keep(settings_.text(parameter, otherwise, least));
    }
    long long number(const std::string& parameter, long long otherwise, long long low = 0, long long high = 1 << 30) {
        return keep(settings_.number(parameter, otherwise, low, high));
    }
    bool yes_no(const std::string& parameter, bool otherwise) { return keep(settings_.yes_no(parameter, otherwise)); }

    // Words between blanks and commas.
    std::vector<std::string> words(const std::string& parameter, std::string_view otherwise) {
        return split_copy(text(parameter, otherwise), white_space_and_comma);
    }
    std::vector<std::string> hosts(const std::string& otherwise) {
        auto out = words("hosts", {});
        return out.empty() ? std::vector{otherwise} : out;
    }

    // Parameters idle_interval and retry_interval, in seconds.
    pool_options pool() {
        pool_options out;
        out.idle = std::chrono::seconds(number("idle_interval", 60, 1));
        out.retry = std::chrono::seconds(number("retry_interval", 60, 1));
        return out;
    }

    // Empty when all parameters were good.
    [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }

private:
    static constexpr std::string_view white_space_and_comma = " \t\r\n,";

    template <class T>
    T keep(result<T> value) {
        if (value)
            return std::move(*value);
        if (trouble_.empty())
            trouble_ = value.error().text();
        return T{};
    }
    const client_settings& settings_;
    std::string trouble_;
};

} // namespace mta::table
