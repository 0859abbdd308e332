/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The C compiler that turns generated sources into assembly, objects and libraries. */
#ifndef NIBC_TOOLCHAIN_H
#define NIBC_TOOLCHAIN_H

#include "target/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum nibc_artifact {
  NIBC_LLVM,   /**< .ll, clang only */
  NIBC_ASM,    /**< .s */
  NIBC_OBJECT, /**< .o */
  NIBC_SHARED, /**< one shared object of all sources */
} nibc_artifact;

typedef struct nibc_compiler {
  char *path; /**< absolute; owned */
  bool is_clang;
  char *archiver; /**< ar; NULL if none was found; owned */
} nibc_compiler;

/** clang-22, else clang, else cc; $NIBC_CC names another. */
nib_status nibc_compiler_find(nibc_compiler *out_compiler);
void nibc_compiler_free(nibc_compiler *compiler);

/** The flags for `target`, separated by spaces (free()). Only features that nib_target names are
 *  switched on: what the compiler would find on the host beyond them stays off. */
char *nibc_compiler_flags(const nib_target *target, bool size);

/** Compiles `dir`/`sources`[i] each to `dir`/stem.EXT (NIBC_SHARED: all into `output`). Prints the
 *  compiler's messages on failure. */
nib_status nibc_compiler_run(const nibc_compiler *compiler, nibc_artifact artifact,
                             const char *flags, const char *dir, const char *const *sources,
                             int n_sources, const char *output);
/** One call with `arguments`, separated by spaces, that ends in a program. */
nib_status nibc_compiler_link(const nibc_compiler *compiler, const char *arguments, const char *dir);
/** ar rcsD `dir`/`archive` of the objects of `sources`, whose objects are then removed. */
nib_status nibc_archive(const nibc_compiler *compiler, const char *dir, const char *archive,
                        const char *const *sources, int n_sources);
/** "net.c" with its extension changed to that of `artifact`; free(). */
char *nibc_artifact_name(const char *source, nibc_artifact artifact);

/** The first executable file of that name in $PATH, or NULL (free()). A name with a slash is a path. */
char *nibc_program_find(const char *name);
/** Runs argv, which ends in NULL, in `dir`; what it prints goes into *out_messages (at most 1 MB, free()).
 *  NIB_ERROR_IO if its exit status is not 0, with a message only if it could not be started. */
nib_status nibc_program_run(const char *dir, const char *const *argv, char **out_messages);

/** Bytes of code and of read-only data in an ELF object; false if `path` is not one. */
bool nibc_object_size(const char *path, int64_t *out_code, int64_t *out_rodata);

#endif
