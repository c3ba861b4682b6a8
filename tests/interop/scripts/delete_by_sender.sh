#!/bin/sh
# Delete all mail from one address.
mailq | tail -n +2 | grep -v '^ *(' | awk 'BEGIN { RS = "" } $7 == "owner@example.test" { print $1 }' | tr -d '*!#' | postsuper -d -
