/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Cast and CastLike. */
#include "onnx_qlinear.h"

#include <string.h>

/* What the standard calls rounding to E8M0; other casts round to nearest even. */
static nib_status read_mode(nib_onnx_node *n, nib_format to, const char **out_mode) {
  static const struct {
    const char *name, *mode;
  } rows[] = {{"up", "up"}, {"down", "down"}, {"nearest", "nearest-away"}};
  const char *name = nib_onnx_attr_string(n, "round_mode", "up");
  *out_mode = NULL;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    if (!strcmp(name, rows[i].name))
      *out_mode = rows[i].mode;
  if (!*out_mode)
    return nib_onnx_invalid(n, "round_mode '%.40s' is unknown", name);
  if (to != NIB_F8E8M0FNU)
    *out_mode = "nearest-even";
  return NIB_OK;
}

static nib_status fold_cast(nib_onnx_node *n, const nib_onnx_value *x, nib_format to,
                            nib_encode_mode mode, bool saturate) {
  const int64_t count = nib_onnx_count_elems(x->dims, x->rank);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * nib_format_bytes(to));
  if (!data)
    return n->ctx->failure;
  nib_format_cast(x->format, x->data, to, data, count, mode, saturate);
  return nib_onnx_set_constant(n, to, x->rank, x->dims, data);
}

static nib_status import_cast_to(nib_onnx_node *n, nib_format to) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const char *mode;
  NIB_RETURN_IF_ERROR(read_mode(n, to, &mode));
  if (to == x->format)
    return nib_onnx_import_identity(n);
  const nib_format_info *info = nib_format_get(to);
  const bool saturate =
      info->kind == NIB_KIND_FLOAT && info->bits <= 8 && nib_onnx_attr_int(n, "saturate", 1) != 0;
  if (x->data)
    return fold_cast(n, x, to, nib_encode_mode_find(mode), saturate);
  const int32_t in = nib_onnx_plain(n, nib_onnx_materialize(n, x));
  const int32_t node = in == NIB_NONE
                           ? NIB_NONE
                           : nib_onnx_emit(n, NIB_OP_CAST, &in, 1, NIB_NONE, x->rank, x->dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  nib_graph *g = n->ctx->graph;
  g->tensors[g->nodes[node].out].format = to;
  nib_status status = NIB_OK;
  if (saturate)
    status = nib_graph_set_int(g, node, NIB_A_SATURATE, 1);
  if (status == NIB_OK && strcmp(mode, "nearest-even"))
    status = nib_graph_set_string(g, node, NIB_A_MODE, mode);
  return status == NIB_OK ? nib_onnx_set_result(n, g->nodes[node].out)
                          : nib_onnx_out_of_memory(n->ctx);
}

nib_status nib_onnx_import_cast(nib_onnx_node *n) {
  const int64_t to = nib_onnx_attr_int(n, "to", 0);
  const nib_format format = to > 0 && to < 128 ? nib_onnx_format((int32_t)to) : NIB_FORMAT_COUNT;
  if (format == NIB_FORMAT_COUNT)
    return nib_onnx_unsupported(n, "to type %s", nib_onnx_type_name(to < 128 ? (int32_t)to : -1));
  return import_cast_to(n, format);
}

nib_status nib_onnx_import_cast_like(nib_onnx_node *n) {
  return import_cast_to(n, nib_onnx_input(n, 1)->format);
}
