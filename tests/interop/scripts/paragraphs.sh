#!/bin/sh
# A listing taken apart the way scripts have done it for decades: a paragraph a message.
mailq | perl -00 -ne '
    next if /^-Queue/ && !s/^-Queue.*\n//;
    next if /^-- /;
    my ($id, $mark, $size, $when, $from) = /^(\w+)([*!]?)\s+(\d+)\s+(\w{3} \w{3} [ \d]\d [\d:]{8})\s+(\S+)/ or die "what is $_";
    my @to = /^ {41}(\S.*)$/mg;
    print "$id $mark $size $from ", scalar(@to), " $to[0]\n";' | sort
