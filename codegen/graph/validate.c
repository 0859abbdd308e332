/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_graph_validate: tensors, links and order. The rules of each operator are in validate_*.c. */
#include "graph/validate.h"

#include "graph/validate_rules.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool nib_count_elems(int32_t rank, const int64_t *dims, int64_t *out_elems) {
  int64_t elems = 1;
  bool empty = false;
  *out_elems = 0;
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0 || dims[i] > NIB_MAX_TENSOR_ELEMS)
      return false;
    empty = empty || dims[i] == 0;
    int64_t factor = dims[i] ? dims[i] : 1;
    if (elems > NIB_MAX_TENSOR_ELEMS / factor)
      return false;
    elems *= factor;
  }
  *out_elems = empty ? 0 : elems;
  return true;
}

void nib_check_fail(nib_check *c, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  ++c->errors;
  int32_t number = c->n->source_index >= 0 ? c->n->source_index : c->index;
  nib_diag_error(c->diag, NIB_ERROR_INVALID_INPUT, "operator %d (%s '%.200s'): %s", number,
                 nib_op_get(c->n->op)->mnemonic, c->n->name ? c->n->name : "", text);
}

/* --- tensors --- */

/* What is wrong with a tensor by itself, or NULL. */
static const char *tensor_problem(const nib_tensor *t) {
  int64_t elems;
  if (!nib_format_is_known(t->format))
    return "unknown format";
  if (t->rank < 0 || t->rank > NIB_MAX_RANK)
    return "more dimensions than are supported";
  if (!nib_count_elems(t->rank, t->dims, &elems))
    return "a negative dimension or too many elements";
  if (elems == 0)
    return "a dimension of 0";
  const nib_format_info *info = nib_format_get(t->format);
  if (info->kind == NIB_KIND_BLOCK && (t->rank < 1 || t->dims[t->rank - 1] % info->block_elems))
    return "a last dimension that its blocks do not divide";
  if (t->data && t->data_bytes != nib_tensor_bytes(t))
    return "constant data of a length that does not fit its shape";
  if (!t->quantized)
    return NULL;
  if ((info->kind != NIB_KIND_SIGNED && info->kind != NIB_KIND_UNSIGNED) || t->format == NIB_I1 ||
      info->bits > 32)
    return "quantization, which its format cannot have";
  if (!isfinite(t->scale) || t->scale <= 0)
    return "a scale that is not positive and finite";
  if (t->scale > 3.4028234663852886e38 || (double)(float)t->scale != t->scale)
    return "a scale that is not a float32 value";
  if (t->zero_point < info->min || t->zero_point > info->max)
    return "a zero point outside its format";
  return NULL;
}

static int check_tensors(const nib_graph *g, const nib_diag *diag) {
  int errors = 0;
  int64_t activation_bytes = 0;
  for (int32_t i = 0; i < g->n_tensors; ++i) {
    const nib_tensor *t = &g->tensors[i];
    const char *problem = tensor_problem(t);
    bool linked = t->producer == NIB_NONE ||
                  (t->producer >= 0 && t->producer < g->n_nodes && g->nodes[t->producer].out == i &&
                   !nib_node_is_erased(&g->nodes[t->producer]));
    if (!problem && !linked)
      problem = "a producer that does not produce it";
    if (!problem && t->data && t->producer != NIB_NONE)
      problem = "both constant data and a producer";
    if (problem) {
      nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "tensor %d '%.200s' has %s", i,
                     t->name ? t->name : "", problem);
      ++errors;
    } else if (!t->data) {
      activation_bytes += (int64_t)nib_tensor_bytes(t);
    }
    if (activation_bytes > NIB_MAX_ACTIVATION_BYTES) {
      nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "the tensors need more than %lld GiB",
                     (long long)(NIB_MAX_ACTIVATION_BYTES >> 30));
      return errors + 1;
    }
  }
  return errors;
}

