/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The ONNX importer: decodes the file, names its values, orders its operators, imports each through
 * its row of the table. */
#include "onnx_internal.h"

#include "import/import_util.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nib_status invalid(const nib_onnx_ctx *ctx, const char *what, const char *name) {
  return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT, what, name);
}

/* The default domain's operator set. */
static nib_status read_opset(nib_onnx_ctx *ctx, const Onnx__ModelProto *model) {
  for (size_t i = 0; i < model->n_opset_import; ++i)
    if (!nib_onnx_text(model->opset_import[i]->domain)[0] ||
        !strcmp(model->opset_import[i]->domain, "ai.onnx"))
      ctx->opset = model->opset_import[i]->version;
  if (!model->graph)
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT, "the ONNX file has no graph");
  if (ctx->opset < NIB_ONNX_FIRST_OPSET || ctx->opset > NIB_ONNX_LAST_OPSET)
    return nib_diag_error(ctx->diag, NIB_ERROR_UNSUPPORTED,
                          "operator set %" PRId64 " is not supported, only %d to %d", ctx->opset,
                          NIB_ONNX_FIRST_OPSET, NIB_ONNX_LAST_OPSET);
  if (model->graph->n_sparse_initializer)
    return nib_diag_error(ctx->diag, NIB_ERROR_UNSUPPORTED,
                          "sparse initializers are not supported");
  return NIB_OK;
}

/* Room for every name that the file may define, so that values never move. */
static nib_status reserve_values(nib_onnx_ctx *ctx) {
  const Onnx__GraphProto *g = ctx->proto;
  size_t count = g->n_input + g->n_initializer;
  for (size_t i = 0; i < g->n_node; ++i)
    count += g->node[i]->n_output;
  if (g->n_node > INT32_MAX / 4 || count > INT32_MAX / 4)
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT, "the graph is too large");
  ctx->values = calloc(count + 1, sizeof *ctx->values);
  ctx->cap_values = (int32_t)count;
  return ctx->values ? NIB_OK : nib_onnx_out_of_memory(ctx);
}

static nib_status add_initializers(nib_onnx_ctx *ctx) {
  for (size_t i = 0; i < ctx->proto->n_initializer; ++i) {
    const Onnx__TensorProto *t = ctx->proto->initializer[i];
    const char *name = nib_onnx_text(t->name);
    int32_t id = name[0] ? nib_onnx_add_value(ctx, name) : NIB_ONNX_ABSENT;
    if (id == NIB_ONNX_ABSENT)
      return invalid(ctx, "initializer '%.200s' has no name or is defined twice", name);
    char where[300];
    snprintf(where, sizeof where, "initializer '%.200s'", name);
    nib_onnx_value *v = &ctx->values[id];
    nib_status status =
        nib_onnx_read_tensor(t, ctx->graph, ctx->options->base_dir, where, v, ctx->diag);
    if (status == NIB_ERROR_UNSUPPORTED)
      ++ctx->n_unsupported;
    else if (status != NIB_OK)
      return status;
  }
  return NIB_OK;
}

/* The name that --dim gives to a dimension that is not a number: its own, or "INPUT.INDEX". */
typedef struct dim_label {
  char made_up[300];
  const char *text;
} dim_label;

static const char *label_dim(const char *input, size_t i,
                             const Onnx__TensorShapeProto__Dimension *d, dim_label *label) {
  const bool named = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
  label->text = named ? nib_onnx_text(d->dim_param) : "";
  if (!label->text[0]) {
    snprintf(label->made_up, sizeof label->made_up, "%.200s.%zu", input, i);
    label->text = label->made_up;
  }
  return label->text;
}

static bool is_symbolic(const Onnx__TensorShapeProto__Dimension *d, size_t i) {
  return d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
         (d->dim_value < 0 && i == 0);
}

