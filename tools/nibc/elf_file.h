/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Little-endian ELF files of 32 and 64 bits: sizes of sections, addresses of symbols. */
#ifndef NIBC_ELF_FILE_H
#define NIBC_ELF_FILE_H

#include "nib_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nibc_elf_symbol {
  const char *name; /**< within the file's bytes */
  uint64_t address, size;
  bool is_undefined, is_local, is_function;
} nibc_elf_symbol;

typedef struct nibc_elf {
  uint8_t *bytes;
  size_t size;
  bool is_64;
} nibc_elf;

/** False, without a message, if `path` is not such a file. nibc_elf_close after success. */
bool nibc_elf_open(const char *path, nibc_elf *out_elf);
void nibc_elf_close(nibc_elf *elf);

/** Bytes of code, of read-only data and of data that is written (with zeros) in memory. */
void nibc_elf_sizes(const nibc_elf *elf, int64_t *out_code, int64_t *out_rodata, int64_t *out_data);
/** Steps through the symbols: *at begins as 0; false behind the last. */
bool nibc_elf_next_symbol(const nibc_elf *elf, size_t *at, nibc_elf_symbol *out_symbol);
bool nibc_elf_find(const nibc_elf *elf, const char *name, nibc_elf_symbol *out_symbol);

#endif