/* --- nodes --- */

static bool is_tensor(const nib_graph *g, int32_t id) { return id >= 0 && id < g->n_tensors; }

/* Operand count and ids; the rules rely on them. */
static void check_operands(nib_check *c) {
  const nib_node *n = c->n;
  int slots = nib_op_operand_slots(n->op);
  bool variadic = slots > 0 && nib_op_operand_is_variadic(n->op, slots - 1);
  if (n->n_in < 0 || (!variadic && n->n_in > slots)) {
    nib_check_fail(c, "it has %d operands, at most %d are allowed", n->n_in, slots);
    return;
  }
  for (int32_t i = 0; i < n->n_in; ++i) {
    int slot = i < slots ? i : slots - 1;
    if (n->in[i] == NIB_NONE && nib_op_operand_is_optional(n->op, slot))
      continue;
    if (n->in[i] == NIB_NONE)
      nib_check_fail(c, "operand %d is missing", i);
    else if (!is_tensor(c->g, n->in[i]))
      nib_check_fail(c, "operand %d is tensor %d, which does not exist", i, n->in[i]);
  }
  for (int i = n->n_in; i < slots; ++i)
    if (!nib_op_operand_is_optional(n->op, i))
      nib_check_fail(c, "operand %d is missing", i);
  if (!is_tensor(c->g, n->out))
    nib_check_fail(c, "its result is tensor %d, which does not exist", n->out);
}

/* Whether `word` is one of a space-separated list. */
static bool has_word(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)); at += length)
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
      return true;
  return false;
}

static void check_attributes(nib_check *c) {
  for (int32_t i = 0; i < c->n->n_attrs; ++i) {
    const nib_attr *a = &c->n->attrs[i];
    if ((unsigned)a->id >= NIB_ATTR_COUNT) {
      nib_check_fail(c, "it has an unknown attribute");
      continue;
    }
    const nib_attr_info *info = nib_attr_get(a->id);
    if (!has_word(nib_op_get(c->n->op)->attributes, info->name))
      nib_check_fail(c, "it cannot have the attribute '%s'", info->name);
    if (info->kind == NIB_ATTR_FLOAT && isnan(a->u.f))
      nib_check_fail(c, "the attribute '%s' is not a number", info->name);
  }
}

static void check_tensor_of_node(nib_check *c, int32_t id) {
  const nib_tensor *t = &c->g->tensors[id];
  const char *problem = tensor_problem(t);
  if (problem)
    nib_check_fail(c, "tensor '%.200s' has %s", t->name ? t->name : "", problem);
}

/* Blocks are made and read as a whole: no other operator takes them apart. */
static void check_blocks(nib_check *c) {
  static const struct {
    bool result;
    int operands; /* the first ones */
  } rows[NIB_OP_COUNT] = {
      [NIB_OP_CAST] = {true, 1},
      [NIB_OP_RESHAPE] = {true, 1},
      [NIB_OP_SQUEEZE] = {true, 1},
      [NIB_OP_EXPAND_DIMS] = {true, 1},
      [NIB_OP_UNPACK] = {true, 0},
      [NIB_OP_PACK] = {false, 1},
      [NIB_OP_GATHER] = {false, 1},
      [NIB_OP_FULLY_CONNECTED] = {false, 2},
      [NIB_OP_MATMUL] = {false, 2},
      [NIB_OP_CONV2D] = {false, 2},
      [NIB_OP_DEPTHWISE_CONV2D] = {false, 2},
      [NIB_OP_TRANSPOSE_CONV2D] = {false, 2},
      [NIB_OP_CONSTANT] = {true, 0},
  };
  bool refused = nib_is_block(c->out) && !rows[c->n->op].result;
  for (int32_t i = rows[c->n->op].operands; i < c->n->n_in; ++i)
    refused |= c->n->in[i] != NIB_NONE && nib_is_block(&c->g->tensors[c->n->in[i]]);
  if (refused)
    nib_check_fail(c, "it does not take or give elements in blocks");
}

