// The one file that compiles this area's .ipp bodies.
#include <mta/address/parts.ipp>
#include <mta/address/tokens.ipp>
