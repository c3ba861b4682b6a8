#!/bin/sh
# Who waits for whom?
mailq | grep -oE '^ +[^ ]+@[^ ]+$' | sed 's/.*@//' | sort | uniq -c | sort -rn
qshape deferred | head -n 4
qshape -s -b 4 hold deferred incoming active
