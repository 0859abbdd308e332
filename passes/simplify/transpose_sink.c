/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Transposes sink: op(transpose(x)) becomes transpose(op(x)) for operators that do not care about
 * the order of dimensions, or whose attributes can follow it, until the transpose meets its
 * inverse. */
#include "simplify/simplify.h"

#include <stdlib.h>
#include <string.h>

/* A transpose above an operand. */
typedef struct above {
  int32_t from; /* what it transposes */
  int32_t rank;
  int64_t perm[NIB_MAX_RANK];
} above;

static bool transpose_above(const nib_simplify *s, int32_t tensor, above *out) {
  const int32_t p = nib_simplify_producer_of(s, tensor, NIB_OP_TRANSPOSE);
  if (p == NIB_NONE || !nib_simplify_perm(s, p, out->perm))
    return false;
  out->from = s->g->nodes[p].in[0];
  out->rank = s->g->tensors[tensor].rank;
  return true;
}

static void invert(const above *t, int64_t *out) {
  for (int32_t i = 0; i < t->rank; ++i)
    out[t->perm[i]] = i;
}

/* `node` now makes its result in the order before `perm`; a transpose by `perm` makes the old one.
 */
static bool finish(nib_simplify *s, int32_t node, int32_t rank, const int64_t *perm) {
  const int32_t out = s->g->nodes[node].out;
  int64_t dims[NIB_MAX_RANK];
  for (int32_t i = 0; i < rank; ++i)
    dims[perm[i]] = s->g->tensors[out].dims[i];
  const int32_t inner = nib_simplify_add_tensor(s, out, rank, dims);
  if (inner == NIB_NONE)
    return false;
  s->g->nodes[node].out = inner;
  s->g->tensors[inner].producer = node;
  const int32_t t = nib_simplify_add_node(s, node, NIB_OP_TRANSPOSE, &inner, 1, out);
  if (t == NIB_NONE)
    return false;
  nib_simplify_check(s, nib_graph_set_ints(s->g, t, NIB_A_PERM, perm, rank));
  return true;
}

static bool sink_unary(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  above t;
  if (!transpose_above(s, n->in[0], &t))
    return false;
  for (int32_t i = 1; i < n->n_in; ++i)
    if (n->in[i] != NIB_NONE && n->op != NIB_OP_LOOKUP)
      return false; /* scales along an axis */
  n->in[0] = t.from;
  return finish(s, node, t.rank, t.perm);
}

/* An operand in the order before `t`: what its own equal transpose reads, a permuted constant, or a
 * new inverse transpose. NIB_NONE when it cannot be had. */
static int32_t untransposed(nib_simplify *s, int32_t node, int32_t tensor, const above *t) {
  above other;
  if (transpose_above(s, tensor, &other) && other.rank == t->rank &&
      memcmp(other.perm, t->perm, (size_t)t->rank * sizeof t->perm[0]) == 0)
    return other.from;
  const nib_tensor from = s->g->tensors[tensor];
  int64_t inverse[NIB_MAX_RANK], dims[NIB_MAX_RANK];
  invert(t, inverse);
  if (from.data != NULL) {
    if (nib_tensor_elems(&from) == 1)
      return tensor;
    for (int32_t i = 0; i < t->rank; ++i) {
      const int32_t k = i - (t->rank - from.rank);
      dims[i] = k >= 0 ? from.dims[k] : 1;
    }
    const int32_t wide = nib_simplify_reshape_constant(s, tensor, t->rank, dims);
    return wide != NIB_NONE ? nib_simplify_permute_constant(s, wide, inverse) : NIB_NONE;
  }
  if (from.rank != t->rank)
    return NIB_NONE;
  for (int32_t i = 0; i < t->rank; ++i)
    dims[i] = from.dims[inverse[i]];
  const int32_t back = nib_simplify_add_tensor(s, tensor, t->rank, dims);
  const int32_t id = nib_simplify_add_node(s, node, NIB_OP_TRANSPOSE, &tensor, 1, back);
  if (id == NIB_NONE)
    return NIB_NONE;
  nib_simplify_check(s, nib_graph_set_ints(s->g, id, NIB_A_PERM, inverse, t->rank));
  return back;
}

