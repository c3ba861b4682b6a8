// postconf --check: everything that main.cf and master.cf name, looked at once.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include <mta/config/expand.hpp>
#include <mta/config/master.hpp>
#include <mta/config/values.hpp>
#include <mta/core/file.hpp>
#include <mta/core/json.hpp>
#include <mta/core/text.hpp>
#include <mta/table/registry.hpp>

#include "explain.hpp"
#include "print.hpp"

namespace mta::postconf {
namespace {

enum class severity { warning = 1, error = 2 };

class checker {
public:
    checker(const options& opt, config::command_log& log) : opt_(opt), log_(log) {}

    int run() {
        const auto cfg = configuration::load(opt_.directory, opt_.settings);
        if (!cfg) {
            find(severity::error, cfg.error().text(), "mend that line; nothing else was looked at");
            return worst_;
        }
        for (const auto& text : cfg->warnings())
            find(severity::warning, text, "remove the earlier entry or the line");
        for (const auto& problem : cfg->problems())
            find(severity::error, problem.text(), "give it a value of its kind");
        check_services(*cfg);
        check_owner(opt_.directory);
        check_owner(opt_.directory + "/main.cf");
        for (const auto& entry : cfg->settings())
            check_value(*cfg, entry);
        return worst_;
    }

private:
    // "PATH, line 7: text" and "file PATH: line 7: text" become "PATH:7: text".
    void find(severity how, std::string text, std::string_view fix) {
        if (text.starts_with("file "))
            text.erase(0, 5);
        for (const std::string_view mark : {", line ", ": line "})
            if (const auto at = text.find(mark); at != std::string::npos) {
                text.replace(at, mark.size(), ":");
                break;
            }
        auto end = text.find(": ");
        auto place = end == std::string::npos ? opt_.directory : text.substr(0, end);
        const auto what = end == std::string::npos ? text : text.substr(end + 2);
        const auto* word = how == severity::error ? "error" : "warning";
        worst_ = std::max(worst_, static_cast<int>(how));
        if (!told_.insert(place + what).second)
            return;
        if (!opt_.json) {
            print_line(stdout, printable(place + ": " + word + ": " + what + "; " + std::string(fix)));
            return;
        }
        std::string line = "{";
        const auto put = [&](std::string_view key, std::string_view value) {
            append_json_name(line, key);
            append_json_string(line, printable(value));
        };
        put("where", place);
        put("severity", word);
        put("finding", what);
        put("fix", fix);
        print_line(stdout, line + '}');
    }

    void check_services(const configuration& cfg) {
        const auto lines = config::load_master(cfg);
        if (!lines) {
            find(severity::error, lines.error().text(), "see master.cf(5) for the columns");
            return;
        }
        const auto entries = load_services(cfg, missing_file::warning, log_);
        if (const auto paths = config::master_files(cfg))
            for (const auto& path : *paths)
                check_owner(path);
        const name_survey seen(cfg, entries);
        for (const auto& text : seen.warnings())
            find(severity::warning, text, "define it, or mend the reference");
        for (const auto& text : seen.unused_in_services())
            find(severity::warning, text, "remove it, or mend its name");
        for (const auto& entry : cfg.settings()) {
            if (seen.is_known(entry.name))
                continue;
            const auto near = nearest_name(entry.name, seen);
            find(severity::warning, place_of(entry) + "unused parameter: " + std::string(entry.name),
                 near.empty() ? std::string("remove it, or refer to it") : "did you mean " + near + "?");
        }
    }

    static std::string place_of(const configuration::setting& entry) {
        return entry.line == 0 ? std::string("command line: ")
                               : std::string(entry.file) + ":" + std::to_string(entry.line) + ": ";
    }

