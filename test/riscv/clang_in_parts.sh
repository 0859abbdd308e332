#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# clang with dot products of bytes in parts: for processors that have none.
for word in "$@"; do
  shift
  case $word in
  -march=*) word=$(echo "$word" | sed 's/_zvqdotq0p0//; s/_xandesvdot//') ;;
  esac
  set -- "$@" "$word"
done
exec "${CLANG:-clang-22}" -include "$(dirname "$0")/dot_in_parts.h" "$@"
