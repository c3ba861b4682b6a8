// The one file that compiles this area's .ipp bodies.
#include <mta/rewrite/address_words.ipp>
#include <mta/rewrite/canonical.ipp>
#include <mta/rewrite/destination.ipp>
#include <mta/rewrite/domains.ipp>
#include <mta/rewrite/flush_sites.ipp>
#include <mta/rewrite/recipient_check.ipp>
#include <mta/rewrite/rewriter.ipp>
#include <mta/rewrite/router.ipp>
#include <mta/rewrite/virtual_alias.ipp>