static bool sink_operands(nib_simplify *s, int32_t node, const above *t) {
  const int32_t n_in = s->g->nodes[node].n_in;
  for (int32_t i = 0; i < n_in; ++i) {
    const nib_tensor *in = &s->g->tensors[s->g->nodes[node].in[i]];
    if (in->data == NULL && in->rank != t->rank)
      return false;
    if (in->data != NULL && in->rank > t->rank)
      return false;
  }
  for (int32_t i = 0; i < n_in; ++i) {
    const int32_t x = untransposed(s, node, s->g->nodes[node].in[i], t);
    if (x == NIB_NONE)
      return false;
    s->g->nodes[node].in[i] = x;
  }
  return true;
}

/* Whether bringing `tensor` into the order before `t` takes a new inverse transpose. */
static bool needs_inverse(const nib_simplify *s, int32_t tensor, const above *t) {
  above other;
  return s->g->tensors[tensor].data == NULL &&
         !(transpose_above(s, tensor, &other) && other.rank == t->rank &&
           memcmp(other.perm, t->perm, (size_t)t->rank * sizeof t->perm[0]) == 0);
}

static bool is_turned(const nib_simplify *s, int32_t tensor) {
  return tensor < s->n_turned && s->turned[tensor];
}

static bool set_turned(nib_simplify *s, int32_t tensor) {
  if (tensor >= s->n_turned) {
    const int32_t n = tensor + tensor / 2 + 64;
    bool *grown = realloc(s->turned, (size_t)n * sizeof *grown);
    if (grown == NULL) {
      nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
      return false;
    }
    memset(grown + s->n_turned, 0, (size_t)(n - s->n_turned) * sizeof *grown);
    s->turned = grown;
    s->n_turned = n;
  }
  s->turned[tensor] = true;
  return true;
}

/* An inverse transpose above one operand is itself a transpose that could sink, and so on without
 * end. Each operator therefore makes inverses at most once. */
static bool sink_binary(nib_simplify *s, int32_t node) {
  above t;
  const nib_node *n = nib_simplify_node(s, node);
  if (!transpose_above(s, n->in[0], &t) && !transpose_above(s, n->in[1], &t))
    return false;
  if (s->g->tensors[n->out].rank != t.rank)
    return false;
  const bool turned = is_turned(s, n->out);
  const bool turns = needs_inverse(s, n->in[0], &t) || needs_inverse(s, n->in[1], &t);
  if ((turned && turns) || !sink_operands(s, node, &t) || !finish(s, node, t.rank, t.perm))
    return false;
  return !(turned || turns) || set_turned(s, nib_simplify_node(s, node)->out);
}

static bool sink_concat(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  above t, other;
  if (n->n_in == 0 || !transpose_above(s, n->in[0], &t))
    return false;
  for (int32_t i = 1; i < n->n_in; ++i)
    if (s->g->tensors[n->in[i]].data == NULL &&
        (!transpose_above(s, n->in[i], &other) || other.rank != t.rank ||
         memcmp(other.perm, t.perm, (size_t)t.rank * sizeof t.perm[0]) != 0))
      return false;
  int64_t axis = nib_node_int(n, NIB_A_AXIS, 0);
  axis = axis < 0 ? axis + t.rank : axis;
  if (!sink_operands(s, node, &t))
    return false;
  nib_simplify_check(s, nib_graph_set_int(s->g, node, NIB_A_AXIS, t.perm[axis]));
  return finish(s, node, t.rank, t.perm);
}

/* Per-dimension attributes follow the dimensions. */
static void permute_ints(nib_simplify *s, int32_t node, nib_attr_id id, const above *t,
                         int64_t if_absent) {
  int64_t v[NIB_MAX_RANK];
  const nib_node *n = nib_simplify_node(s, node);
  if (nib_node_attr(n, id) == NULL)
    return;
  for (int32_t i = 0; i < t->rank; ++i)
    v[t->perm[i]] = nib_node_ints_at(n, id, i, if_absent);
  nib_simplify_check(s, nib_graph_set_ints(s->g, node, id, v, t->rank));
}

