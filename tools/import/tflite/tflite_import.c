/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_import_tflite: walks the operators of the main subgraph; the tables in tflite_ops_*.c
 * convert. */
#include "graph/validate.h"
#include "import/import_util.h"
#include "import/tflite/tflite_context.h"
#include "num/rounding.h"

#include <stdlib.h>
#include <string.h>

const nib_tfl_op *nib_tfl_find_op(int32_t code) {
  const struct {
    const nib_tfl_op *rows;
    size_t n;
  } tables[] = {{nib_tfl_conv_ops, nib_tfl_n_conv_ops},
                {nib_tfl_math_ops, nib_tfl_n_math_ops},
                {nib_tfl_shape_ops, nib_tfl_n_shape_ops}};
  for (size_t t = 0; t < sizeof tables / sizeof *tables; ++t)
    for (size_t i = 0; i < tables[t].n; ++i)
      if (tables[t].rows[i].code == code)
        return &tables[t].rows[i];
  return NULL;
}

/* UNSUPPORTED has been counted and must not stop the walk: everything unsupported is listed. */
static nib_status keep_going(nib_status status) {
  return status == NIB_ERROR_UNSUPPORTED ? NIB_OK : status;
}

/* Files before schema version 3a have only the byte field; newer ones write the larger of both. */
static int32_t read_code(const nib_fb_table *opcode) {
  int32_t old = nib_fb_i8(opcode, TFL_OPCODE_DEPRECATED_CODE, 0);
  int32_t code = nib_fb_i32(opcode, TFL_OPCODE_BUILTIN_CODE, 0);
  return code > old ? code : old;
}

static void name_operator(nib_tfl_context *c, const nib_fb_table *opcode, int32_t code) {
  enum { CUSTOM = 32 };
  c->op_name = nib_tfl_builtin_name(code);
  if (!c->op_name)
    c->op_name = "unknown";
  nib_fb_vector custom = nib_fb_vec(opcode, TFL_OPCODE_CUSTOM_CODE, 1);
  if (code != CUSTOM || custom.count == 0 || custom.count > 256)
    return;
  const char *bytes = (const char *)c->fb.bytes + custom.at;
  const char *name = nib_import_clean_name(c->graph, bytes, custom.count);
  c->op_name = name ? name : c->op_name;
}

/* Finds what is needed to name the operator in messages; checks the rest of its table. */
static nib_status open_operator(nib_tfl_context *c, int32_t index, int32_t *out_code,
                                int32_t *out_version, uint8_t *out_tag) {
  c->index = index;
  c->op_name = "operator";
  c->name = NULL;
  nib_fb_table table = nib_fb_table_at(&c->operators, (uint32_t)index);
  uint32_t code_index = nib_fb_u32(&table, TFL_OPERATOR_OPCODE_INDEX, 0);
  c->inputs = nib_fb_vec(&table, TFL_OPERATOR_INPUTS, 4);
  c->outputs = nib_fb_vec(&table, TFL_OPERATOR_OUTPUTS, 4);
  *out_tag = nib_fb_u8(&table, TFL_OPERATOR_OPTIONS_TYPE, 0);
  c->op_options = nib_fb_child(&table, TFL_OPERATOR_OPTIONS);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (code_index >= c->opcodes.count)
    return nib_tfl_invalid(c, "operator code %u of %u", code_index, c->opcodes.count);
  nib_fb_table opcode = nib_fb_table_at(&c->opcodes, code_index);
  *out_code = read_code(&opcode);
  *out_version = nib_fb_i32(&opcode, TFL_OPCODE_VERSION, 1);
  name_operator(c, &opcode, *out_code);
  return nib_tfl_check(c);
}

/* Every tensor index must exist; the results become written. */
static nib_status check_operands(nib_tfl_context *c) {
  if (c->inputs.count > NIB_TFL_MAX_INPUTS || c->outputs.count > NIB_TFL_MAX_INPUTS)
    return nib_tfl_unsupported(c, "it has more than %d operands", NIB_TFL_MAX_INPUTS);
  for (uint32_t i = 0; i < c->inputs.count; ++i) {
    int32_t t = nib_fb_i32_at(&c->inputs, i);
    if (t < -1 || (t >= 0 && (uint32_t)t >= c->tensors.count))
      return nib_tfl_invalid(c, "input %u is tensor %d, the model has %u", i, t, c->tensors.count);
  }
  for (uint32_t i = 0; i < c->outputs.count; ++i) {
    int32_t t = nib_fb_i32_at(&c->outputs, i);
    if (t < 0 || (uint32_t)t >= c->tensors.count)
      return nib_tfl_invalid(c, "output %u is tensor %d, the model has %u", i, t, c->tensors.count);
    if (c->written[t])
      return nib_tfl_invalid(c, "its result, tensor %d, is written twice", t);
  }
  return NIB_OK;
}

static void mark_written(nib_tfl_context *c) {
  for (uint32_t i = 0; i < c->outputs.count && i < NIB_TFL_MAX_INPUTS; ++i) {
    int32_t t = nib_fb_i32_at(&c->outputs, i);
    if (t >= 0 && (uint32_t)t < c->tensors.count)
      c->written[t] = 1;
  }
}