/* A dimension that is not a number: from --dim, or 1 where it leads. */
static nib_status bind_dim(nib_onnx_ctx *ctx, const char *input, size_t i,
                           const Onnx__TensorShapeProto__Dimension *d, const nib_onnx_value *v,
                           int64_t *out) {
  dim_label label;
  if (v->given && v->given->data && v->given->rank == v->rank && v->given->dims[i] > 0) {
    *out = v->given->dims[i];
    return NIB_OK;
  }
  const char *name = label_dim(input, i, d, &label);
  for (size_t k = 0; k < ctx->options->n_dims; ++k)
    if (!strcmp(ctx->options->dims[k].name, name)) {
      *out = ctx->options->dims[k].value;
      return *out > 0 ? NIB_OK
                      : nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT,
                                       "--dim %s=%" PRId64 " is not positive", name, *out);
    }
  if (i > 0)
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT,
                          "input '%.200s': dimension %zu is '%.200s'; give --dim %.200s=N", input,
                          i, name, name);
  *out = 1;
  nib_diag_note(ctx->diag, "input '%.200s': leading dimension '%.200s' taken as 1 (--dim %.200s=N)",
                input, name, name);
  return NIB_OK;
}

static nib_status read_shape(nib_onnx_ctx *ctx, const char *name,
                             const Onnx__TensorShapeProto *shape, nib_onnx_value *v) {
  if (shape->n_dim > NIB_MAX_RANK) {
    ++ctx->n_unsupported;
    return nib_diag_error(ctx->diag, NIB_ERROR_UNSUPPORTED, "input '%.200s': rank %zu is above %d",
                          name, shape->n_dim, NIB_MAX_RANK);
  }
  v->rank = (int32_t)shape->n_dim;
  for (size_t i = 0; i < shape->n_dim; ++i) {
    const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0)
      v->dims[i] = d->dim_value;
    else if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
             d->dim_value < 0 && i > 0)
      return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT,
                            "input '%.200s': dimension %zu is %" PRId64, name, i, d->dim_value);
    else
      NIB_RETURN_IF_ERROR(bind_dim(ctx, name, i, d, v, &v->dims[i]));
  }
  if (nib_onnx_count_elems(v->dims, v->rank) < 0)
    return invalid(ctx, "input '%.200s': its shape is too large", name);
  return NIB_OK;
}

static nib_status add_input(nib_onnx_ctx *ctx, const Onnx__ValueInfoProto *info,
                            nib_input_value *given) {
  const char *name = nib_onnx_text(info->name);
  if (!name[0])
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT, "an input has no name");
  if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
    ++ctx->n_unsupported;
    nib_onnx_add_value(ctx, name);
    return nib_diag_error(ctx->diag, NIB_ERROR_UNSUPPORTED, "input '%.200s' is not a tensor", name);
  }
  const Onnx__TypeProto__Tensor *type = info->type->tensor_type;
  int32_t id = nib_onnx_add_value(ctx, name);
  if (id == NIB_ONNX_ABSENT)
    return nib_onnx_out_of_memory(ctx);
  nib_onnx_value *v = &ctx->values[id];
  v->given = given;
  v->is_input = true;
  if (given)
    snprintf(given->name, sizeof given->name, "%s", name);
  v->format = nib_onnx_format(type->elem_type);
  if (v->format == NIB_FORMAT_COUNT) {
    ++ctx->n_unsupported;
    return nib_diag_error(ctx->diag, NIB_ERROR_UNSUPPORTED,
                          "input '%.200s': type %s is not supported", name,
                          nib_onnx_type_name(type->elem_type));
  }
  if (!type->shape)
    return invalid(ctx, "input '%.200s' has no shape", name);
  NIB_RETURN_IF_ERROR(read_shape(ctx, name, type->shape, v));
  if (nib_onnx_count_elems(v->dims, v->rank) == 0) { /* nothing to bring: a constant */
    static const uint8_t nothing[1];
    v->data = nothing;
    v->is_input = false;
    v->is_known = true;
    if (given)
      given->is_constant = true;
    return NIB_OK;
  }
  const char *clean = nib_import_clean_name(ctx->graph, name, strlen(name));
  v->tensor = nib_graph_add_tensor(ctx->graph, clean, v->format, v->rank, v->dims);
  v->is_known = v->tensor != NIB_NONE;
  return v->is_known ? NIB_OK : nib_onnx_out_of_memory(ctx);
}

