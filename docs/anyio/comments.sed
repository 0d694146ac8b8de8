#!/usr/bin/sed -f
# Tells Doxygen which of the plain comments are documentation: all of them.
1s|^/\*|/** @file\n *|
s|^\([[:space:]]*\)/\*\([[:space:]]\)|\1/**\2|
s|^\([[:space:]]*\)/\*$|\1/**|
s|\([;,{][[:space:]]*\)/\*[[:space:]]|\1/**< |
s|^\([[:space:]]*[A-Z0-9_]\{1,\}[[:space:]]*\)/\*[[:space:]]|\1/**< |
s|^\(#define [^/]*\)/\*[[:space:]]|\1/**< |
/^#define X(/d
s|^[[:space:]]uint64_t opaque\[[0-9]*\];|& /**< not to be touched */|
s|^[[:space:]].*reserved\[[0-9]*\];|& /**< zero */|