static nib_status check_types(nib_tfl_context *c, const nib_tfl_op *row) {
  nib_tfl_tensor t;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, (uint32_t)row->data_input, &t));
  if (!(row->types >> t.format & 1))
    return nib_tfl_unsupported(c, "its input '%s' has type %s", t.name,
                               nib_format_get(t.format)->name);
  return NIB_OK;
}

static nib_status convert_operator(nib_tfl_context *c, int32_t code, int32_t version, uint8_t tag) {
  const nib_tfl_op *row = nib_tfl_find_op(code);
  if (!row)
    return nib_tfl_unsupported(c, "this operator is not supported");
  if (version < row->min_version || version > row->max_version)
    return nib_tfl_unsupported(c, "version %d; versions %d to %d are supported", version,
                               row->min_version, row->max_version);
  if (row->options != TFL_NO_OPTIONS && tag != TFL_NO_OPTIONS && tag != row->options)
    return nib_tfl_invalid(c, "its options are those of another operator (%d)", tag);
  if (row->options == TFL_NO_OPTIONS || tag == TFL_NO_OPTIONS)
    c->op_options = (nib_fb_table){0};
  uint32_t n = c->inputs.count;
  if (n < (uint32_t)row->min_inputs || (row->max_inputs >= 0 && n > (uint32_t)row->max_inputs))
    return nib_tfl_invalid(c, "it has %u inputs", n);
  NIB_RETURN_IF_ERROR(check_types(c, row));
  return row->convert(c);
}

/* The result's name is the operator's. */
static nib_status name_after_result(nib_tfl_context *c) {
  if (c->outputs.count == 0)
    return NIB_OK;
  int32_t first = nib_fb_i32_at(&c->outputs, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_read_name(c, first));
  c->name = c->names[first];
  return NIB_OK;
}

static nib_status walk_operators(nib_tfl_context *c) {
  for (uint32_t i = 0; i < c->operators.count; ++i) {
    int32_t code, version;
    uint8_t tag;
    NIB_RETURN_IF_ERROR(open_operator(c, (int32_t)i, &code, &version, &tag));
    nib_status status = check_operands(c);
    if (status == NIB_OK)
      status = name_after_result(c);
    if (status == NIB_OK)
      status = convert_operator(c, code, version, tag);
    NIB_RETURN_IF_ERROR(keep_going(status));
    mark_written(c);
  }
  c->op_name = NULL;
  return NIB_OK;
}

/* Inputs come before the operators, so that these know what may be read. */
static nib_status read_inputs(nib_tfl_context *c, const nib_fb_vector *list) {
  if (list->count > NIB_TFL_MAX_INPUTS || list->count == 0)
    return nib_tfl_invalid(c, "the model has %u inputs", list->count);
  int32_t ids[NIB_TFL_MAX_INPUTS];
  for (uint32_t i = 0; i < list->count; ++i) {
    int32_t index = nib_fb_i32_at(list, i);
    if (index < 0 || (uint32_t)index >= c->tensors.count)
      return nib_tfl_invalid(c, "input %u is tensor %d, the model has %u", i, index,
                             c->tensors.count);
    if (c->written[index])
      return nib_tfl_invalid(c, "input %u, tensor %d, is listed twice", i, index);
    c->written[index] = 1;
  }
  for (uint32_t i = 0; i < list->count; ++i) {
    nib_tfl_tensor t;
    NIB_RETURN_IF_ERROR(nib_tfl_read_tensor(c, nib_fb_i32_at(list, i), &t));
    if (t.data)
      return nib_tfl_invalid(c, "input '%s' has constant data", t.name);
    NIB_RETURN_IF_ERROR(nib_tfl_value(c, &t, &ids[i]));
  }
  return nib_graph_set_inputs(c->graph, ids, (int32_t)list->count);
}

static nib_status read_outputs(nib_tfl_context *c, const nib_fb_vector *list) {
  if (list->count > NIB_TFL_MAX_INPUTS || list->count == 0)
    return nib_tfl_invalid(c, "the model has %u outputs", list->count);
  int32_t ids[NIB_TFL_MAX_INPUTS];
  for (uint32_t i = 0; i < list->count; ++i) {
    nib_tfl_tensor t;
    int32_t index = nib_fb_i32_at(list, i);
    NIB_RETURN_IF_ERROR(nib_tfl_read_tensor(c, index, &t));
    if (t.data || !c->written[index])
      return nib_tfl_invalid(c, "no operator computes the output '%s'", t.name);
    NIB_RETURN_IF_ERROR(nib_tfl_value(c, &t, &ids[i]));
    if (c->graph->tensors[ids[i]].producer == NIB_NONE && c->n_unsupported == 0)
      return nib_tfl_unsupported(c, "the output '%s' is an input", t.name);
  }
  return nib_graph_set_outputs(c->graph, ids, (int32_t)list->count);
}

