// The one file that compiles this area's .ipp bodies.
#include <mta/delivery/agents.ipp>
#include <mta/delivery/aliases.ipp>
#include <mta/delivery/error_results.ipp>
#include <mta/delivery/forward_client.ipp>
#include <mta/delivery/helper_protocol.ipp>
#include <mta/delivery/local_agent.ipp>
#include <mta/delivery/mailbox.ipp>
#include <mta/delivery/maildir.ipp>
#include <mta/delivery/mbox.ipp>
#include <mta/delivery/ports.ipp>
#include <mta/delivery/request.ipp>
#include <mta/delivery/scheduler.ipp>
#include <mta/delivery/virtual_agent.ipp>