    void check_owner(const std::string& path) {
        struct stat info {};
        if (stat(path.c_str(), &info) != 0)
            return;
        if ((info.st_mode & 022U) != 0)
            find(severity::error, path + ": others than its owner may write it", "chmod go-w " + path);
        if (geteuid() == 0 && info.st_uid != 0)
            find(severity::warning, path + ": belongs to user number " + std::to_string(info.st_uid), "chown root " + path);
    }

    void check_value(const configuration& cfg, const configuration::setting& entry) {
        const auto row = config::find_parameter(entry.name);
        if (!row)
            return;
        const auto value = cfg.expand(entry.value);
        if (!value)
            return; // told already
        check_tables(place_of(entry), *value);
        const std::string_view name = entry.name;
        const bool key = name.ends_with("key_file") || name.ends_with("chain_files");
        if (key || name.ends_with("cert_file") || name.ends_with("CAfile") || name.ends_with("trust_anchor_file"))
            for (const auto& path : config::split_list(*value))
                if (path != "none" && path.starts_with('/'))
                    check_pem(place_of(entry), path, key);
    }

    void check_pem(const std::string& place, const std::string& path, bool key) {
        struct stat info {};
        const auto text = read_file(path);
        if (!text) {
            find(severity::error, place + text.error().text(), "create the file, or mend its name");
            return;
        }
        if (text->find("-----BEGIN ") == std::string::npos)
            find(severity::error, place + path + " holds nothing in PEM form", "convert it with openssl");
        else if (key && text->find("PRIVATE KEY-----") == std::string::npos)
            find(severity::error, place + path + " holds no private key", "name the file of the key");
        if (key && stat(path.c_str(), &info) == 0 && (info.st_mode & 077U) != 0)
            find(severity::warning, place + path + " is a key that others may read", "chmod 600 " + path);
    }

    // Words of the form TYPE:/FILE, also within braces and behind proxy:.
    void check_tables(const std::string& place, std::string_view value) {
        for (const auto& whole : config::split_list(value)) {
            std::string_view word = whole;
            while (word.starts_with("proxy:") || word.starts_with('!'))
                word.remove_prefix(word.starts_with('!') ? 1 : 6);
            if (word.starts_with('{')) {
                check_tables(place, config::braced_text(word));
                continue;
            }
            const auto colon = word.find(":/");
            if (colon == std::string_view::npos)
                continue;
            const auto type = word.substr(0, colon);
            const std::string path(word.substr(colon + 1));
            if (table::find_type(type) != table::known::unknown && type != "unix" && type != "inet")
                check_table(place, std::string(word), type, path);
        }
    }

    void check_table(const std::string& place, const std::string& spec, std::string_view type, const std::string& path) {
        const std::string_view suffix = type == "hash" || type == "btree" ? ".db"
                                        : type == "lmdb"                  ? ".lmdb"
                                        : type == "cdb"                   ? ".cdb"
                                                                          : "";
        struct stat source {};
        const bool has_source = stat(path.c_str(), &source) == 0;
        struct stat made {};
        const bool has_made = suffix.empty() ? has_source : stat((path + std::string(suffix)).c_str(), &made) == 0;
        const auto compile = std::string(path.find("aliases") != std::string::npos ? "newaliases" : "postmap " + spec);
        if (!has_made) {
            find(severity::error, place + spec + ": " + (has_source ? "is not compiled" : "there is no such file"),
                 has_source ? "run " + compile : "create " + path + (suffix.empty() ? "" : " and run " + compile));
            return;
        }
        if (!suffix.empty() && has_source && source.st_mtime > made.st_mtime)
            find(severity::warning, place + spec + ": " + path + " is newer than its database", "run " + compile);
        check_owner(path);
        if (const auto opened = table::open_table(spec); !opened)
            find(severity::error, place + opened.error().text(), "mend the table");
    }

    const options& opt_;
    config::command_log& log_;
    int worst_ = 0;
    std::set<std::string> told_;
};

} // namespace

int check(const options& opt, config::command_log& log) {
    return checker(opt, log).run();
}

} // namespace mta::postconf
