/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Both classes are read into the wider structures; whatever points out of the file is not there. */
#include "elf_file.h"
#include "file_io.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool nibc_elf_open(const char *path, nibc_elf *out) {
  memset(out, 0, sizeof *out);
  if (access(path, R_OK) || nibc_file_read(path, &out->bytes, &out->size) != NIB_OK)
    return false;
  const uint8_t *id = out->bytes;
  const bool is_elf = out->size >= sizeof(Elf32_Ehdr) && memcmp(id, ELFMAG, SELFMAG) == 0 &&
                      id[EI_DATA] == ELFDATA2LSB;
  out->is_64 = is_elf && id[EI_CLASS] == ELFCLASS64;
  if (is_elf && (out->is_64 ? out->size >= sizeof(Elf64_Ehdr) : id[EI_CLASS] == ELFCLASS32))
    return true;
  nibc_elf_close(out);
  return false;
}

void nibc_elf_close(nibc_elf *e) {
  free(e->bytes);
  memset(e, 0, sizeof *e);
}

/* Number of section headers, and where they begin. */
static size_t sections(const nibc_elf *e, size_t *out_offset) {
  size_t n;
  if (e->is_64) {
    Elf64_Ehdr h;
    memcpy(&h, e->bytes, sizeof h);
    *out_offset = h.e_shoff;
    n = h.e_shnum;
  } else {
    Elf32_Ehdr h;
    memcpy(&h, e->bytes, sizeof h);
    *out_offset = h.e_shoff;
    n = h.e_shnum;
  }
  const size_t each = e->is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
  return *out_offset < e->size && n <= (e->size - *out_offset) / each ? n : 0;
}

static Elf64_Shdr section(const nibc_elf *e, size_t offset, size_t i) {
  Elf64_Shdr s;
  if (e->is_64) {
    memcpy(&s, e->bytes + offset + i * sizeof s, sizeof s);
    return s;
  }
  Elf32_Shdr h;
  memcpy(&h, e->bytes + offset + i * sizeof h, sizeof h);
  return (Elf64_Shdr){.sh_name = h.sh_name,
                      .sh_type = h.sh_type,
                      .sh_flags = h.sh_flags,
                      .sh_addr = h.sh_addr,
                      .sh_offset = h.sh_offset,
                      .sh_size = h.sh_size,
                      .sh_link = h.sh_link};
}

static bool is_inside(const nibc_elf *e, const Elf64_Shdr *s) {
  return s->sh_offset <= e->size && s->sh_size <= e->size - s->sh_offset;
}

void nibc_elf_sizes(const nibc_elf *e, int64_t *out_code, int64_t *out_rodata, int64_t *out_data) {
  size_t offset;
  const size_t n = sections(e, &offset);
  *out_code = *out_rodata = *out_data = 0;
  for (size_t i = 0; i < n; ++i) {
    const Elf64_Shdr s = section(e, offset, i);
    if (!(s.sh_flags & SHF_ALLOC))
      continue;
    *(s.sh_flags & SHF_EXECINSTR ? out_code
      : s.sh_flags & SHF_WRITE   ? out_data
                                 : out_rodata) += (int64_t)s.sh_size;
  }
}

bool nibc_elf_next_symbol(const nibc_elf *e, size_t *at, nibc_elf_symbol *out) {
  size_t offset;
  const size_t n = sections(e, &offset);
  const size_t each = e->is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
  for (size_t i = 0; i < n; ++i) {
    const Elf64_Shdr table = section(e, offset, i);
    if (table.sh_type != SHT_SYMTAB || !is_inside(e, &table) || table.sh_link >= n)
      continue;
    const Elf64_Shdr strings = section(e, offset, table.sh_link);
    if (*at >= table.sh_size / each || !is_inside(e, &strings) || !strings.sh_size ||
        e->bytes[strings.sh_offset + strings.sh_size - 1])
      return false;
    Elf64_Sym s;
    const uint8_t *from = e->bytes + table.sh_offset + *at * each;
    if (e->is_64) {
      memcpy(&s, from, sizeof s);
    } else {
      Elf32_Sym h;
      memcpy(&h, from, sizeof h);
      s = (Elf64_Sym){h.st_name, h.st_info, h.st_other, h.st_shndx, h.st_value, h.st_size};
    }
    if (s.st_name >= strings.sh_size)
      return false;
    ++*at;
    *out = (nibc_elf_symbol){(const char *)e->bytes + strings.sh_offset + s.st_name,
                             s.st_value,
                             s.st_size,
                             s.st_shndx == SHN_UNDEF,
                             ELF64_ST_BIND(s.st_info) == STB_LOCAL,
                             ELF64_ST_TYPE(s.st_info) == STT_FUNC};
    return true;
  }
  return false;
}

bool nibc_elf_find(const nibc_elf *e, const char *name, nibc_elf_symbol *out) {
  for (size_t at = 0; nibc_elf_next_symbol(e, &at, out);)
    if (!out->is_undefined && strcmp(out->name, name) == 0)
      return true;
  return false;
}