/* Whether an input has the dimension `name`; the names of all are appended to `list`. */
static bool find_dim(const nib_onnx_ctx *ctx, const char *name, char *list, size_t size) {
  const Onnx__GraphProto *g = ctx->proto;
  size_t used = 0;
  for (size_t k = 0; k < g->n_input; ++k) {
    const Onnx__TypeProto *type = g->input[k]->type;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        !type->tensor_type->shape)
      continue;
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    for (size_t i = 0; i < shape->n_dim; ++i) {
      dim_label label;
      if (!is_symbolic(shape->dim[i], i))
        continue;
      if (!strcmp(label_dim(nib_onnx_text(g->input[k]->name), i, shape->dim[i], &label), name))
        return true;
      if (used < size)
        used +=
            (size_t)snprintf(list + used, size - used, "%s'%.200s'", used ? ", " : "", label.text);
    }
  }
  return false;
}

/* A --dim that no input has is a mistake. */
static nib_status check_bindings(nib_onnx_ctx *ctx) {
  for (size_t k = 0; k < ctx->options->n_dims; ++k) {
    const char *name = ctx->options->dims[k].name;
    char list[1024] = "";
    if (find_dim(ctx, name, list, sizeof list))
      continue;
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_USAGE,
                          "--dim %.200s=%" PRId64 ": the model has no such dimension; %s%s", name,
                          ctx->options->dims[k].value,
                          list[0] ? "it has " : "all of its dimensions are numbers", list);
  }
  return NIB_OK;
}

static nib_status add_inputs(nib_onnx_ctx *ctx) {
  NIB_RETURN_IF_ERROR(check_bindings(ctx));
  const Onnx__GraphProto *g = ctx->proto;
  int32_t *ids = calloc(g->n_input + 1, sizeof *ids), n = 0;
  size_t position = 0;
  nib_status status = ids ? NIB_OK : nib_onnx_out_of_memory(ctx);
  for (size_t i = 0; ids && i < g->n_input && status == NIB_OK; ++i) {
    int32_t before = ctx->n_values;
    int32_t known = nib_onnx_find_value(ctx, nib_onnx_text(g->input[i]->name));
    if (known != NIB_ONNX_ABSENT) { /* an initializer: not an input of the network */
      if (ctx->values[known].tensor != NIB_NONE)
        status = invalid(ctx, "input '%.200s' is there twice", ctx->values[known].name);
      continue;
    }
    nib_input_value *given =
        position < ctx->options->n_inputs ? &ctx->options->inputs[position] : NULL;
    ++position;
    status = add_input(ctx, g->input[i], given);
    if (status == NIB_OK && ctx->values[before].tensor != NIB_NONE)
      ids[n++] = ctx->values[before].tensor;
    else if (status == NIB_ERROR_UNSUPPORTED && ctx->n_values > before)
      status = NIB_OK; /* counted; go on and list the others */
  }
  if (status == NIB_OK && nib_graph_set_inputs(ctx->graph, ids, n) != NIB_OK)
    status = nib_onnx_out_of_memory(ctx);
  free(ids);
  return status;
}

/* Names of all results, and which values are read. */
static nib_status add_results(nib_onnx_ctx *ctx) {
  const Onnx__GraphProto *g = ctx->proto;
  for (size_t i = 0; i < g->n_node; ++i)
    for (size_t k = 0; k < g->node[i]->n_output; ++k) {
      const char *name = g->node[i]->output[k];
      if (name[0] && nib_onnx_add_value(ctx, name) == NIB_ONNX_ABSENT)
        return invalid(ctx, "'%.200s' is defined twice", name);
    }
  for (size_t i = 0; i < g->n_node; ++i)
    for (size_t k = 0; k < g->node[i]->n_input; ++k) {
      const char *name = g->node[i]->input[k];
      int32_t id = nib_onnx_find_value(ctx, name);
      if (name[0] && id == NIB_ONNX_ABSENT)
        return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT,
                              "operator %zu reads '%.200s', which nothing defines", i, name);
      if (name[0])
        ctx->values[id].is_used = true;
    }
  for (size_t i = 0; i < g->n_output; ++i) {
    int32_t id = nib_onnx_find_value(ctx, nib_onnx_text(g->output[i]->name));
    if (id == NIB_ONNX_ABSENT)
      return invalid(ctx, "output '%.200s' is not defined", nib_onnx_text(g->output[i]->name));
    ctx->values[id].is_used = true;
  }
  return NIB_OK;
}

