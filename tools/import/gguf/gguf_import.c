/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_import_gguf: metadata and tensors of a Llama network in GGUF. */
#include "import/gguf/gguf_file.h"
#include "import/llama/llama_graph.h"

#include <inttypes.h>
#include <string.h>

static nib_status invalid_key(const nib_gguf_file *f, const char *key, const char *what) {
  return nib_diag_error(f->diag, NIB_ERROR_INVALID_INPUT, "%s: the key %s %s", f->path, key, what);
}

static nib_status unsupported(const nib_gguf_file *f, const char *what) {
  return nib_diag_error(f->diag, NIB_ERROR_UNSUPPORTED, "%s: %s", f->path, what);
}

/* ---- metadata ---- */

static nib_status read_int(const nib_gguf_file *f, const char *key, bool required, int64_t *value) {
  const nib_gguf_pair *pair = nib_gguf_find(f, key);
  if (!pair)
    return required ? invalid_key(f, key, "is missing") : NIB_OK;
  if (pair->type == NIB_GGUF_ARRAY)
    return unsupported(f, "layers of different sizes (a size in the metadata is an array)");
  return nib_gguf_int(pair, value) ? NIB_OK : invalid_key(f, key, "is no integer");
}

static nib_status read_real(const nib_gguf_file *f, const char *key, bool required, double *value) {
  const nib_gguf_pair *pair = nib_gguf_find(f, key);
  if (!pair)
    return required ? invalid_key(f, key, "is missing") : NIB_OK;
  return nib_gguf_real(pair, value) ? NIB_OK : invalid_key(f, key, "is no floating-point number");
}

/* Scaling of positions: none or linear. */
static nib_status read_scaling(const nib_gguf_file *f, nib_llama_config *c) {
  const nib_gguf_pair *pair = nib_gguf_find(f, "llama.rope.scaling.type");
  nib_gguf_text type;
  c->rope_scale = 1;
  NIB_RETURN_IF_ERROR(read_real(f, "llama.rope.scale_linear", false, &c->rope_scale));
  if (!pair)
    return read_real(f, "llama.rope.scaling.factor", false, &c->rope_scale);
  if (!nib_gguf_string(pair, &type))
    return invalid_key(f, "llama.rope.scaling.type", "is no text");
  if (nib_gguf_text_is(type, "linear"))
    return read_real(f, "llama.rope.scaling.factor", true, &c->rope_scale);
  if (!nib_gguf_text_is(type, "none"))
    return unsupported(f, "this scaling of rotary positions; none and linear are supported");
  return NIB_OK;
}

static nib_status read_vocabulary(const nib_gguf_file *f, nib_llama_config *c) {
  NIB_RETURN_IF_ERROR(read_int(f, "llama.vocab_size", false, &c->vocabulary));
  const nib_gguf_tensor *t = nib_gguf_find_tensor(f, "token_embd.weight");
  if (c->vocabulary == 0 && t && t->rank == 2)
    c->vocabulary = t->dims[0];
  return NIB_OK;
}

