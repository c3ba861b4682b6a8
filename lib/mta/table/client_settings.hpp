// The parameters of one table whose data lives on a server: from a file of its own ("mysql:/etc/postfix/x.cf"), or from
// main.cf under the table's name ("ldap:people" reads people_server_host …).
//
// Values of a file are taken as they stand; those of main.cf have their $names expanded. Error texts name the file,
// the parameter and the value.
//
// A module gets the same through the host's function, so that both sides read parameters by one class.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <mta/core/result.hpp>

namespace mta::table {

class client_settings {
public:
    using source = std::function<std::optional<std::string>(const std::string& parameter)>;

    // name is what follows "type:"; read gives a parameter as it is set.
    client_settings(std::string name, source read) : name_(std::move(name)), read_(std::move(read)) {}

    // Whether name stands for a file: it begins with a slash or a dot.
    [[nodiscard]] static bool is_file(std::string_view name) noexcept {
        return name.starts_with('/') || name.starts_with('.');
    }

    [[nodiscard]] std::optional<std::string> find(const std::string& parameter) const { return read_(parameter); }
    [[nodiscard]] bool has(const std::string& parameter) const { return read_(parameter).has_value(); }

    // least: how many characters a good value has.
    [[nodiscard]] result<std::string> text(const std::string& parameter, std::string_view otherwise = {},
                                           std::size_t least = 0) const;
    [[nodiscard]] result<long long> number(const std::string& parameter, long long otherwise, long long low = 0,
                                           long long high = std::numeric_limits<int>::max()) const;
    [[nodiscard]] result<bool> yes_no(const std::string& parameter, bool otherwise) const;

    // What errors call the parameter: "/etc/postfix/x.cf: …: hosts = " or "…: people_hosts = ".
    [[nodiscard]] std::string complaint(std::string_view what, const std::string& parameter,
                                        std::string_view value) const;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    std::string name_;
    source read_;
};

} // namespace mta::table
