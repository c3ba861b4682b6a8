// The one file that compiles this area's .ipp bodies.
#include <mta/net/asio.ipp>
#include <mta/net/socket_address.ipp>
#include <mta/net/stream.ipp>
#include <mta/net/connect.ipp>
#include <mta/net/pool.ipp>
#include <mta/net/channel.ipp>
#include <mta/net/dns_message.ipp>
#include <mta/net/hosts_file.ipp>
#include <mta/net/dns_channel.ipp>
#include <mta/net/dns.ipp>
