#!/bin/sh
# What is in them?
for id in $(mailq | awk '/^[0-9A-F]/ { print $1 }' | tr -d '*!' | sort); do
    from=$(postcat -q "$id" | sed -n -e 's/^sender: //p' | head -n 1)
    echo "$id: $from $(postcat -bq "$id" | wc -c) $(postcat -eq "$id" | grep -c '^recipient:')"
done