static nib_status allocate(nib_tfl_context *c) {
  size_t tensors = c->tensors.count + (size_t)1, buffers = c->buffers.count + (size_t)1;
  bool ok = true;
  for (int role = 0; role < NIB_TFL_ROLE_COUNT; ++role) {
    c->ids[role] = malloc(tensors * sizeof *c->ids[role]);
    ok = ok && c->ids[role];
    for (size_t i = 0; c->ids[role] && i < tensors; ++i)
      c->ids[role][i] = NIB_NONE;
  }
  c->names = calloc(tensors, sizeof *c->names);
  c->written = calloc(tensors, 1);
  c->buffer_copies = calloc(buffers, sizeof *c->buffer_copies);
  if (ok && c->names && c->written && c->buffer_copies)
    return NIB_OK;
  return nib_diag_error(c->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory",
                        c->options->display_path);
}

static void release(nib_tfl_context *c) {
  for (int role = 0; role < NIB_TFL_ROLE_COUNT; ++role)
    free(c->ids[role]);
  free(c->names);
  free(c->written);
  free(c->buffer_copies);
}

/* Opens the file down to the main subgraph's vectors. */
static nib_status open_model(nib_tfl_context *c, const uint8_t *bytes, size_t size,
                             nib_fb_vector *inputs, nib_fb_vector *outputs) {
  nib_fb_table model = nib_fb_open(&c->fb, bytes, size, "TFL3");
  if (!nib_fb_ok(&c->fb))
    return nib_tfl_invalid(c, "not a TFLite file: %s", c->fb.error);
  uint32_t version = nib_fb_u32(&model, TFL_MODEL_VERSION, 0);
  c->opcodes = nib_fb_vec(&model, TFL_MODEL_OPERATOR_CODES, 4);
  c->buffers = nib_fb_vec(&model, TFL_MODEL_BUFFERS, 4);
  nib_fb_vector subgraphs = nib_fb_vec(&model, TFL_MODEL_SUBGRAPHS, 4);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (version != 3)
    return nib_tfl_invalid(c, "schema version %u, expected 3", version);
  if (subgraphs.count == 0)
    return nib_tfl_invalid(c, "the model has no subgraph");
  if (subgraphs.count > 1)
    (void)nib_tfl_unsupported(c, "the model has %u subgraphs (control flow)", subgraphs.count);
  nib_fb_table subgraph = nib_fb_table_at(&subgraphs, 0);
  c->tensors = nib_fb_vec(&subgraph, TFL_SUBGRAPH_TENSORS, 4);
  c->operators = nib_fb_vec(&subgraph, TFL_SUBGRAPH_OPERATORS, 4);
  *inputs = nib_fb_vec(&subgraph, TFL_SUBGRAPH_INPUTS, 4);
  *outputs = nib_fb_vec(&subgraph, TFL_SUBGRAPH_OUTPUTS, 4);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  return allocate(c);
}

/* The whole graph, or, with something unsupported in it and list_only, each node by itself. */
static nib_status validate(nib_tfl_context *c) {
  if (c->n_unsupported == 0)
    return nib_graph_validate(c->graph, c->diag);
  if (!c->options->list_only)
    return NIB_ERROR_UNSUPPORTED;
  for (int32_t i = 0; i < c->graph->n_nodes; ++i)
    NIB_RETURN_IF_ERROR(nib_graph_validate_node(c->graph, i, c->diag));
  return NIB_OK;
}

static nib_status import_model(nib_tfl_context *c, const uint8_t *bytes, size_t size) {
  nib_fb_vector inputs, outputs;
  NIB_RETURN_IF_ERROR(open_model(c, bytes, size, &inputs, &outputs));
  NIB_RETURN_IF_ERROR(keep_going(read_inputs(c, &inputs)));
  NIB_RETURN_IF_ERROR(walk_operators(c));
  NIB_RETURN_IF_ERROR(keep_going(read_outputs(c, &outputs)));
  return validate(c);
}

nib_status nib_import_tflite(const uint8_t *bytes, size_t size, const nib_import_options *options,
                             nib_graph **out_graph, const nib_diag *diag) {
  static const nib_import_options defaults = {.model_name = "model",
                                              .display_path = "model.tflite"};
  *out_graph = NULL;
  nib_import_options chosen = options ? *options : defaults;
  chosen.model_name = chosen.model_name ? chosen.model_name : defaults.model_name;
  chosen.display_path = chosen.display_path ? chosen.display_path : defaults.display_path;
  nib_rounding rounding = nib_rounding_find(chosen.rounding ? chosen.rounding : "tflite-double");
  if (rounding == NIB_ROUNDING_COUNT)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "unknown rounding '%s'", chosen.rounding);
  nib_tfl_context c = {.options = &chosen, .diag = diag};
  c.graph = nib_graph_create(chosen.model_name);
  if (!c.graph)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", chosen.display_path);
  c.graph->rounding = nib_rounding_name(rounding);
  nib_status status = import_model(&c, bytes, size);
  release(&c);
  if (status == NIB_OK)
    *out_graph = c.graph;
  else
    nib_graph_destroy(c.graph);
  return status;
}
