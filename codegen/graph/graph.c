/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_graph: building and reading. Rewriting is in rewrite.c, checks are in validate.c. */
#include "graph/graph.h"

#include "graph/arena.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ENTRIES (INT32_MAX / 4)

void *nib_graph_alloc(nib_graph *g, size_t bytes) { return nib_arena_alloc(g->arena, bytes); }

const char *nib_graph_strdup(nib_graph *g, const char *s) {
  size_t bytes = strlen(s) + 1;
  char *copy = nib_graph_alloc(g, bytes);
  if (copy)
    memcpy(copy, s, bytes);
  return copy;
}

/* `name` with every character that cannot be in a C identifier replaced by '_'. */
static const char *make_identifier(nib_graph *g, const char *name) {
  size_t length = strlen(name);
  bool prefix = length == 0 || isdigit((unsigned char)name[0]);
  char *id = nib_graph_alloc(g, length + 3);
  if (!id)
    return NULL;
  char *to = id;
  if (prefix)
    *to++ = 'm';
  for (; *name; ++name)
    *to++ = isalnum((unsigned char)*name) && (unsigned char)*name < 128 ? *name : '_';
  *to = '\0';
  return id;
}

nib_graph *nib_graph_create(const char *name) {
  nib_graph *g = calloc(1, sizeof *g);
  if (!g)
    return NULL;
  g->arena = nib_arena_create();
  g->name = g->arena ? make_identifier(g, name ? name : "model") : NULL;
  g->rounding = "nearest-even";
  g->arena_bytes = g->lower_bound_bytes = g->unfused_lower_bound_bytes = -1;
  g->proven_bound_bytes = -1;
  if (!g->name) {
    nib_graph_destroy(g);
    return NULL;
  }
  return g;
}

void nib_graph_destroy(nib_graph *g) {
  if (!g)
    return;
  free(g->tensors);
  free(g->nodes);
  free(g->kernels);
  nib_arena_destroy(g->arena);
  free(g);
}

/* Makes room for one more entry of `bytes` in a growing array; false when out of memory. */
static bool grow(void **array, int32_t count, int32_t *capacity, size_t bytes) {
  if (count < *capacity)
    return true;
  if (count >= MAX_ENTRIES)
    return false;
  int32_t wanted = *capacity ? *capacity * 2 : 32;
  void *larger = realloc(*array, (size_t)wanted * bytes);
  if (!larger)
    return false;
  *array = larger;
  *capacity = wanted;
  return true;
}

static void *copy_array(nib_graph *g, const void *from, size_t bytes) {
  void *copy = nib_graph_alloc(g, bytes ? bytes : 1);
  if (copy && bytes)
    memcpy(copy, from, bytes);
  return copy;
}

int32_t nib_graph_add_tensor(nib_graph *g, const char *name, nib_format format, int32_t rank,
                             const int64_t *dims) {
  if (rank < 0 || rank > NIB_MAX_RANK ||
      !grow((void **)&g->tensors, g->n_tensors, &g->cap_tensors, sizeof *g->tensors))
    return NIB_NONE;
  nib_tensor t = {.name = nib_graph_strdup(g, name ? name : ""),
                  .format = format,
                  .rank = rank,
                  .producer = NIB_NONE,
                  .alias_of = NIB_NONE,
                  .arena_offset = -1};
  if (!t.name)
    return NIB_NONE;
  if (rank)
    memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
  g->tensors[g->n_tensors] = t;
  return g->n_tensors++;
}

void nib_graph_set_quant(nib_graph *g, int32_t tensor, double scale, int64_t zero_point) {
  nib_tensor *t = &g->tensors[tensor];
  t->quantized = true;
  t->scale = scale;
  t->zero_point = zero_point;
}

