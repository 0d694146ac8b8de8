#!/bin/sh
# Tells Doxygen that a program is an example, and what its head says of it; the program Doxygen reads by itself (EXAMPLE_PATH).
name=$(basename "$1")
header=anyio/${name%%[_.]*}.h
[ "$name" != anyio.cc ] || header=anyio/anyio.hpp
sed -n "1s|.*|/** @example $name|p; 2,/\*\//{s|^ \*/| *\n * Of $header.\n */|;p}" "$1"
