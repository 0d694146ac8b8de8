#!/usr/bin/sed -f
# Tells Doxygen which of the plain comments are documentation: all.
1s|^/\*|/** @file\n *|
s|^\([[:space:]]*\)/\*\([[:space:]]\)|\1/**\2|
s|^\([[:space:]]*\)/\*$|\1/**|
s|\([;,{][[:space:]]*\)/\*[[:space:]]|\1/**< |
s|^\([[:space:]]*[A-Z0-9_]\{1,\}[[:space:]]*\)/\*[[:space:]]|\1/**< |