/* One edge of the ordering: value → operator that reads it, in a list per producing operator. */
typedef struct order {
  int32_t *missing;  /* operators: inputs not yet there */
  int32_t *producer; /* values: operator, or NIB_NONE */
  int32_t *first;    /* operators: head of their readers, or NIB_NONE */
  int32_t *next, *reader;
  int32_t *sorted, *stack;
} order;

static void free_order(order *o) {
  free(o->missing);
  free(o->producer);
  free(o->first);
  free(o->next);
  free(o->reader);
  free(o->sorted);
  free(o->stack);
}

static bool alloc_order(order *o, size_t nodes, size_t values, size_t edges) {
  o->missing = calloc(nodes + 1, sizeof(int32_t));
  o->producer = calloc(values + 1, sizeof(int32_t));
  o->first = calloc(nodes + 1, sizeof(int32_t));
  o->next = calloc(edges + 1, sizeof(int32_t));
  o->reader = calloc(edges + 1, sizeof(int32_t));
  o->sorted = calloc(nodes + 1, sizeof(int32_t));
  o->stack = calloc(nodes + 1, sizeof(int32_t));
  return o->missing && o->producer && o->first && o->next && o->reader && o->sorted && o->stack;
}

static void link_order(const nib_onnx_ctx *ctx, order *o) {
  const Onnx__GraphProto *g = ctx->proto;
  for (int32_t v = 0; v < ctx->n_values; ++v)
    o->producer[v] = NIB_NONE;
  for (size_t i = 0; i < g->n_node; ++i) {
    o->first[i] = NIB_NONE;
    for (size_t k = 0; k < g->node[i]->n_output; ++k)
      if (g->node[i]->output[k][0])
        o->producer[nib_onnx_find_value(ctx, g->node[i]->output[k])] = (int32_t)i;
  }
  int32_t edge = 0;
  for (size_t i = 0; i < g->n_node; ++i)
    for (size_t k = 0; k < g->node[i]->n_input; ++k) {
      const char *name = g->node[i]->input[k];
      int32_t from = name[0] ? o->producer[nib_onnx_find_value(ctx, name)] : NIB_NONE;
      if (from == NIB_NONE)
        continue;
      o->reader[edge] = (int32_t)i;
      o->next[edge] = o->first[from];
      o->first[from] = edge++;
      ++o->missing[i];
    }
}

/* Operators in an order in which each follows those it reads; the file's order where that holds. */
static nib_status sort_nodes(nib_onnx_ctx *ctx, order *o) {
  const Onnx__GraphProto *g = ctx->proto;
  size_t edges = 0;
  for (size_t i = 0; i < g->n_node; ++i)
    edges += g->node[i]->n_input;
  if (edges > INT32_MAX / 4)
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT, "the graph is too large");
  if (!alloc_order(o, g->n_node, (size_t)ctx->n_values, edges))
    return nib_onnx_out_of_memory(ctx);
  link_order(ctx, o);
  int32_t n_sorted = 0, n_stack = 0;
  for (int32_t i = 0; i < (int32_t)g->n_node; ++i) {
    if (o->missing[i] == 0)
      o->stack[n_stack++] = i;
    while (n_stack) {
      int32_t at = o->stack[--n_stack];
      o->missing[at] = -1;
      o->sorted[n_sorted++] = at;
      for (int32_t e = o->first[at]; e != NIB_NONE; e = o->next[e])
        if (--o->missing[o->reader[e]] == 0 && o->reader[e] < i)
          o->stack[n_stack++] = o->reader[e];
    }
  }
  if (n_sorted != (int32_t)g->n_node)
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT,
                          "the operators depend on each other in a cycle");
  return NIB_OK;
}

static const char *node_name(const Onnx__NodeProto *p) {
  if (nib_onnx_text(p->name)[0])
    return p->name;
  for (size_t i = 0; i < p->n_output; ++i)
    if (p->output[i][0])
      return p->output[i];
  return "";
}

