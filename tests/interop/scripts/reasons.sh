#!/bin/sh
# What is the matter?
mailq | grep '^ *(' | sed 's/^ *//' | cut -c 1-70 | sort | uniq -c | sort -rn
postqueue -j | jq -r '.recipients[].delay_reason // "none"' | sort | uniq -c | sort -rn
