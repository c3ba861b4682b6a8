#!/bin/sh
# The three that wait longest.
postqueue -j | python3 -c '
import json, sys
for one in sorted(map(json.loads, sys.stdin), key=lambda one: (one["arrival_time"], one["queue_id"]))[:3]:
    print(one["queue_id"], one["queue_name"], one["sender"], len(one["recipients"]), one["forced_expire"])'
