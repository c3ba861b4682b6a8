// Compiled apart from table.cpp: only the two commands link it.
#include <mta/table/table_command.ipp>
