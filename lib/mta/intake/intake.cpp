// The one file that compiles this area's .ipp bodies.
#include <mta/intake/addresses.ipp>
#include <mta/intake/context.ipp>
#include <mta/intake/envelope.ipp>
#include <mta/intake/headers.ipp>
#include <mta/intake/maildrop_reader.ipp>
#include <mta/intake/message.ipp>
#include <mta/intake/outcome.ipp>
