// Bodies of hosts_file.hpp.
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include <mta/core/text.hpp>
#include <mta/net/dns_message.hpp>
#include <mta/net/hosts_file.hpp>

namespace mta::net {

const std::vector<ip_address>* hosts_file::addresses_of(const std::string& name) {
    refresh();
    const auto known = by_name_.find(lower(name));
    return known == by_name_.end() ? nullptr : &known->second;
}

const std::vector<std::string>* hosts_file::names_of(const ip_address& address) {
    refresh();
    const auto known = by_address_.find(address);
    return known == by_address_.end() ? nullptr : &known->second;
}

void hosts_file::refresh() {
    const auto now = std::chrono::steady_clock::now();
    if (path_.empty() || (size_ >= 0 && now - looked_ < std::chrono::seconds(1)))
        return;
    looked_ = now;
    struct stat there {};
    if (::stat(path_.c_str(), &there) != 0 || there.st_size > (off_t{16} << 20))
        return;
    if (there.st_size == size_ && there.st_mtim.tv_sec == changed_.tv_sec && there.st_mtim.tv_nsec == changed_.tv_nsec)
        return;
    std::ifstream file(path_);
    if (!file)
        return;
    size_ = there.st_size;
    changed_ = there.st_mtim;
    by_name_.clear();
    by_address_.clear();
    std::string line;
    while (std::getline(file, line))
        take(line);
}

void hosts_file::take(std::string_view line) {
    const auto words = split(line.substr(0, line.find('#')), " \t\r");
    if (words.size() < 2)
        return;
    const auto address = ip_address::parse(words[0]);
    if (!address)
        return;
    for (std::size_t i = 1; i < words.size(); ++i) {
        auto& known = by_name_[lower(words[i])];
        if (std::find(known.begin(), known.end(), *address) == known.end() && known.size() < dns_record_limit)
            known.push_back(*address);
        auto& names = by_address_[*address];
        if (names.size() < dns_record_limit)
            names.emplace_back(words[i]);
    }
}

} // namespace mta::net
