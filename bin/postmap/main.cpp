// postmap: builds, changes and asks lookup tables (postmap(1)).
#include <cstdio>
#include <exception>

#include <mta/config/command_log.hpp>
#include <mta/table/table_command.hpp>

namespace {

constexpr std::string_view help = R"(usage: postmap [options] [TYPE:]FILE ...

  postmap FILE ...         build the database of each source file
    -i   add standard input to it     -r / -w  replace / keep existing entries
    -f   keep the case of keys        -N / -n  with / without trailing NUL
    -o   keep root's rights           -p       mode 0644, whatever the source's
  postmap -q KEY FILE ...  look KEY up ("-": keys from standard input)
  postmap -d KEY FILE ...  delete KEY ("-": keys from standard input)
  postmap -s FILE          list all entries
    -u   no UTF-8 check
    -F   values are names of files; what they hold is stored
    -b, -h, -m  with -q -: the lines of a message, its headers, with MIME
    -U   UTF-8 check with -b and -h too
  -c DIRECTORY             use the main.cf there
  postmap --explain KEY FILE ...  which key of an address finds what, in which table, file and line
  postmap --check FILE ...        look for mistakes in sources; status 1 if there are any
  postmap --stats FILE ...        count entries and bytes
  postmap --convert OLD NEW       write the entries of one table into another
    --json  answers of -q, -s, --explain and --stats as JSON, an object a line
)";

} // namespace

int main(int argc, char** argv) {
    mta::config::command_log log{std::string(mta::config::program_name(argv[0]))};
    try {
        mta::table::command_style style;
        style.letters = "bc:d:fFhimnNopq:rsuUvw";
        style.usage = "usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...";
        style.help = help;
        style.separator = "\t";
        style.parser = mta::table::postmap_parser;
        return mta::table::run_table_command({argv + 1, static_cast<std::size_t>(argc - 1)}, style, log);
    } catch (const std::exception& trouble) {
        log.fatal(trouble.what());
    }
}
