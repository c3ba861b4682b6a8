// The one file that compiles this area's .ipp bodies.
#include <mta/message/date.ipp>
#include <mta/message/encoded_word.ipp>
#include <mta/message/header.ipp>
#include <mta/message/mime.ipp>
#include <mta/message/trace.ipp>
