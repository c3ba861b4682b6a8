// The one file that compiles this area's .ipp bodies.
#include <mta/address/domain_name.ipp>
#include <mta/address/parts.ipp>
#include <mta/address/tokens.ipp>
