// The one file that compiles this area's .ipp bodies.
#include <mta/queue/brief_envelope.ipp>
#include <mta/queue/errc.ipp>
#include <mta/queue/flush_log.ipp>
#include <mta/queue/flush_request.ipp>
#include <mta/queue/listing.ipp>
#include <mta/queue/listing_memory.ipp>
#include <mta/queue/message_log.ipp>
#include <mta/queue/queue_file.ipp>
#include <mta/queue/queue_file_writer.ipp>
#include <mta/queue/queue_id.ipp>
#include <mta/queue/record.ipp>
#include <mta/queue/record_file.ipp>
#include <mta/queue/scanner.ipp>
#include <mta/queue/selection.ipp>
#include <mta/queue/size_record.ipp>
#include <mta/queue/spool.ipp>
#include <mta/queue/spread_scan.ipp>
