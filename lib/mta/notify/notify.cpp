// The one file that compiles this area's .ipp bodies.
#include <mta/notify/notice.ipp>

#include <mta/notify/bounce_template.ipp>
