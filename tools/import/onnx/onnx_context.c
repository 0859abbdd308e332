/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Values by name, messages, inputs and attributes of an ONNX operator. */
#include "onnx_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FOLDED_BYTES ((size_t)256 << 20)

static size_t hash_name(const char *name) {
  uint64_t hash = UINT64_C(14695981039346656037);
  for (; *name; ++name)
    hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
  return (size_t)(hash ^ hash >> 32);
}

/* The slot of `name`, or the empty one where it belongs. */
static nib_onnx_name *find_slot(nib_onnx_name *names, size_t n_slots, const char *name) {
  size_t at = hash_name(name) & (n_slots - 1);
  while (names[at].name && strcmp(names[at].name, name))
    at = (at + 1) & (n_slots - 1);
  return &names[at];
}

int32_t nib_onnx_find_value(const nib_onnx_ctx *ctx, const char *name) {
  if (!ctx->n_slots)
    return NIB_ONNX_ABSENT;
  const nib_onnx_name *slot = find_slot(ctx->names, ctx->n_slots, name);
  return slot->name ? slot->value : NIB_ONNX_ABSENT;
}

static bool grow_names(nib_onnx_ctx *ctx) {
  if (ctx->n_names * 2 < ctx->n_slots)
    return true;
  size_t n_slots = ctx->n_slots ? ctx->n_slots * 2 : 256;
  nib_onnx_name *names = calloc(n_slots, sizeof *names);
  if (!names)
    return false;
  for (size_t i = 0; i < ctx->n_slots; ++i)
    if (ctx->names[i].name)
      *find_slot(names, n_slots, ctx->names[i].name) = ctx->names[i];
  free(ctx->names);
  ctx->names = names;
  ctx->n_slots = n_slots;
  return true;
}

int32_t nib_onnx_add_value(nib_onnx_ctx *ctx, const char *name) {
  if (ctx->n_values == ctx->cap_values || !grow_names(ctx))
    return NIB_ONNX_ABSENT; /* the driver reserved room for every name of the file */
  nib_onnx_name *slot = find_slot(ctx->names, ctx->n_slots, name);
  if (slot->name)
    return NIB_ONNX_ABSENT;
  slot->name = name;
  slot->value = ctx->n_values;
  ++ctx->n_names;
  ctx->values[ctx->n_values] =
      (nib_onnx_value){.name = name, .tensor = NIB_NONE, .axis = NIB_ONNX_ABSENT};
  return ctx->n_values++;
}