/* Everything about an operator that can be told without its handler. */
static nib_status find_handler(nib_onnx_node *n, const nib_onnx_row **out_row) {
  const Onnx__NodeProto *p = n->proto;
  const char *domain = nib_onnx_text(p->domain), *op = nib_onnx_text(p->op_type);
  const bool preview = !strcmp(op, "FlexAttention") && !strcmp(domain, "ai.onnx.preview");
  if (preview)
    domain = "";
  bool known = false;
  *out_row = nib_onnx_find_row(domain, op, n->ctx->opset, &known);
  if (!*out_row && !known && !nib_onnx_knows_domain(domain))
    return nib_onnx_unsupported(n, "domain '%.100s' is not supported", domain);
  if (!*out_row && known)
    return nib_onnx_unsupported(n, "not supported in operator set %" PRId64, n->ctx->opset);
  if (!*out_row)
    return nib_onnx_unsupported(n, "the operator is not supported");
  size_t n_named = 0;
  for (size_t i = 0; i < p->n_output; ++i)
    n_named += p->output[i][0] != 0;
  if (n_named == 0)
    return nib_onnx_invalid(n, "it has no output");
  size_t least = (size_t)(*out_row)->min_inputs, most = (size_t)(*out_row)->max_inputs;
  size_t count = p->n_input;
  while (count && !p->input[count - 1][0])
    --count;
  if (count < least || count > most)
    return nib_onnx_invalid(n, "it has %zu inputs", count);
  for (size_t i = 0; i < least; ++i)
    if (!p->input[i][0])
      return nib_onnx_invalid(n, "its input %zu is missing", i);
  return NIB_OK;
}

/* Few operators have a result without elements to work on. */
static nib_status require_elements(nib_onnx_node *n) {
  static const char *const known[] = {"Reduce", "Shape", "Size", "ConstantOfShape", "Reshape"};
  const nib_onnx_value *x = n->proto->n_input ? nib_onnx_input(n, 0) : NULL;
  if (!x || !x->is_known || nib_onnx_count_elems(x->dims, x->rank) != 0 || !x->given)
    return NIB_OK;
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    if (!strncmp(n->proto->op_type, known[i], strlen(known[i])))
      return NIB_OK;
  return nib_onnx_unsupported(n, "a tensor without elements");
}

static nib_status import_node(nib_onnx_ctx *ctx, int32_t index) {
  nib_onnx_node n = {ctx, ctx->proto->node[index], index, node_name(ctx->proto->node[index]), NULL};
  NIB_RETURN_IF_ERROR(find_handler(&n, &n.row));
  NIB_RETURN_IF_ERROR(nib_onnx_bind_constants(&n));
  NIB_RETURN_IF_ERROR(require_elements(&n));
  for (size_t i = 0; i < n.proto->n_input; ++i) {
    const nib_onnx_value *v = nib_onnx_input(&n, i);
    if (v && !v->is_known)
      return NIB_ERROR_UNSUPPORTED; /* behind an operator that was reported */
  }
  return n.row->import(&n);
}

static nib_status import_nodes(nib_onnx_ctx *ctx) {
  order o = {0};
  nib_status status = sort_nodes(ctx, &o);
  for (size_t i = 0; status == NIB_OK && i < ctx->proto->n_node; ++i) {
    status = import_node(ctx, o.sorted[i]);
    if (status == NIB_ERROR_UNSUPPORTED)
      status = NIB_OK; /* counted and reported; go on and list the others */
  }
  free_order(&o);
  return status;
}

/* The tensor of an output: its own, never an input, a constant, or another output's. */
static int32_t output_tensor(nib_onnx_ctx *ctx, nib_onnx_value *v, const int32_t *earlier,
                             int32_t n_earlier) {
  char *results[] = {(char *)(uintptr_t)v->name};
  Onnx__NodeProto proto = ONNX__NODE_PROTO__INIT;
  proto.output = results;
  proto.n_output = 1;
  nib_onnx_node n = {ctx, &proto, -1, v->name, NULL};
  int32_t t = nib_onnx_materialize(&n, v);
  if (t == NIB_NONE)
    return NIB_NONE;
  bool shared = ctx->graph->tensors[t].producer == NIB_NONE;
  for (int32_t i = 0; i < n_earlier; ++i)
    shared |= earlier[i] == t;
  if (!shared) {
    const char *name = nib_import_clean_name(ctx->graph, v->name, strlen(v->name));
    ctx->graph->tensors[t].name = name ? name : "";
    return t;
  }
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, v->dims, sizeof dims);
  return nib_onnx_emit_reshape(&n, NIB_OP_RESHAPE, t, v->rank, dims, "");
}

