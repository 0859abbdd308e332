/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rows: attention, norms and the like become one kernel that takes each row through all of their
 * operators, where that is predicted to take hardly more time. From the group that makes the last
 * result on, groups join that make what only joined ones read. */
#include "fuse/group.h"

#include "schedule/row_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much slower than its parts a kernel may be predicted, as what is between them is never there
 * as a whole. */
static const double k_worth_of_rows = 0.05;

/* Whether a node of the group needs its row as a whole. */
static bool sums_rows(const nib_graph *g, const nib_fuse_group *grp) {
  for (int32_t i = 0; i < grp->n; ++i) {
    const nib_family family = nib_op_get(g->nodes[grp->nodes[i]].op)->family;
    if (family == NIB_FAMILY_REDUCE || family == NIB_FAMILY_ROWS)
      return true;
  }
  return false;
}

/* Elementwise operators alone, which say nothing of rows yet. */
static bool is_elementwise(const nib_graph *g, const nib_fuse_group *grp) {
  for (int32_t i = 0; i < grp->n; ++i)
    if (!nib_op_is_elementwise(g->nodes[grp->nodes[i]].op))
      return false;
  return true;
}

static bool knows_rows(const nib_graph *g, const nib_fuse_group *grp) {
  for (int32_t i = 0; i < grp->n; ++i)
    if (!nib_row_plan_knows(g, &g->nodes[grp->nodes[i]]))
      return false;
  return grp->n > 0;
}

static int32_t result_of(const nib_fusion *f, const nib_fuse_group *grp) {
  return f->g->nodes[grp->nodes[grp->n - 1]].out;
}

/* Whether nothing but nodes of groups that are `joined` reads the result of group `at`. */
static bool read_by_joined(const nib_fusion *f, int32_t at, const bool *joined) {
  const int32_t t = result_of(f, &f->groups[at]);
  bool read = false;
  if (nib_graph_is_output(f->g, t))
    return false;
  for (int32_t i = 0; i < f->g->n_nodes; ++i)
    for (int32_t s = 0; s < f->g->nodes[i].n_in; ++s) {
      if (f->g->nodes[i].in[s] != t)
        continue;
      if (f->group_of[i] == NIB_NONE || !joined[f->group_of[i]])
        return false;
      read = true;
    }
  return read;
}

static int by_index(const void *a, const void *b) {
  const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

static bool join(const nib_fuse_group *a, const nib_fuse_group *b, nib_fuse_group *out) {
  *out = (nib_fuse_group){.ns = NAN};
  if (a->n + b->n > NIB_FUSE_MAX_GROUP)
    return false;
  memcpy(out->nodes, a->nodes, (size_t)a->n * sizeof *a->nodes);
  memcpy(out->nodes + a->n, b->nodes, (size_t)b->n * sizeof *b->nodes);
  out->n = a->n + b->n;
  qsort(out->nodes, (size_t)out->n, sizeof *out->nodes, by_index);
  return true;
}

/* The last group before `from` that makes what `all` reads; NIB_NONE. */
static int32_t producer_before(const nib_fusion *f, int32_t from, const nib_fuse_group *all) {
  int32_t last = NIB_NONE;
  for (int32_t i = 0; i < all->n; ++i) {
    const nib_node *n = &f->g->nodes[all->nodes[i]];
    for (int32_t s = 0; s < n->n_in; ++s) {
      const int32_t made = n->in[s] == NIB_NONE ? NIB_NONE : f->g->tensors[n->in[s]].producer;
      const int32_t at = made == NIB_NONE ? NIB_NONE : f->group_of[made];
      if (at != NIB_NONE && at < from && (last == NIB_NONE || at > last))
        last = at;
    }
  }
  return last;
}

/* Grows `*all` from group `last` back, so that what reads a group's result has been decided on
 * before it; *out_ns: predicted for its groups one by one. */
static nib_status grow(const nib_fusion *f, int32_t last, bool *joined, nib_fuse_group *all,
                       double *out_ns) {
  memset(joined, 0, (size_t)f->n_groups * sizeof *joined);
  joined[last] = true;
  *all = f->groups[last];
  NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, &f->groups[last]));
  *out_ns = f->groups[last].ns;
  for (int32_t at = last; (at = producer_before(f, at, all)) != NIB_NONE;) {
    nib_fuse_group more;
    if (!knows_rows(f->g, &f->groups[at]) || !read_by_joined(f, at, joined) ||
        !join(all, &f->groups[at], &more))
      continue;
    NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, &more));
    if (!more.shares_rows && !is_elementwise(f->g, &more))
      continue;
    NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, &f->groups[at]));
    *all = more;
    *out_ns += f->groups[at].ns;
    joined[at] = true;
  }
  return NIB_OK;
}

static void apply(nib_fusion *f, int32_t last, const bool *joined, const nib_fuse_group *all) {
  for (int32_t i = 0; i < f->n_groups; ++i)
    if (joined[i])
      f->groups[i].n = 0;
  f->groups[last] = *all;
  for (int32_t i = 0; i < all->n; ++i)
    f->group_of[all->nodes[i]] = last;
}

static nib_status join_rows(nib_fusion *f, bool *joined) {
  for (int32_t last = f->n_groups - 1; last >= 0; --last) {
    nib_fuse_group all;
    double separate;
    if (!knows_rows(f->g, &f->groups[last]))
      continue;
    NIB_RETURN_IF_ERROR(grow(f, last, joined, &all, &separate));
    if (all.n > f->groups[last].n && all.shares_rows && sums_rows(f->g, &all) &&
        all.ns <= separate * (1.0 + k_worth_of_rows))
      apply(f, last, joined, &all);
  }
  return NIB_OK;
}

nib_status nib_fuse_rows(nib_fusion *f) {
  bool *joined = malloc(((size_t)f->n_groups + 1) * sizeof *joined);
  if (joined == NULL)
    return nib_diag_error(f->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in fuse");
  const nib_status status = join_rows(f, joined);
  free(joined);
  nib_fuse_drop_empty(f);
  for (int32_t i = 0; i < f->n_groups; ++i)
    for (int32_t k = 0; k < f->groups[i].n; ++k)
      f->group_of[f->groups[i].nodes[k]] = i;
  return status;
}
