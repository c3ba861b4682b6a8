#!/bin/sh
# Delete undeliverable notices that wait.
mailq | grep MAILER-DAEMON | awk '{ print $1 }' | tr -d '*!' | xargs -r -n 1 postsuper -d
