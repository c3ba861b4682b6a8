#!/bin/bash
# Hold messages whose subject matches.
mailq | awk '/^[0-9A-F]/ { print $1 }' | tr -d '*!' | sort | while read -r id; do
    if postcat -hq "$id" 2>/dev/null | grep -qiE '^Subject:.*(dsn|undelivered|delayed)'; then
        postsuper -h "$id" >/dev/null 2>&1 && echo "held $id"
    fi
done
