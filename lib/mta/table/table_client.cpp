// What tables that ask a server share, in the library and in each module.
#include <mta/table/answer_builder.ipp>
#include <mta/table/client_settings.ipp>
#include <mta/table/client_stream.ipp>
#include <mta/table/memcache_protocol.ipp>
#include <mta/table/network_protocols.ipp>
#include <mta/table/query_template.ipp>
#include <mta/table/redis_protocol.ipp>
#include <mta/table/server_pool.ipp>
#include <mta/table/sql_query.ipp>