static nib_status set_outputs(nib_onnx_ctx *ctx) {
  const Onnx__GraphProto *g = ctx->proto;
  if (!g->n_output)
    return nib_diag_error(ctx->diag, NIB_ERROR_INVALID_INPUT, "the graph has no outputs");
  if (g->n_output > 4096)
    return nib_diag_error(ctx->diag, NIB_ERROR_UNSUPPORTED, "more than 4096 outputs");
  int32_t *ids = calloc(g->n_output, sizeof *ids), n = 0;
  nib_status status = ids ? NIB_OK : nib_onnx_out_of_memory(ctx);
  for (size_t i = 0; ids && i < g->n_output && status == NIB_OK; ++i) {
    int32_t id = nib_onnx_find_value(ctx, nib_onnx_text(g->output[i]->name));
    if (!ctx->values[id].is_known)
      continue; /* list_only: behind an unsupported operator */
    ids[n] = output_tensor(ctx, &ctx->values[id], ids, n);
    if (ids[n++] == NIB_NONE)
      status = ctx->failure;
  }
  if (status == NIB_OK && nib_graph_set_outputs(ctx->graph, ids, n) != NIB_OK)
    status = nib_onnx_out_of_memory(ctx);
  free(ids);
  return status;
}

static nib_status build(nib_onnx_ctx *ctx) {
  NIB_RETURN_IF_ERROR(reserve_values(ctx));
  NIB_RETURN_IF_ERROR(add_initializers(ctx));
  NIB_RETURN_IF_ERROR(add_inputs(ctx));
  NIB_RETURN_IF_ERROR(add_results(ctx));
  NIB_RETURN_IF_ERROR(import_nodes(ctx));
  if (ctx->n_unsupported && !ctx->options->list_only)
    return NIB_ERROR_UNSUPPORTED;
  NIB_RETURN_IF_ERROR(set_outputs(ctx));
  if (!ctx->n_unsupported)
    NIB_RETURN_IF_ERROR(nib_onnx_widen_reals(ctx));
  NIB_RETURN_IF_ERROR(nib_onnx_drop_inputs(ctx));
  if (ctx->n_unsupported)
    return NIB_OK; /* list_only: incomplete by design */
  if (ctx->options->rounding)
    ctx->graph->rounding = nib_graph_strdup(ctx->graph, ctx->options->rounding);
  return nib_graph_validate(ctx->graph, ctx->diag);
}

nib_status nib_import_onnx(const uint8_t *bytes, size_t size, const nib_import_options *options,
                           nib_graph **out_graph, const nib_diag *diag) {
  *out_graph = NULL;
  nib_onnx_pool pool;
  nib_onnx_init_pool(&pool, size);
  ProtobufCMessage *message =
      nib_onnx_decode(&pool, &onnx__model_proto__descriptor, bytes, size, diag);
  if (!message)
    return NIB_ERROR_INVALID_INPUT;
  const Onnx__ModelProto *model = (const Onnx__ModelProto *)message;
  nib_onnx_ctx ctx = {.options = options, .diag = diag, .proto = model->graph};
  ctx.graph = nib_graph_create(options->model_name);
  nib_status status = ctx.graph ? read_opset(&ctx, model) : nib_onnx_out_of_memory(&ctx);
  if (status == NIB_OK)
    status = build(&ctx);
  free(ctx.values);
  free(ctx.names);
  protobuf_c_message_free_unpacked(message, &pool.allocator);
  if (status == NIB_OK)
    *out_graph = ctx.graph;
  else
    nib_graph_destroy(ctx.graph);
  return status;
}
