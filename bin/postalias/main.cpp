// postalias: builds, changes and asks alias databases (postalias(1), aliases(5)).
#include <cstdio>
#include <exception>

#include <mta/address/parts.hpp>
#include <mta/config/command_log.hpp>
#include <mta/core/text.hpp>
#include <mta/table/table_command.hpp>

namespace {

constexpr std::string_view help = R"(usage: postalias [options] [TYPE:]FILE ...

  postalias FILE ...         build the alias database of each source file
    -i   add standard input to it     -r / -w  replace / keep existing entries
    -f   keep the case of keys        -N / -n  with / without trailing NUL
    -o   keep root's rights           -p       mode 0644, whatever the source's
  postalias -q KEY FILE ...  look KEY up ("-": keys from standard input)
  postalias -d KEY FILE ...  delete KEY ("-": keys from standard input)
  postalias -s FILE          list all entries
    -u   no UTF-8 check
  -c DIRECTORY               use the main.cf there
)";

// The colon that ends the name: not one inside quotes.
std::size_t name_end(std::string_view line) {
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\')
            ++i;
        else if (line[i] == '"')
            quoted = !quoted;
        else if (line[i] == ':' && !quoted)
            return i;
    }
    return std::string_view::npos;
}

// One blank for each run of white space outside quotes: a continued list reads like one that was written in a line.
std::string one_blank(std::string_view text) {
    std::string out;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool blank = mta::white_space.find(text[i]) != std::string_view::npos;
        if (blank && !quoted) {
            if (!out.ends_with(' '))
                out += ' ';
            continue;
        }
        if (text[i] == '\\' && i + 1 < text.size())
            out += text[i++];
        else if (text[i] == '"')
            quoted = !quoted;
        out += text[i];
    }
    return out;
}

class postalias_parser final : public mta::table::entry_parser {
public:
    mta::result<mta::table::source_entry> parse(std::string_view line) override {
        const auto colon = name_end(line);
        if (colon == std::string_view::npos)
            return mta::fail(mta::errc::malformed, "need name:value pair");
        const auto name = mta::trim(line.substr(0, colon));
        const auto value = mta::trim(line.substr(colon + 1));
        if (name.empty() || value.empty())
            return mta::fail(mta::errc::malformed, "need name:value pair");
        key_ = mta::address::unquote(name);
        if (key_.find_first_of("@%") != std::string::npos)
            return mta::fail(mta::errc::malformed, "name must be local");
        value_ = one_blank(value);
        return mta::table::source_entry{key_, value_, {}};
    }

private:
    std::string key_;
    std::string value_;
};

} // namespace

int main(int argc, char** argv) {
    mta::config::command_log log{std::string(mta::config::program_name(argv[0]))};
    try {
        mta::table::command_style style;
        style.letters = "c:d:fimnNopq:rsuvw";
        style.usage = "usage: postalias [-fimnNoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...";
        style.help = help;
        style.separator = ":\t";
        style.alias_records = true;
        postalias_parser parser;
        style.parser = &parser;
        return mta::table::run_table_command({argv + 1, static_cast<std::size_t>(argc - 1)}, style, log);
    } catch (const std::exception& trouble) {
        log.fatal(trouble.what());
    }
}