nib_status nib_onnx_out_of_memory(nib_onnx_ctx *ctx) {
  return ctx->failure = nib_diag_error(ctx->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
}

static void report(nib_onnx_node *n, nib_severity severity, const char *format, va_list args) {
  char reason[512], message[1024];
  vsnprintf(reason, sizeof reason, format, args);
  if (n->index < 0)
    snprintf(message, sizeof message, "output '%.200s': %s", n->name, reason);
  else
    snprintf(message, sizeof message, "operator %d '%.200s' (%.100s): %s", n->index, n->name,
             nib_onnx_text(n->proto->op_type), reason);
  if (n->ctx->diag && n->ctx->diag->emit)
    n->ctx->diag->emit(n->ctx->diag->user, severity, message);
}

nib_status nib_onnx_invalid(nib_onnx_node *n, const char *format, ...) {
  va_list args;
  va_start(args, format);
  report(n, NIB_ERROR, format, args);
  va_end(args);
  return n->ctx->failure = NIB_ERROR_INVALID_INPUT;
}

nib_status nib_onnx_unsupported(nib_onnx_node *n, const char *format, ...) {
  va_list args;
  va_start(args, format);
  report(n, n->ctx->options->list_only ? NIB_NOTE : NIB_ERROR, format, args);
  va_end(args);
  ++n->ctx->n_unsupported;
  return n->ctx->failure = NIB_ERROR_UNSUPPORTED;
}

nib_onnx_value *nib_onnx_input(nib_onnx_node *n, size_t i) {
  if (i >= n->proto->n_input || !n->proto->input[i][0])
    return NULL;
  int32_t id = nib_onnx_find_value(n->ctx, n->proto->input[i]);
  return id == NIB_ONNX_ABSENT ? NULL : &n->ctx->values[id];
}

bool nib_onnx_output_is_used(nib_onnx_node *n, size_t i) {
  if (i >= n->proto->n_output || !n->proto->output[i][0])
    return false;
  int32_t id = nib_onnx_find_value(n->ctx, n->proto->output[i]);
  return id != NIB_ONNX_ABSENT && n->ctx->values[id].is_used;
}

nib_status nib_onnx_require_outputs_unused(nib_onnx_node *n, size_t first) {
  for (size_t i = first; i < n->proto->n_output; ++i)
    if (nib_onnx_output_is_used(n, i))
      return nib_onnx_unsupported(n, "its output %zu '%.100s' is used", i, n->proto->output[i]);
  return NIB_OK;
}

uint8_t *nib_onnx_fold_alloc(nib_onnx_node *n, size_t bytes) {
  nib_onnx_ctx *ctx = n->ctx;
  if (bytes > MAX_FOLDED_BYTES - ctx->folded_bytes) {
    nib_onnx_unsupported(n, "constants computed at import need more than %zu MiB",
                         MAX_FOLDED_BYTES >> 20);
    return NULL;
  }
  ctx->folded_bytes += bytes;
  uint8_t *data = nib_graph_alloc(ctx->graph, bytes < 64 ? 64 : bytes);
  if (!data)
    nib_onnx_out_of_memory(ctx);
  return data;
}

const Onnx__AttributeProto *nib_onnx_attr(const nib_onnx_node *n, const char *name) {
  for (size_t i = 0; i < n->proto->n_attribute; ++i)
    if (!strcmp(nib_onnx_text(n->proto->attribute[i]->name), name))
      return n->proto->attribute[i];
  return NULL;
}

int64_t nib_onnx_attr_int(const nib_onnx_node *n, const char *name, int64_t if_absent) {
  const Onnx__AttributeProto *a = nib_onnx_attr(n, name);
  return a && a->has_i ? a->i : if_absent;
}

float nib_onnx_attr_float(const nib_onnx_node *n, const char *name, float if_absent) {
  const Onnx__AttributeProto *a = nib_onnx_attr(n, name);
  return a && a->has_f ? a->f : if_absent;
}

const char *nib_onnx_attr_string(const nib_onnx_node *n, const char *name, const char *if_absent) {
  const Onnx__AttributeProto *a = nib_onnx_attr(n, name);
  if (!a || !a->has_s)
    return if_absent;
  /* Bytes carry no terminator; all strings that an attribute may hold are short. */
  char *copy = nib_graph_alloc(n->ctx->graph, 64);
  size_t length = a->s.len < 63 ? a->s.len : 63;
  if (!copy)
    return if_absent;
  if (length)
    memcpy(copy, a->s.data, length);
  return copy;
}

nib_status nib_onnx_attr_ints(nib_onnx_node *n, const char *name, int32_t count, int64_t if_absent,
                              int64_t *out) {
  const Onnx__AttributeProto *a = nib_onnx_attr(n, name);
  if (a && a->n_ints != (size_t)count)
    return nib_onnx_invalid(n, "attribute %s has %zu elements, not %d", name, a->n_ints, count);
  for (int32_t i = 0; i < count; ++i)
    out[i] = a ? a->ints[i] : if_absent;
  return NIB_OK;
}

nib_status nib_onnx_constant_ints(nib_onnx_node *n, size_t i, int32_t limit, int64_t *out,
                                  int32_t *out_n) {
  nib_onnx_value *v = nib_onnx_input(n, i);
  *out_n = -1;
  if (!v)
    return NIB_OK;
  if (!v->data)
    return nib_onnx_unsupported(n, "input %zu '%.100s' is not a constant", i, v->name);
  if (v->format != NIB_I64 && v->format != NIB_I32)
    return nib_onnx_invalid(n, "input %zu is %s, not an integer tensor", i,
                            nib_format_get(v->format)->name);
  int64_t count = nib_onnx_count_elems(v->dims, v->rank);
  if (v->rank > 1 || count > limit)
    return nib_onnx_invalid(n, "input %zu has rank %d and %" PRId64 " elements", i, v->rank, count);
  for (int64_t k = 0; k < count; ++k) {
    int32_t narrow;
    if (v->format == NIB_I64)
      memcpy(&out[k], v->data + 8 * k, 8);
    else {
      memcpy(&narrow, v->data + 4 * k, 4);
      out[k] = narrow;
    }
  }
  *out_n = (int32_t)count;
  return NIB_OK;
}

nib_status nib_onnx_ints(nib_onnx_node *n, int64_t since, size_t i, const char *name, int32_t limit,
                         int64_t *out, int32_t *out_n) {
  if (n->ctx->opset >= since)
    return nib_onnx_constant_ints(n, i, limit, out, out_n);
  const Onnx__AttributeProto *a = nib_onnx_attr(n, name);
  *out_n = -1;
  if (!a)
    return NIB_OK;
  if (a->n_ints > (size_t)limit)
    return nib_onnx_invalid(n, "attribute %s has %zu elements", name, a->n_ints);
  if (a->n_ints)
    memcpy(out, a->ints, a->n_ints * sizeof *out);
  *out_n = (int32_t)a->n_ints;
  return NIB_OK;
}

nib_status nib_onnx_normalize_axes(nib_onnx_node *n, int64_t *axes, int32_t count, int32_t rank) {
  uint32_t seen = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (axes[i] < -rank || axes[i] >= rank)
      return nib_onnx_invalid(n, "axis %" PRId64 " does not exist at rank %d", axes[i], rank);
    axes[i] += axes[i] < 0 ? rank : 0;
    if (seen >> axes[i] & 1)
      return nib_onnx_invalid(n, "axis %" PRId64 " is named twice", axes[i]);
    seen |= 1u << axes[i];
  }
  return NIB_OK;
}
