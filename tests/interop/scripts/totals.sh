#!/bin/sh
# For a monitor.
mailq | tail -n 1
mailq | grep -c '^[0-9A-F]'
mailq | awk '/^[0-9A-F]/ { bytes += $2 } END { print bytes }'
postqueue -p | egrep -c '^[0-9A-F]{10,}[!*]?'
postqueue -j | jq -s 'map(.message_size) | add'
