#include "explain.hpp"

#include <algorithm>
#include <vector>

#include <mta/config/expand.hpp>
#include <mta/core/json.hpp>
#include <mta/core/text.hpp>

#include "print.hpp"

namespace mta::postconf {
namespace {

std::string_view kind_text(config::kind type) {
    switch (type) {
    case config::kind::text:
        return "text";
    case config::kind::raw:
        return "text, expanded only when it is used";
    case config::kind::yes_no:
        return "yes or no";
    case config::kind::integer:
        return "number";
    case config::kind::time:
        return "time: a number and s, m, h, d or w";
    case config::kind::list:
        return "list: words between blanks or commas";
    }
    return "";
}

const config::parameter* row_of(std::string_view name, const name_survey& seen) {
    if (const auto row = config::find_parameter(name))
        return &config::parameters()[*row];
    const config::parameter* best = nullptr;
    if (seen.is_service(name))
        for (const auto& family : config::parameter_families())
            if (name.ends_with(family.name) && (best == nullptr || family.name.size() > best->name.size()))
                best = &family;
    return best;
}

std::string kind_and_range(const config::parameter& row) {
    std::string out(kind_text(row.type));
    const bool counted = row.type == config::kind::integer || row.type == config::kind::time;
    if (row.type == config::kind::time)
        out += ", without one " + std::string(1, row.unit);
    if (counted && row.low != 0)
        out += ", at least " + std::to_string(row.low);
    if (counted && row.high < (1LL << 40))
        out += ", at most " + std::to_string(row.high);
    if (row.type == config::kind::text && row.low > 0)
        out += ", not empty";
    return out;
}

// Edit distance, where two letters that change places count one; more than limit is as good as limit + 1.
std::size_t distance(std::string_view a, std::string_view b, std::size_t limit) {
    if (a.size() > b.size() + limit || b.size() > a.size() + limit)
        return limit + 1;
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

// The parameters that a value leads through, each with its own value, in the order in which they are met.
void follow(const configuration& cfg, std::string_view value, std::vector<std::string>& met) {
    for (const auto& name : config::referenced_names(value).names) {
        if (std::find(met.begin(), met.end(), name) != met.end())
            continue;
        met.push_back(name);
        follow(cfg, std::string(cfg.unexpanded(name).value_or("")), met);
    }
}

class explainer {
public:
    explainer(const options& opt, const configuration& cfg, const name_survey& seen,
              const std::vector<config::service_entry>& services)
        : opt_(opt), cfg_(cfg), seen_(seen), services_(services) {}

    void explain(const std::string& name) {
        json_ = "{";
        title(name);
        const auto* row = row_of(name, seen_);
        if (row != nullptr) {
            if (!row->help.empty())
                item("help", row->help);
            item("kind", kind_and_range(*row));
            if (!row->users.empty())
                item("used by", row->users);
            item("here", row->acts.empty() ? "nothing of mtad acts on it yet" : "acted on by " + std::string(row->acts));
            item("default", row->computed ? "found out from this host" : row->initial);
        } else {
            item("kind", "your own: values refer to it by its name");
        }
        const auto value = std::string(cfg_.unexpanded(name).value_or(""));
        item("set in", origin_of(cfg_, name));
        item("value", value);
        const auto text = cfg_.expand(value);
        if (!text)
            item("error", text.error().detail);
        else if (*text != value)
            item("expands to", *text);
        std::vector<std::string> met;
        follow(cfg_, value, met);
        for (const auto& other : met)
            item("through", other + " = " + std::string(cfg_.unexpanded(other).value_or("")) + "  (" +
                                origin_of(cfg_, other) + ")");
        for (const auto& entry : services_)
            for (const auto& [own, given] : entry.settings)
                if (own == name)
                    item("overridden for", entry.name() + "/" + entry.type() + " = " + given + "  (" + entry.file + ":" +
                                               std::to_string(entry.line) + ")");
        finish();
    }

private:
    void title(const std::string& name) {
        if (opt_.json) {
            append_json_name(json_, "name");
            append_json_string(json_, printable(name));
        } else {
            print_line(stdout, name);
        }
    }
    // "through" and "overridden for" may come several times: in JSON their names then repeat no key but count.
    void item(const std::string& label, std::string_view text) {
        if (!opt_.json) {
            print_line(stdout, "    " + label + ":" + std::string(15 - std::min<std::size_t>(label.size(), 14), ' ') +
                                   printable(text));
            return;
        }
        if (label == "through" || label == "overridden for") {
            (label == "through" ? through_ : overridden_).emplace_back(text);
            return;
        }
        auto key = label;
        std::replace(key.begin(), key.end(), ' ', '_');
        append_json_name(json_, key);
        append_json_string(json_, printable(text));
    }
    void put_list(std::string_view key, std::vector<std::string>& lines) {
        append_json_name(json_, key);
        json_ += '[';
        for (std::size_t i = 0; i < lines.size(); ++i) {
            json_ += i > 0 ? ", " : "";
            append_json_string(json_, printable(lines[i]));
        }
        json_ += ']';
        lines.clear();
    }
    void finish() {
        if (!opt_.json)
            return;
        put_list("through", through_);
        put_list("overridden_for", overridden_);
        print_line(stdout, json_ + '}');
    }

    const options& opt_;
    const configuration& cfg_;
    const name_survey& seen_;
    const std::vector<config::service_entry>& services_;
    std::string json_;
    std::vector<std::string> through_;
    std::vector<std::string> overridden_;
};

} // namespace

std::string origin_of(const configuration& cfg, std::string_view name) {
    for (const auto& entry : cfg.settings())
        if (entry.name == name)
            return entry.line == 0 ? "command line" : std::string(entry.file) + ":" + std::to_string(entry.line);
    return cfg.unexpanded(name) ? "default" : "nowhere";
}

std::string nearest_name(std::string_view name, const name_survey& seen) {
    std::string best;
    auto limit = std::min<std::size_t>(name.size() / 4, 3) + 1;
    const auto consider = [&](std::string_view other) {
        const auto far = distance(name, other, limit);
        if (far < limit) {
            limit = far;
            best = other;
        }
    };
    if (name.size() < 4)
        return best;
    for (const auto& row : config::parameters())
        consider(row.name);
    for (const auto& other : seen.service_names())
        consider(other);
    for (const auto& other : seen.user_names())
        consider(other);
    return best;
}

int explain(const options& opt, config::command_log& log) {
    if (opt.words.empty())
        log.fatal("--explain needs the name of a parameter");
    const auto cfg = configuration::load(opt.directory, opt.settings);
    if (!cfg)
        log.fatal(cfg.error());
    const auto services = load_services(*cfg, missing_file::warning, log);
    const name_survey seen(*cfg, services);
    explainer out(opt, *cfg, seen, services);
    int status = 0;
    for (const auto& name : opt.words) {
        if (seen.is_known(name) || cfg->is_set(name)) {
            out.explain(name);
            continue;
        }
        const auto near = nearest_name(name, seen);
        log.warning(name + ": unknown parameter" + (near.empty() ? "" : "; did you mean " + near + "?"));
        status = 1;
    }
    return status;
}

} // namespace mta::postconf
