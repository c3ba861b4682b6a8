// Bodies of pieces.hpp.
#include <mta/config/pieces.hpp>

#include <dirent.h>

#include <algorithm>
#include <memory>

#include <mta/config/file_snapshot.hpp>

namespace mta::config {

result<std::vector<std::string>> piece_files(const configuration& cfg, const std::string& directory) {
    std::vector<std::string> out;
    if (directory.empty())
        return out;
    const auto path = directory.starts_with('/') ? directory : cfg.directory() + "/" + directory;
    if (auto adopted = adopted_pieces(path))
        return std::move(*adopted);
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder)
        return fail_errno("open " + path);
    while (const auto* entry = ::readdir(folder.get())) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with('.') && name.ends_with(".cf"))
            out.push_back(path + "/" + std::string(name));
    }
    std::sort(out.begin(), out.end());
    return out;
}

} // namespace mta::config
