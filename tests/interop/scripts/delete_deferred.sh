#!/bin/sh
# Empty one queue.
find "$(postconf -h queue_directory)/deferred" -type f | wc -l
postsuper -d ALL deferred
find "$(postconf -h queue_directory)/deferred" -type f | wc -l
