#!/bin/bash
# Requeue what goes to a domain.
for id in $(mailq | grep -B 5 '@far\.test' | grep -oE '^[0-9A-F]{8,}[*!]?' | tr -d '*!' | sort -u); do
    postsuper -r "$id" 2>&1 | grep -v Requeued
done
