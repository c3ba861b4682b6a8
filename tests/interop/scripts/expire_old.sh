#!/bin/sh
# Give up on what is older than a day.
postqueue -j | jq -r --argjson now "$(date +%s)" 'select($now - .arrival_time > 86400 and .queue_name == "deferred") | .queue_id' |
    postsuper -e -
mailq | grep -c '#'
