#include <cstdio>

#include <mta/core/file.hpp>
#include <mta/core/text.hpp>
#include <mta/notify/bounce_template.hpp>

#include "postconf.hpp"
#include "print.hpp"

namespace mta::postconf {

int show_templates(const options& opt, config::command_log& log) {
    if (opt.words.size() > 1)
        log.fatal("options -b and -t require at most one template file");
    const auto cfg = configuration::load(opt.directory, opt.settings);
    if (!cfg)
        log.fatal(cfg.error());
    const auto path = opt.words.empty() ? (*cfg)[param::bounce_template_file] : opt.words.front();
    auto templates = notify::standard_templates();
    if (!path.empty()) {
        const auto text = read_file(path);
        if (!text)
            log.fatal(text.error());
        std::vector<std::string> warnings;
        auto read = notify::parse_templates(*text, path, warnings);
        if (!read)
            log.fatal(read.error().detail);
        print_warnings(warnings, log);
        templates = std::move(*read);
    }
    bool first = true;
    for (const auto& one : templates) {
        std::string body;
        if (opt.has('t')) {
            body = notify::format_template(one);
        } else {
            const auto lines = notify::expand_text(one, *cfg);
            if (!lines) {
                const auto texts = split_copy(lines.error().detail, "\n");
                if (texts.size() > 1)
                    log.warning(texts.front());
                log.fatal((path.empty() ? "" : path + ": ") + texts.back());
            }
            body = join(*lines, "\n") + '\n';
        }
        const auto title = opt.has('t') ? one.name + "_template" : "expanded_" + one.name + "_text";
        print_line(stdout, (first ? "" : "\n") + title + " = <<EOF\n" + body + "EOF");
        first = false;
    }
    return 0;
}

} // namespace mta::postconf