static int check_node(const nib_graph *g, int32_t index, const nib_diag *diag, bool tensors) {
  nib_check c = {.g = g, .diag = diag, .index = index, .n = &g->nodes[index]};
  if ((unsigned)c.n->op >= NIB_OP_COUNT) {
    nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "operator %d has an unknown kind", index);
    return 1;
  }
  check_operands(&c);
  if (c.errors)
    return c.errors;
  check_attributes(&c);
  for (int32_t i = 0; tensors && i < c.n->n_in; ++i)
    if (c.n->in[i] != NIB_NONE)
      check_tensor_of_node(&c, c.n->in[i]);
  if (tensors)
    check_tensor_of_node(&c, c.n->out);
  c.out = &g->tensors[c.n->out];
  if (!c.errors)
    nib_check_common_attributes(&c);
  nib_check_rule *rule = nib_check_rule_of(c.n->op);
  if (!c.errors && rule)
    rule(&c);
  if (!c.errors)
    check_blocks(&c);
  return c.errors;
}

nib_status nib_graph_validate_node(const nib_graph *g, int32_t node, const nib_diag *diag) {
  return check_node(g, node, diag, true) ? NIB_ERROR_INVALID_INPUT : NIB_OK;
}

/* --- the graph --- */

/* Every operand is an input, a constant or the result of an earlier node. */
static int check_order(const nib_graph *g, const nib_diag *diag, bool *available) {
  int errors = 0;
  for (int32_t i = 0; i < g->n_tensors; ++i)
    available[i] = g->tensors[i].data != NULL;
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    int32_t id = g->inputs[i];
    const char *problem = !is_tensor(g, id)                     ? "which does not exist"
                          : g->tensors[id].data                 ? "which is a constant"
                          : g->tensors[id].producer != NIB_NONE ? "which an operator computes"
                          : available[id]                       ? "which is listed twice"
                                                                : NULL;
    if (problem) {
      nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "input %d is tensor %d, %s", i, id, problem);
      ++errors;
      continue;
    }
    available[id] = true;
  }
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    nib_check c = {.g = g, .diag = diag, .index = i, .n = &g->nodes[i]};
    if (nib_node_is_erased(c.n))
      continue;
    for (int32_t k = 0; k < c.n->n_in; ++k)
      if (c.n->in[k] != NIB_NONE && !available[c.n->in[k]])
        nib_check_fail(&c, "it reads '%.200s' before anything has written it",
                       g->tensors[c.n->in[k]].name);
    if (available[c.n->out] || g->tensors[c.n->out].producer != i)
      nib_check_fail(&c, "its result '%.200s' is written twice", g->tensors[c.n->out].name);
    available[c.n->out] = true;
    errors += c.errors;
  }
  for (int32_t i = 0; i < g->n_outputs; ++i)
    if (!is_tensor(g, g->outputs[i]) || !available[g->outputs[i]]) {
      nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                     "output %d is tensor %d, which nothing computes", i, g->outputs[i]);
      ++errors;
    }
  return errors;
}

nib_status nib_graph_validate(const nib_graph *g, const nib_diag *diag) {
  if (g->n_outputs < 1)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "the graph has no outputs");
  int errors = check_tensors(g, diag);
  if (errors)
    return NIB_ERROR_INVALID_INPUT;
  for (int32_t i = 0; i < g->n_nodes; ++i)
    if (!nib_node_is_erased(&g->nodes[i]))
      errors += check_node(g, i, diag, false);
  if (errors)
    return NIB_ERROR_INVALID_INPUT;
  bool *available = calloc((size_t)g->n_tensors + 1, sizeof *available);
  if (!available)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  errors = check_order(g, diag, available);
  free(available);
  return errors ? NIB_ERROR_INVALID_INPUT : NIB_OK;
}
