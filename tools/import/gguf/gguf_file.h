/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A GGUF file: metadata and the table of tensors, all of it checked before anything is used.
 * Source: the GGUF specification of ggml (docs/gguf.md), versions 2 and 3, little-endian. */
#ifndef NIB_IMPORT_GGUF_FILE_H
#define NIB_IMPORT_GGUF_FILE_H

#include "nib_status.h"
#include "num/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_GGUF_MAX_DIMS 4

typedef enum nib_gguf_type {
  NIB_GGUF_U8,
  NIB_GGUF_I8,
  NIB_GGUF_U16,
  NIB_GGUF_I16,
  NIB_GGUF_U32,
  NIB_GGUF_I32,
  NIB_GGUF_F32,
  NIB_GGUF_BOOL,
  NIB_GGUF_STRING,
  NIB_GGUF_ARRAY,
  NIB_GGUF_U64,
  NIB_GGUF_I64,
  NIB_GGUF_F64,
  NIB_GGUF_TYPE_COUNT
} nib_gguf_type;

/** Bytes of the file, not terminated. */
typedef struct nib_gguf_text {
  const char *bytes;
  size_t length;
} nib_gguf_text;

typedef struct nib_gguf_pair {
  nib_gguf_text key;
  nib_gguf_type type;
  const uint8_t *value; /**< of a scalar; a string's length; an array's element type */
} nib_gguf_pair;

/** A row of ggml's table of tensor types. */
typedef struct nib_gguf_encoding {
  uint32_t id;
  const char *name;   /**< ggml's, in lower case: "q4_0" */
  const char *format; /**< the name in the table of formats; formats that are absent there are
                         unsupported */
  uint32_t block_elems, block_bytes;
} nib_gguf_encoding;

typedef struct nib_gguf_tensor {
  nib_gguf_text name;
  int32_t rank;
  int64_t dims[NIB_GGUF_MAX_DIMS]; /**< outermost first (the file has them innermost first) */
  const nib_gguf_encoding *encoding;
  const uint8_t *data;
  size_t data_bytes;
  bool used; /**< for importers */
} nib_gguf_tensor;

typedef struct nib_gguf_file {
  const uint8_t *bytes;
  size_t size;
  const char *path; /**< for messages */
  const nib_diag *diag;
  nib_gguf_pair *pairs;
  size_t n_pairs;
  nib_gguf_tensor *tensors;
  size_t n_tensors;
} nib_gguf_file;

/** Reads and checks bytes[0..size), which must outlive the file. INVALID_INPUT, UNSUPPORTED or
 * OUT_OF_MEMORY after one message; nib_gguf_close() is needed after success and failure alike. */
nib_status nib_gguf_open(const uint8_t *bytes, size_t size, const char *path, const nib_diag *diag,
                         nib_gguf_file *out_file);
void nib_gguf_close(nib_gguf_file *file);

const nib_gguf_pair *nib_gguf_find(const nib_gguf_file *file, const char *key);
nib_gguf_tensor *nib_gguf_find_tensor(const nib_gguf_file *file, const char *name);

/** The value of a key as a number or text. False when the key is absent, is of another kind, or is
 * an integer above INT64_MAX. */
bool nib_gguf_int(const nib_gguf_pair *pair, int64_t *out_value);
bool nib_gguf_real(const nib_gguf_pair *pair, double *out_value);
bool nib_gguf_string(const nib_gguf_pair *pair, nib_gguf_text *out_text);
bool nib_gguf_text_is(nib_gguf_text text, const char *word);

#ifdef __cplusplus
}
#endif
#endif
