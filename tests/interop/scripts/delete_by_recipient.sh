#!/bin/bash
# Delete messages that have a recipient at a domain.
postqueue -p | awk '/^[0-9A-F]/ { id = $1 } /@hold\.test/ { print id }' | sort -u | while read -r id; do
    postsuper -d "${id%[*!]}"
done
