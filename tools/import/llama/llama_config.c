/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Names and shapes of a Llama network's weights; what sizes it may have. */
#include "import/llama/llama_graph.h"

#include "graph/validate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

bool nib_llama_role_is_layered(nib_llama_role role) { return role >= NIB_LLAMA_ATTENTION_NORM; }

bool nib_llama_role_is_optional(nib_llama_role role) {
  return role == NIB_LLAMA_OUTPUT || role == NIB_LLAMA_ROPE_FACTORS || role == NIB_LLAMA_Q_BIAS ||
         role == NIB_LLAMA_K_BIAS || role == NIB_LLAMA_V_BIAS;
}

void nib_llama_weight_name(nib_llama_role role, int64_t layer, char out_name[64]) {
  static const char *const names[] = {
#define X(ID, name, rows, columns) name,
      NIB_LLAMA_WEIGHTS(X)
#undef X
  };
  if (nib_llama_role_is_layered(role))
    snprintf(out_name, 64, "blk.%" PRId64 ".%s", layer, names[role]);
  else
    snprintf(out_name, 64, "%s", names[role]);
}

int32_t nib_llama_weight_shape(const nib_llama_config *c, nib_llama_role role,
                               int64_t out_dims[2]) {
  const int64_t shapes[][2] = {
#define X(ID, name, rows, columns) {rows, columns},
      NIB_LLAMA_WEIGHTS(X)
#undef X
  };
  const bool matrix = shapes[role][0] != 0;
  out_dims[0] = shapes[role][matrix ? 0 : 1];
  out_dims[1] = matrix ? shapes[role][1] : 1;
  return matrix ? 2 : 1;
}

nib_status nib_llama_check(const nib_llama_config *c, const nib_import_options *options,
                           const nib_diag *diag) {
  enum { MAX_SIZE = 1 << 24, MAX_LAYERS = 1024 };
  const struct {
    const char *what;
    int64_t value, limit;
  } sizes[] = {
      {"embedding length", c->dim, MAX_SIZE},
      {"feed forward length", c->hidden, MAX_SIZE},
      {"number of layers", c->layers, MAX_LAYERS},
      {"number of heads", c->heads, MAX_SIZE},
      {"number of key-value heads", c->kv_heads, MAX_SIZE},
      {"length of a head", c->head_dim, MAX_SIZE},
      {"vocabulary", c->vocabulary, MAX_SIZE},
      {"context length", c->context, MAX_SIZE},
      {"number of rotating dimensions", c->rope_dims, MAX_SIZE},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
    if (sizes[i].value < 1 || sizes[i].value > sizes[i].limit)
      return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                            "%s: the %s is %" PRId64 ", it must be from 1 to %" PRId64,
                            options->display_path, sizes[i].what, sizes[i].value, sizes[i].limit);
  if (c->heads % c->kv_heads)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: %" PRId64 " heads cannot share %" PRId64 " key-value heads evenly",
                          options->display_path, c->heads, c->kv_heads);
  if (c->rope_dims % 2 || c->head_dim % 2 || c->rope_dims > c->head_dim)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: %" PRId64 " of %" PRId64 " elements of a head rotate: both must be "
                          "even, and not more than all",
                          options->display_path, c->rope_dims, c->head_dim);
  if (!isfinite(c->epsilon) || c->epsilon < 0 || !isfinite(c->rope_base) || c->rope_base <= 0 ||
      !isfinite(c->rope_scale) || c->rope_scale <= 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: epsilon %g, rotary base %g or rotary scale %g is out of range",
                          options->display_path, c->epsilon, c->rope_base, c->rope_scale);
  for (nib_llama_role role = 0; role < NIB_LLAMA_ROLE_COUNT; ++role) {
    int64_t dims[2], elems;
    const int32_t rank = nib_llama_weight_shape(c, role, dims);
    char name[64];
    nib_llama_weight_name(role, 0, name);
    if (!nib_count_elems(rank, dims, &elems))
      return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                            "%s: '%s' has %" PRId64 " times %" PRId64 " elements, more than %d",
                            options->display_path, name, dims[0], dims[1], NIB_MAX_TENSOR_ELEMS);
  }
  return NIB_OK;
}
