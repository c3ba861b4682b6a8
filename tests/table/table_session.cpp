// Keeps a table open and asks it for the keys that standard input names, one in hexadecimal a line: what a test needs
// to see a server die and come back under a program that goes on, and to ask for keys with any byte.
//
//     table_session CONFIG_DIRECTORY TYPE:NAME
//
// Answers, one line a key: "found HEX", "absent", "temporary TEXT", "permanent TEXT". It is linked as the commands are.
#include <cstdio>
#include <iostream>
#include <string>

#include <mta/config/configuration.hpp>
#include <mta/core/log.hpp>
#include <mta/core/text.hpp>
#include <mta/table/environment.hpp>
#include <mta/table/registry.hpp>

namespace {

constexpr std::string_view digits = "0123456789abcdef";

std::string from_hex(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out += static_cast<char>(digits.find(text[i]) * 16 + digits.find(text[i + 1]));
    return out;
}

std::string to_hex(const std::string& bytes) {
    std::string out;
    for (const char c : bytes) {
        out += digits[static_cast<unsigned char>(c) / 16];
        out += digits[static_cast<unsigned char>(c) % 16];
    }
    return out;
}

std::string describe(const mta::error& why) {
    return std::string(mta::is_temporary(why.code) ? "temporary " : "permanent ") + mta::printable(why.text());
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3)
        return 64;
    const auto cfg = mta::config::configuration::load(argv[1]);
    if (!cfg) {
        std::cout << "permanent " << cfg.error().text() << "\n";
        return 1;
    }
    mta::table::set_environment(*cfg, mta::logger(mta::copy_to(2, "table_session", mta::no_log()), "test"));
    auto table = mta::table::open_table(argv[2]);
    std::cout << (table ? "open" : describe(table.error())) << std::endl;
    if (!table)
        return 1;
    for (std::string line; std::getline(std::cin, line);) {
        const auto found = (*table)->lookup(from_hex(line));
        std::cout << (!found ? describe(found.error()) : !*found ? "absent" : "found " + to_hex(**found)) << std::endl;
    }
    return 0;
}
