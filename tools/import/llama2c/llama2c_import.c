/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_import_llama2c: a checkpoint of llama2.c, version 1: a header of 256 bytes, then float32
 * weights. Source: llama2.c (export.py, version1_export). */
#include "import/llama/llama_graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 256, HEADER_WORDS = 9, MAGIC = 0x616b3432 };

/* The order of the weights in the file; a layered one has all layers together. */
static const nib_llama_role order[] = {
    NIB_LLAMA_ATTENTION_NORM,
    NIB_LLAMA_FFN_NORM,
    NIB_LLAMA_OUTPUT_NORM,
    NIB_LLAMA_EMBEDDING,
    NIB_LLAMA_Q,
    NIB_LLAMA_K,
    NIB_LLAMA_V,
    NIB_LLAMA_ATTENTION_OUTPUT,
    NIB_LLAMA_GATE,
    NIB_LLAMA_DOWN,
    NIB_LLAMA_UP,
    NIB_LLAMA_OUTPUT,
};
enum { N_ORDER = sizeof order / sizeof *order };

typedef struct checkpoint {
  const uint8_t *bytes;
  size_t size;
  nib_llama_config config;
  bool shared;                          /**< the output's weights are the embedding */
  size_t offsets[NIB_LLAMA_ROLE_COUNT]; /**< 0: the file has none */
} checkpoint;

static int64_t word(const checkpoint *p, int i) {
  uint32_t value = 0;
  for (int b = 3; b >= 0; --b)
    value = value << 8 | p->bytes[i * 4 + b];
  return (int32_t)value;
}

static uint64_t weight_bytes(const nib_llama_config *c, nib_llama_role role) {
  int64_t dims[2];
  nib_llama_weight_shape(c, role, dims);
  return (uint64_t)dims[0] * (uint64_t)dims[1] * sizeof(float);
}

static nib_status read_header(checkpoint *p, const nib_import_options *o, const nib_diag *diag) {
  if (p->size < 8 || word(p, 0) != MAGIC)
    return nib_diag_error(
        diag, NIB_ERROR_INVALID_INPUT,
        "%s: not a checkpoint of llama2.c: it begins with other bytes than '24ka'",
        o->display_path);
  if (word(p, 1) != 1)
    return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                          "%s: version %" PRId64
                          " of llama2.c's checkpoints; version 1 is supported",
                          o->display_path, word(p, 1));
  if (p->size < HEADER_BYTES)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: the file ends within the header: %zu bytes of %d", o->display_path,
                          p->size, HEADER_BYTES);
  nib_llama_config *c = &p->config;
  int64_t *const sizes[] = {&c->dim,      &c->hidden,     &c->layers, &c->heads,
                            &c->kv_heads, &c->vocabulary, &c->context};
  for (int i = 0; i < 7; ++i)
    *sizes[i] = word(p, 2 + i);
  const uint8_t shared = p->bytes[HEADER_WORDS * 4];
  if (shared > 1)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: the mark of a shared classifier is %u, it must be 0 or 1",
                          o->display_path, shared);
  p->shared = shared;
  if (c->heads > 0 && c->dim % c->heads)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: the embedding length %" PRId64 " is no multiple of %" PRId64
                          " heads",
                          o->display_path, c->dim, c->heads);
  c->head_dim = c->heads > 0 ? c->dim / c->heads : 0;
  c->rope_dims = c->head_dim;
  c->rope_base = 10000;
  c->rope_scale = 1;
  c->epsilon = (double)1e-5f;
  return nib_llama_check(c, o, diag);
}

/* Finds every weight; the file has exactly these bytes. */
static nib_status place_weights(checkpoint *p, const nib_import_options *o, const nib_diag *diag) {
  uint64_t at = HEADER_BYTES;
  for (int i = 0; i < N_ORDER; ++i) {
    const nib_llama_role role = order[i];
    if (role == NIB_LLAMA_OUTPUT && p->shared)
      continue;
    p->offsets[role] = (size_t)at;
    at += weight_bytes(&p->config, role) *
          (uint64_t)(nib_llama_role_is_layered(role) ? p->config.layers : 1);
  }
  if (at != p->size)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: its sizes give a file of %" PRIu64 " bytes, it has %zu",
                          o->display_path, at, p->size);
  return NIB_OK;
}

static nib_llama_weight weight_of(void *file, nib_llama_role role, int64_t layer) {
  const checkpoint *p = file;
  if (!p->offsets[role])
    return (nib_llama_weight){NIB_F32, NULL};
  const uint64_t bytes = weight_bytes(&p->config, role);
  return (nib_llama_weight){NIB_F32, p->bytes + p->offsets[role] + (uint64_t)layer * bytes};
}

nib_status nib_import_llama2c(const uint8_t *bytes, size_t size, const nib_import_options *options,
                              nib_graph **out_graph, const nib_diag *diag) {
  *out_graph = NULL;
  checkpoint p = {.bytes = bytes, .size = size};
  NIB_RETURN_IF_ERROR(read_header(&p, options, diag));
  NIB_RETURN_IF_ERROR(place_weights(&p, options, diag));
  return nib_llama_build(&p.config, weight_of, &p, options, out_graph, diag);
}
