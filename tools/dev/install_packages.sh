#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Installs the Debian packages that Nibble builds with, if any is missing: as root, through a sudo that
# asks no password, or by printing the one line to run. Then, where it can, what RISC-V is tested with: a
# compiler's libraries, and QEMU 10, from Debian's backports where the release's own is older. Without
# these the tests that need them are skipped.
set -eu

packages="
  clang-22 clang-format-14 cmake ccache dataset-fashion-mnist g++ gcc git libcjson-dev libclang-22-dev
  libclang-rt-22-dev libc6-dev libmlir-22-dev libonnx-dev libpng-dev libprotobuf-c-dev
  libxxhash-dev lld-22 llvm-22-dev llvm-22-tools make mlir-22-tools ninja-build patch
  pkg-config protobuf-c-compiler python3 python3-psutil valgrind zlib1g-dev
"
riscv_packages="gcc-riscv64-linux-gnu libc6-dev-riscv64-cross picolibc-riscv64-unknown-elf"
qemu_packages="qemu-user qemu-system-misc"

missing_of() {
  for package in "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || printf ' %s' "$package"
  done
}

# The first number of QEMU's version, 0 where it is not installed.
qemu_version() {
  qemu-riscv64 --version 2>/dev/null | sed -n '1s/^[^0-9]*[0-9]*[^0-9]*version \([0-9]*\).*/\1/p' | grep . || echo 0
}

if [ "$(id -u)" = 0 ]; then
  as_root=""
elif sudo -n true 2>/dev/null; then
  as_root="sudo"
else
  as_root="none"
fi
install="apt-get install -y --no-install-recommends"
quick="-o Acquire::Retries=0 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20"

missing=$(missing_of $packages)
if [ -n "$missing" ]; then
  echo "Installing:$missing"
  if [ "$as_root" = none ]; then
    echo "Packages are missing. Please run:" >&2
    echo "  sudo apt-get update && sudo $install$missing" >&2
    exit 1
  fi
  $as_root apt-get update -q
  $as_root env DEBIAN_FRONTEND=noninteractive $install $missing
fi

# ---- RISC-V: whatever fails from here on leaves tests to be skipped ----

skipped() {
  echo "Not installed:$1 ($2). Tests of RISC-V that need it are skipped."
  exit 0
}

missing=$(missing_of $riscv_packages)
qemu=$(qemu_version)
[ -n "$missing" ] || [ "$qemu" -lt 10 ] || [ -n "$(missing_of qemu-system-misc)" ] || exit 0
[ -z "${NIB_NO_QEMU:-}" ] || skipped "$missing $qemu_packages" "NIB_NO_QEMU is set"
if [ "$as_root" = none ]; then
  skipped "$missing $qemu_packages" "as root: $install$missing; $install -t bookworm-backports $qemu_packages"
fi
echo "Installing, for tests of RISC-V:$missing $qemu_packages"

codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
from=""
if [ "$codename" = bookworm ]; then
  from="-t bookworm-backports"
  if ! grep -rqs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d; then
    # A copy of the machine's own source of Debian, of that suite.
    own=$(sed -n 's/^URIs: *\([^ ]*\/debian\)\/* *$/\1/p; s/^deb \(\[[^]]*\] \)*\([^ ]*\/debian\)\/* bookworm .*/\2/p' \
      /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1)
    [ -n "$own" ] || skipped "$missing $qemu_packages" "no source of Debian is found to copy"
    printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: %s\n' \
      "$own" /usr/share/keyrings/debian-archive-keyring.gpg |
      $as_root tee /etc/apt/sources.list.d/nibble-backports.sources >/dev/null
  fi
fi
$as_root apt-get update -q $quick || skipped "$missing $qemu_packages" "the package lists cannot be read"
if [ -n "$missing" ]; then
  $as_root env DEBIAN_FRONTEND=noninteractive $install $quick $missing || skipped "$missing" "apt-get failed"
fi
$as_root env DEBIAN_FRONTEND=noninteractive $install $quick $from $qemu_packages || skipped " $qemu_packages" "apt-get failed"
