// The one file that compiles this area's .ipp bodies.
#include <mta/smtp/client_commands.ipp>
#include <mta/smtp/client_results.ipp>
#include <mta/smtp/client_session.ipp>
#include <mta/smtp/command.ipp>
#include <mta/smtp/data_decoder.ipp>
#include <mta/smtp/server_commands.ipp>
#include <mta/smtp/server_session.ipp>
#include <mta/smtp/server_settings.ipp>
