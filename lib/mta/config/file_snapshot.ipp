// Bodies of file_snapshot.hpp.
#include <mta/config/file_snapshot.hpp>

#include <sys/stat.h>

#include <map>

#include <mta/core/attr.hpp>
#include <mta/core/file.hpp>

namespace mta::config {
namespace detail {

struct file_texts {
    using map = std::map<std::string, std::string>;
    std::optional<map> recorded;
    std::optional<map> adopted;

    static file_texts& instance() {
        static file_texts one;
        return one;
    }
};

} // namespace detail

file_recording::file_recording() { detail::file_texts::instance().recorded.emplace(); }
file_recording::~file_recording() { detail::file_texts::instance().recorded.reset(); }

std::string file_recording::text() const {
    attr_writer out;
    for (const auto& [path, text] : *detail::file_texts::instance().recorded)
        out.put(path, text);
    return out.finish();
}

result<void> adopt_files(std::string_view recording) {
    auto list = attr_list::parse(recording);
    if (!list)
        return tl::make_unexpected(list.error());
    auto& adopted = detail::file_texts::instance().adopted.emplace();
    for (const auto& [path, text] : list->pairs())
        adopted.emplace(path, text);
    return {};
}

result<std::string> read_configuration_file(const std::string& path) {
    auto& texts = detail::file_texts::instance();
    if (texts.adopted) {
        const auto it = texts.adopted->find(path);
        if (it == texts.adopted->end())
            return fail(std::make_error_code(std::errc::no_such_file_or_directory),
                        "open " + path + ": it was not there when the mail system read its files");
        return it->second;
    }
    if (!texts.recorded)
        return read_file(path);
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode)) // a daemon would wait for its writer
        return fail(errc::unsupported, "open " + path + ": it is a pipe; a file is wanted");
    auto text = read_file(path);
    if (text)
        (*texts.recorded)[path] = *text;
    return text;
}

std::optional<std::vector<std::string>> adopted_pieces(const std::string& directory) {
    const auto& adopted = detail::file_texts::instance().adopted;
    if (!adopted)
        return std::nullopt;
    std::vector<std::string> out;
    const auto prefix = directory + "/";
    for (const auto& [path, text] : *adopted)
        if (path.starts_with(prefix) && path.find('/', prefix.size()) == std::string::npos && path.ends_with(".cf"))
            out.push_back(path);
    return out;
}

} // namespace mta::config
