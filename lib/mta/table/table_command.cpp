// Compiled apart from table.cpp: only the two commands link it.
#include <mta/table/entry_parser.ipp>
#include <mta/table/entry_sorter.ipp>
#include <mta/table/line_input.ipp>
#include <mta/table/message_keys.ipp>
#include <mta/table/source_reading.ipp>
#include <mta/table/table_build.ipp>
#include <mta/table/table_command.ipp>
#include <mta/table/table_inspect.ipp>
#include <mta/table/table_query.ipp>