nib_status nib_graph_set_data(nib_graph *g, int32_t tensor, const void *data, size_t data_bytes,
                              nib_data_mode mode) {
  nib_tensor *t = &g->tensors[tensor];
  if (mode == NIB_DATA_COPY) {
    /* 64 bytes at least, so that the arena aligns it for vector loads. */
    void *copy = nib_graph_alloc(g, data_bytes < 64 ? 64 : data_bytes);
    if (!copy)
      return NIB_ERROR_OUT_OF_MEMORY;
    if (data_bytes)
      memcpy(copy, data, data_bytes);
    data = copy;
  }
  t->data = data;
  t->data_bytes = data_bytes;
  t->origin = NULL;
  return NIB_OK;
}

int32_t nib_graph_add_node(nib_graph *g, nib_op op, const char *name, int32_t source_index,
                           const int32_t *in, int32_t n_in, int32_t out) {
  if (!grow((void **)&g->nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes))
    return NIB_NONE;
  nib_node n = {.op = op,
                .name = nib_graph_strdup(g, name ? name : ""),
                .source_index = source_index,
                .n_in = n_in,
                .in = copy_array(g, in, (size_t)n_in * sizeof *in),
                .out = out,
                .kernel = NIB_NONE};
  if (!n.name || !n.in)
    return NIB_NONE;
  g->nodes[g->n_nodes] = n;
  if (out != NIB_NONE)
    g->tensors[out].producer = g->n_nodes;
  return g->n_nodes++;
}

/* The attribute's entry, added if absent; NULL when out of memory. */
static nib_attr *attr_slot(nib_graph *g, int32_t node, nib_attr_id id) {
  nib_node *n = &g->nodes[node];
  for (int32_t i = 0; i < n->n_attrs; ++i)
    if (n->attrs[i].id == id)
      return &n->attrs[i];
  nib_attr *attrs = nib_graph_alloc(g, (size_t)(n->n_attrs + 1) * sizeof *attrs);
  if (!attrs)
    return NULL;
  if (n->n_attrs)
    memcpy(attrs, n->attrs, (size_t)n->n_attrs * sizeof *attrs);
  attrs[n->n_attrs].id = id;
  n->attrs = attrs;
  return &attrs[n->n_attrs++];
}

nib_status nib_graph_set_int(nib_graph *g, int32_t node, nib_attr_id id, int64_t value) {
  nib_attr *a = attr_slot(g, node, id);
  if (!a)
    return NIB_ERROR_OUT_OF_MEMORY;
  a->u.i = value;
  return NIB_OK;
}

nib_status nib_graph_set_ints(nib_graph *g, int32_t node, nib_attr_id id, const int64_t *v,
                              int32_t n) {
  nib_attr *a = attr_slot(g, node, id);
  const int64_t *copy = copy_array(g, v, (size_t)n * sizeof *v);
  if (!a || !copy)
    return NIB_ERROR_OUT_OF_MEMORY;
  a->u.ints.v = copy;
  a->u.ints.n = n;
  return NIB_OK;
}

nib_status nib_graph_set_float(nib_graph *g, int32_t node, nib_attr_id id, double value) {
  nib_attr *a = attr_slot(g, node, id);
  if (!a)
    return NIB_ERROR_OUT_OF_MEMORY;
  a->u.f = value;
  return NIB_OK;
}

nib_status nib_graph_set_string(nib_graph *g, int32_t node, nib_attr_id id, const char *value) {
  nib_attr *a = attr_slot(g, node, id);
  const char *copy = nib_graph_strdup(g, value);
  if (!a || !copy)
    return NIB_ERROR_OUT_OF_MEMORY;
  a->u.s = copy;
  return NIB_OK;
}

void nib_graph_clear_attr(nib_graph *g, int32_t node, nib_attr_id id) {
  nib_node *n = &g->nodes[node];
  int32_t kept = 0;
  for (int32_t i = 0; i < n->n_attrs; ++i)
    if (n->attrs[i].id != id)
      n->attrs[kept++] = n->attrs[i];
  n->n_attrs = kept;
}

