// postalias: builds, changes and asks alias databases (postalias(1), aliases(5)).
#include <cstdio>
#include <exception>

#include <mta/config/command_log.hpp>
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
  postalias --explain KEY FILE ...  which key of an address finds what, in which table, file and line
  postalias --check FILE ...        look for mistakes in sources; status 1 if there are any
  postalias --stats FILE ...        count entries and bytes
  postalias --convert OLD NEW       write the entries of one table into another
    --json  answers of -q, -s, --explain and --stats as JSON, an object a line
)";

} // namespace

int main(int argc, char** argv) {
    mta::config::command_log log{std::string(mta::config::program_name(argv[0]))};
    try {
        mta::table::command_style style;
        style.letters = "Nc:d:finopq:rsuvw";
        style.usage = "usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...";
        style.help = help;
        style.separator = ":\t";
        style.alias_records = true;
        style.parser = mta::table::postalias_parser;
        return mta::table::run_table_command({argv + 1, static_cast<std::size_t>(argc - 1)}, style, log);
    } catch (const std::exception& trouble) {
        log.fatal(trouble.what());
    }
}
