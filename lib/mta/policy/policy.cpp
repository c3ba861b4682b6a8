// The one file that compiles this area's .ipp bodies.
#include <mta/policy/access_policy.ipp>
#include <mta/policy/restriction.ipp>
#include <mta/policy/table_world.ipp>
