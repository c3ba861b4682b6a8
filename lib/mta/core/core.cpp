// The one file that compiles this area's .ipp bodies.
#include <mta/core/child.ipp>
#include <mta/core/file.ipp>
#include <mta/core/local_socket.ipp>
#include <mta/core/log.ipp>
#include <mta/core/users.ipp>