static nib_status read_config(const nib_gguf_file *f, nib_llama_config *c) {
  nib_gguf_text architecture;
  if (!nib_gguf_string(nib_gguf_find(f, "general.architecture"), &architecture))
    return invalid_key(f, "general.architecture", "is missing or is no text");
  if (!nib_gguf_text_is(architecture, "llama"))
    return unsupported(f, "its architecture is not llama");
  const struct {
    const char *key;
    bool required;
    int64_t *value;
  } sizes[] = {
      {"llama.embedding_length", true, &c->dim},
      {"llama.feed_forward_length", true, &c->hidden},
      {"llama.block_count", true, &c->layers},
      {"llama.context_length", true, &c->context},
      {"llama.attention.head_count", true, &c->heads},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
    NIB_RETURN_IF_ERROR(read_int(f, sizes[i].key, sizes[i].required, sizes[i].value));
  c->kv_heads = c->heads;
  c->head_dim = c->heads > 0 ? c->dim / c->heads : 0;
  int64_t value_dim, experts = 0;
  NIB_RETURN_IF_ERROR(read_int(f, "llama.attention.head_count_kv", false, &c->kv_heads));
  NIB_RETURN_IF_ERROR(read_int(f, "llama.attention.key_length", false, &c->head_dim));
  value_dim = c->head_dim;
  NIB_RETURN_IF_ERROR(read_int(f, "llama.attention.value_length", false, &value_dim));
  NIB_RETURN_IF_ERROR(read_int(f, "llama.expert_count", false, &experts));
  if (experts > 0 || value_dim != c->head_dim)
    return unsupported(f, experts > 0 ? "experts" : "keys and values of different lengths");
  c->rope_dims = c->head_dim;
  c->rope_base = 10000;
  NIB_RETURN_IF_ERROR(read_int(f, "llama.rope.dimension_count", false, &c->rope_dims));
  NIB_RETURN_IF_ERROR(read_real(f, "llama.rope.freq_base", false, &c->rope_base));
  NIB_RETURN_IF_ERROR(read_real(f, "llama.attention.layer_norm_rms_epsilon", true, &c->epsilon));
  NIB_RETURN_IF_ERROR(read_scaling(f, c));
  return read_vocabulary(f, c);
}

/* ---- tensors ---- */

/* Bytes of a block; of an element where there are none. */
static uint32_t block_bytes(nib_format format) {
  return (uint32_t)nib_format_storage_bytes(format, 1);
}

/* One weight: there, of the shape that the sizes give, of a format that can be computed with. */
static nib_status check_weight(const nib_gguf_file *f, const nib_llama_config *c,
                               nib_llama_role role, int64_t layer) {
  char name[64];
  int64_t dims[2];
  nib_llama_weight_name(role, layer, name);
  const int32_t rank = nib_llama_weight_shape(c, role, dims);
  nib_gguf_tensor *t = nib_gguf_find_tensor(f, name);
  if (!t)
    return nib_llama_role_is_optional(role)
               ? NIB_OK
               : nib_diag_error(f->diag, NIB_ERROR_INVALID_INPUT, "%s: the tensor '%s' is missing",
                                f->path, name);
  t->used = true;
  if (t->rank != rank || t->dims[0] != dims[0] || (rank == 2 && t->dims[1] != dims[1]))
    return nib_diag_error(f->diag, NIB_ERROR_INVALID_INPUT,
                          "%s: tensor '%s' has another shape than the sizes in the metadata give "
                          "(%d dimensions, the first %" PRId64 ")",
                          f->path, name, rank, dims[0]);
  const nib_format format = nib_format_find(t->encoding->format);
  const bool real = format != NIB_FORMAT_COUNT && nib_format_holds_reals(format) &&
                    block_bytes(format) == t->encoding->block_bytes;
  if (!real || (rank == 1 && format != NIB_F32))
    return nib_diag_error(
        f->diag, NIB_ERROR_UNSUPPORTED, "%s: tensor '%s' has the type %s, which %s", f->path, name,
        t->encoding->name, rank == 1 ? "a vector cannot have: only f32" : "is not supported");
  return NIB_OK;
}

static nib_status check_weights(const nib_gguf_file *f, const nib_llama_config *c) {
  for (nib_llama_role role = 0; role < NIB_LLAMA_ROLE_COUNT; ++role)
    for (int64_t i = 0; i < (nib_llama_role_is_layered(role) ? c->layers : 1); ++i)
      NIB_RETURN_IF_ERROR(check_weight(f, c, role, i));
  for (size_t i = 0; i < f->n_tensors; ++i)
    if (!f->tensors[i].used)
      return nib_diag_error(
          f->diag, NIB_ERROR_UNSUPPORTED,
          "%s: a tensor is not known in this architecture (number %zu of the file)", f->path, i);
  return NIB_OK;
}

static nib_llama_weight weight_of(void *file, nib_llama_role role, int64_t layer) {
  char name[64];
  nib_llama_weight_name(role, layer, name);
  const nib_gguf_tensor *t = nib_gguf_find_tensor(file, name);
  if (!t)
    return (nib_llama_weight){NIB_F32, NULL};
  return (nib_llama_weight){nib_format_find(t->encoding->format), t->data};
}

static nib_status import_file(nib_gguf_file *f, const nib_import_options *options,
                              nib_graph **out_graph) {
  nib_llama_config c = {0};
  NIB_RETURN_IF_ERROR(read_config(f, &c));
  NIB_RETURN_IF_ERROR(nib_llama_check(&c, options, f->diag));
  NIB_RETURN_IF_ERROR(check_weights(f, &c));
  return nib_llama_build(&c, weight_of, f, options, out_graph, f->diag);
}

nib_status nib_import_gguf(const uint8_t *bytes, size_t size, const nib_import_options *options,
                           nib_graph **out_graph, const nib_diag *diag) {
  *out_graph = NULL;
  nib_gguf_file file;
  nib_status status = nib_gguf_open(bytes, size, options->display_path, diag, &file);
  if (status == NIB_OK)
    status = import_file(&file, options, out_graph);
  nib_gguf_close(&file);
  return status;
}