static bool sink_per_dimension(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  above t;
  if (!transpose_above(s, n->in[0], &t))
    return false;
  n->in[0] = t.from;
  static const struct {
    nib_attr_id id;
    int64_t if_absent;
  } k_attrs[] = {
      {NIB_A_LOW, 0}, {NIB_A_HIGH, 0}, {NIB_A_BEGIN, 0}, {NIB_A_SIZES, 1}, {NIB_A_STEPS, 1}};
  for (size_t i = 0; i < sizeof k_attrs / sizeof k_attrs[0]; ++i)
    permute_ints(s, node, k_attrs[i].id, &t, k_attrs[i].if_absent);
  return finish(s, node, t.rank, t.perm);
}

static bool sink_softmax(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  above t;
  if (!transpose_above(s, n->in[0], &t))
    return false;
  int64_t axis = nib_node_int(n, NIB_A_AXIS, -1);
  axis = axis < 0 ? axis + t.rank : axis;
  n->in[0] = t.from;
  nib_simplify_check(s, nib_graph_set_int(s->g, node, NIB_A_AXIS, t.perm[axis]));
  return finish(s, node, t.rank, t.perm);
}

static bool sink_mean(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  const nib_attr *axes = nib_node_attr(n, NIB_A_AXES);
  above t;
  if (axes == NULL || !transpose_above(s, n->in[0], &t))
    return false;
  int64_t moved[NIB_MAX_RANK];
  bool reduced[NIB_MAX_RANK] = {false}; /* by dimension before the transpose */
  const int32_t count = axes->u.ints.n;
  for (int32_t i = 0; i < count && i < NIB_MAX_RANK; ++i) {
    const int64_t a = axes->u.ints.v[i] < 0 ? axes->u.ints.v[i] + t.rank : axes->u.ints.v[i];
    moved[i] = t.perm[a];
    reduced[moved[i]] = true;
  }
  n->in[0] = t.from;
  const bool keep = nib_node_int(n, NIB_A_KEEP_DIMS, 0) != 0;
  nib_simplify_check(s, nib_graph_set_ints(s->g, node, NIB_A_AXES, moved, count));
  if (keep)
    return finish(s, node, t.rank, t.perm);
  int64_t perm[NIB_MAX_RANK];
  int32_t rank = 0;
  bool identity = true;
  for (int32_t i = 0; i < t.rank; ++i) {
    if (reduced[t.perm[i]])
      continue;
    int64_t place = 0; /* among the dimensions that stay */
    for (int64_t k = 0; k < t.perm[i]; ++k)
      place += !reduced[k];
    identity = identity && place == rank;
    perm[rank++] = place;
  }
  return identity || finish(s, node, rank, perm);
}

/* reshape(transpose(x)) where dimensions larger than one keep their order. */
static bool sink_reshape(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  above t;
  if (!transpose_above(s, n->in[0], &t))
    return false;
  int64_t last = -1;
  for (int32_t i = 0; i < t.rank; ++i) {
    if (s->g->tensors[t.from].dims[t.perm[i]] == 1)
      continue;
    if (t.perm[i] < last)
      return false;
    last = t.perm[i];
  }
  n->in[0] = t.from;
  return true;
}

/* By operator, and otherwise by family. */
static nib_simplify_fn *const k_sinks[NIB_OP_COUNT] = {
    [NIB_OP_CONCAT] = sink_concat,       [NIB_OP_PAD] = sink_per_dimension,
    [NIB_OP_SLICE] = sink_per_dimension, [NIB_OP_STRIDED_SLICE] = sink_per_dimension,
    [NIB_OP_SOFTMAX] = sink_softmax,     [NIB_OP_MEAN] = sink_mean,
    [NIB_OP_SCAST] = sink_unary,
};

static nib_simplify_fn *sink_of(nib_op op) {
  if (k_sinks[op] != NULL)
    return k_sinks[op];
  switch (nib_op_get(op)->family) {
  case NIB_FAMILY_FUNCTION:
  case NIB_FAMILY_RECODE:
    return sink_unary;
  case NIB_FAMILY_BINARY:
    return sink_binary;
  case NIB_FAMILY_VIEW:
    return sink_reshape;
  default:
    return NULL;
  }
}

bool nib_simplify_transpose_sink(nib_simplify *s, int32_t node) {
  nib_simplify_fn *const sink = sink_of(s->g->nodes[node].op);
  return sink != NULL && sink(s, node);
}