nib_status nib_graph_set_inputs(nib_graph *g, const int32_t *tensors, int32_t n) {
  g->inputs = copy_array(g, tensors, (size_t)n * sizeof *tensors);
  g->n_inputs = g->inputs ? n : 0;
  return g->inputs ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_graph_set_outputs(nib_graph *g, const int32_t *tensors, int32_t n) {
  g->outputs = copy_array(g, tensors, (size_t)n * sizeof *tensors);
  g->n_outputs = g->outputs ? n : 0;
  return g->outputs ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

int32_t nib_graph_add_kernel(nib_graph *g, const char *name, const int32_t *nodes, int32_t n) {
  if (!grow((void **)&g->kernels, g->n_kernels, &g->cap_kernels, sizeof *g->kernels))
    return NIB_NONE;
  nib_kernel k = {.name = make_identifier(g, name),
                  .n_nodes = n,
                  .nodes = copy_array(g, nodes, (size_t)n * sizeof *nodes),
                  .scratch_offset = -1};
  if (!k.name || !k.nodes)
    return NIB_NONE;
  for (int32_t i = 0; i < n; ++i)
    g->nodes[nodes[i]].kernel = g->n_kernels;
  g->kernels[g->n_kernels] = k;
  return g->n_kernels++;
}

const nib_attr *nib_node_attr(const nib_node *n, nib_attr_id id) {
  for (int32_t i = 0; i < n->n_attrs; ++i)
    if (n->attrs[i].id == id)
      return &n->attrs[i];
  return NULL;
}

int64_t nib_node_int(const nib_node *n, nib_attr_id id, int64_t if_absent) {
  const nib_attr *a = nib_node_attr(n, id);
  return a ? a->u.i : if_absent;
}

double nib_node_float(const nib_node *n, nib_attr_id id, double if_absent) {
  const nib_attr *a = nib_node_attr(n, id);
  return a ? a->u.f : if_absent;
}

nib_format nib_node_decode_format(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0);
  const bool rounds = x && (x->format == NIB_F16 || x->format == NIB_BF16) &&
                      strcmp(nib_node_string(n, NIB_A_DECODE, "exact"), "operand") == 0;
  return rounds ? x->format : NIB_NO_FORMAT;
}

const char *nib_node_string(const nib_node *n, nib_attr_id id, const char *if_absent) {
  const nib_attr *a = nib_node_attr(n, id);
  return a ? a->u.s : if_absent;
}

int64_t nib_node_ints_at(const nib_node *n, nib_attr_id id, int32_t i, int64_t if_absent) {
  const nib_attr *a = nib_node_attr(n, id);
  return a && i >= 0 && i < a->u.ints.n ? a->u.ints.v[i] : if_absent;
}

nib_encode_mode nib_node_encode_mode(const nib_node *n) {
  return nib_encode_mode_find(nib_node_string(n, NIB_A_MODE, "nearest-even"));
}

bool nib_cast_is_scalar(const nib_graph *g, const nib_node *n) {
  const nib_format_kind from = nib_format_get(g->tensors[n->in[0]].format)->kind;
  const nib_format_kind to = nib_format_get(g->tensors[n->out].format)->kind;
  return from <= NIB_KIND_FLOAT && to <= NIB_KIND_FLOAT;
}

int64_t nib_tensor_elems(const nib_tensor *t) {
  int64_t n = 1;
  for (int32_t i = 0; i < t->rank; ++i)
    n *= t->dims[i];
  return n;
}

size_t nib_tensor_bytes(const nib_tensor *t) {
  return nib_format_storage_bytes(t->format, nib_tensor_elems(t));
}

double nib_real_at(const nib_tensor *t, int64_t i) {
  float narrow;
  double wide;
  if (t->format == NIB_F64) {
    memcpy(&wide, (const char *)t->data + (size_t)i * sizeof wide, sizeof wide);
    return wide;
  }
  memcpy(&narrow, (const char *)t->data + (size_t)i * sizeof narrow, sizeof narrow);
  return narrow;
}

const nib_tensor *nib_node_input(const nib_graph *g, const nib_node *n, int32_t slot) {
  return slot < n->n_in && n->in[slot] != NIB_NONE ? &g->tensors[n->in[slot]] : NULL;
}
