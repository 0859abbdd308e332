#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Installs the Debian packages that Nibble builds with, if any is missing: as root, through a sudo that
# asks no password, or by printing the one line to run.
set -eu

packages="
  clang-22 clang-format-14 cmake ccache dataset-fashion-mnist g++ gcc git libcjson-dev libclang-22-dev
  libclang-rt-22-dev libc6-dev libmlir-22-dev libonnx-dev libpng-dev libprotobuf-c-dev
  libxxhash-dev lld-22 llvm-22-dev llvm-22-tools make mlir-22-tools ninja-build patch
  pkg-config protobuf-c-compiler python3 python3-psutil valgrind zlib1g-dev
"

missing=""
for package in $packages; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
echo "Installing:$missing"
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif sudo -n true 2>/dev/null; then
  as_root="sudo"
else
  echo "Packages are missing. Please run:" >&2
  echo "  sudo apt-get update && sudo $install" >&2
  exit 1
fi
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive $install
