// The one file that compiles this area's .ipp bodies.
#ifdef MTA_BERKELEY_DB
#include <mta/table/berkeley_db.ipp>
#include <mta/table/database_writer.ipp>
#endif
#include <mta/table/address_lookup.ipp>
#include <mta/table/environment.ipp>
#include <mta/table/host_settings.ipp>
#include <mta/table/key_filter.ipp>
#include <mta/table/live_table.ipp>
#include <mta/table/maps.ipp>
#include <mta/table/match_list.ipp>
#include <mta/table/memcache_table.ipp>
#include <mta/table/memory_tables.ipp>
#include <mta/table/module_table.ipp>
#include <mta/table/network_tables.ipp>
#include <mta/table/proxy_table.ipp>
#include <mta/table/redis_table.ipp>
#include <mta/table/regexp.ipp>
#include <mta/table/registry.ipp>
