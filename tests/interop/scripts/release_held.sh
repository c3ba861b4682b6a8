#!/bin/sh
# Release what is on hold.
mailq | awk '$1 ~ /!$/ { print substr($1, 1, length($1) - 1) }' | postsuper -H -
