/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Chains: kernels of convolutions in a row become one where that is predicted to take less time; or
 * hardly more, where it takes less arena, as what is between them is never there as a whole. A run
 * of kernels is cut into chains of the least predicted time. */
#include "fuse/group.h"

#include "schedule/schedule.h"

#include <math.h>
#include <stdlib.h>

/* How much slower a chain may be predicted than its parts where it needs less arena. */
static const double k_worth_of_arena = 0.02;

static bool slides(const nib_graph *g, const nib_fuse_group *grp) {
  const nib_family family = nib_op_get(g->nodes[grp->nodes[0]].op)->family;
  return family == NIB_FAMILY_FILTER || family == NIB_FAMILY_WINDOW;
}

/* The group that alone reads the result of group `at`, as what its window slides over; NIB_NONE. */
static int32_t next_of(const nib_fusion *f, int32_t at) {
  const nib_graph *g = f->g;
  const nib_fuse_group *grp = &f->groups[at];
  const int32_t t = g->nodes[grp->nodes[grp->n - 1]].out;
  int32_t reader = NIB_NONE;
  if (!slides(g, grp) || nib_graph_is_output(g, t) || nib_graph_count_uses(g, t, &reader) != 1 ||
      f->group_of[reader] == NIB_NONE)
    return NIB_NONE;
  const int32_t next = f->group_of[reader];
  const nib_fuse_group *to = &f->groups[next];
  const nib_node *root = &g->nodes[to->nodes[0]];
  for (int32_t s = 1; s < root->n_in; ++s)
    if (root->in[s] == t)
      return NIB_NONE;
  return to->nodes[0] == reader && slides(g, to) && root->in[0] == t ? next : NIB_NONE;
}

/* Groups run[0..n) as one; false where they are too many nodes. */
static bool join(const nib_fusion *f, const int32_t *run, int32_t n, nib_fuse_group *out) {
  *out = (nib_fuse_group){.ns = NAN};
  for (int32_t i = 0; i < n; ++i) {
    const nib_fuse_group *part = &f->groups[run[i]];
    if (out->n + part->n > NIB_FUSE_MAX_CHAIN)
      return false;
    for (int32_t k = 0; k < part->n; ++k)
      out->nodes[out->n++] = part->nodes[k];
  }
  return true;
}

/* Bytes of the arena while a kernel runs: what it reads, its result and its scratch. */
static int64_t needs(const nib_fusion *f, const nib_fuse_group *grp) {
  enum { most_inputs = 2 * NIB_FUSE_MAX_GROUP };
  const nib_graph *g = f->g;
  const nib_kernel k = {.n_nodes = grp->n, .nodes = (int32_t *)grp->nodes};
  int32_t inputs[most_inputs];
  int32_t n = nib_kernel_inputs(g, &k, inputs, most_inputs);
  n = n < most_inputs ? n : most_inputs;
  int64_t bytes = grp->scratch_bytes;
  for (int32_t i = 0; i < n; ++i)
    if (g->tensors[nib_fuse_storage_root(g, inputs[i])].producer != NIB_NONE)
      bytes += (int64_t)nib_tensor_bytes(&g->tensors[inputs[i]]);
  const int32_t out = nib_kernel_output(g, &k);
  return nib_graph_is_output(g, out) ? bytes : bytes + (int64_t)nib_tensor_bytes(&g->tensors[out]);
}

/* The most that any group needs: chains that need no more cannot enlarge the arena. */
static nib_status find_most(nib_fusion *f) {
  for (int32_t i = 0; i < f->n_groups; ++i) {
    NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, &f->groups[i]));
    const int64_t bytes = needs(f, &f->groups[i]);
    f->most_bytes = bytes > f->most_bytes ? bytes : f->most_bytes;
  }
  return NIB_OK;
}

/* Predicted time of a chain, weighed with what it needs. */
static double worth(const nib_fusion *f, const nib_fuse_group *joined) {
  if (needs(f, joined) <= f->most_bytes)
    return joined->ns * (1.0 - k_worth_of_arena);
  return joined->ns * (1.0 + k_worth_of_arena);
}

typedef struct cut {
  double ns;      /* of all groups up to here */
  int32_t length; /* of the chain that ends here */
} cut;

/* cuts[i]: of the first i groups of the run. */
static nib_status cut_run(const nib_fusion *f, const int32_t *run, int32_t n, cut *cuts) {
  cuts[0] = (cut){0, 0};
  for (int32_t i = 1; i <= n; ++i) {
    nib_fuse_group *last = &f->groups[run[i - 1]];
    NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, last));
    cuts[i] = (cut){cuts[i - 1].ns + last->ns, 1};
    for (int32_t length = 2; length <= i && length <= NIB_MAX_STAGES; ++length) {
      nib_fuse_group joined;
      if (!join(f, run + i - length, length, &joined))
        break;
      NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, &joined));
      const double ns = cuts[i - length].ns + worth(f, &joined);
      if (joined.by_rows && ns <= cuts[i].ns)
        cuts[i] = (cut){ns, length};
    }
  }
  return NIB_OK;
}

/* The first group of each chain becomes all of it; the others lose their nodes. */
static void apply_cuts(nib_fusion *f, const int32_t *run, int32_t n, const cut *cuts) {
  for (int32_t i = n; i > 0; i -= cuts[i].length) {
    const int32_t *chain = run + i - cuts[i].length;
    nib_fuse_group joined;
    if (cuts[i].length < 2 || !join(f, chain, cuts[i].length, &joined))
      continue;
    for (int32_t k = 0; k < cuts[i].length; ++k)
      f->groups[chain[k]].n = 0;
    f->groups[chain[0]] = joined;
  }
}

void nib_fuse_drop_empty(nib_fusion *f) {
  int32_t n = 0;
  for (int32_t i = 0; i < f->n_groups; ++i)
    if (f->groups[i].n > 0)
      f->groups[n++] = f->groups[i];
  f->n_groups = n;
}

/* None with `size`: the stages of a chain keep the tiles of fast code. */
nib_status nib_fuse_chains(nib_fusion *f) {
  if (f->select->size)
    return NIB_OK;
  const size_t n = (size_t)f->n_groups + 1;
  int32_t *run = malloc(n * sizeof *run);
  bool *follows = calloc(n, sizeof *follows);
  cut *cuts = malloc(n * sizeof *cuts);
  nib_status status = NIB_OK;
  if (!run || !follows || !cuts)
    status = nib_diag_error(f->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in fuse");
  else
    status = find_most(f);
  for (int32_t i = 0; status == NIB_OK && i < f->n_groups; ++i) {
    const int32_t next = next_of(f, i);
    if (next != NIB_NONE)
      follows[next] = true;
  }
  for (int32_t i = 0; status == NIB_OK && i < f->n_groups; ++i) {
    if (follows[i] || f->groups[i].n == 0)
      continue;
    int32_t length = 0;
    for (int32_t at = i; at != NIB_NONE; at = next_of(f, at))
      run[length++] = at;
    if (length > 1)
      status = cut_run(f, run, length, cuts);
    if (length > 1 && status == NIB_OK)
      apply_cuts(f, run, length, cuts);
  }
  free(run);
  free(follows);
  free(cuts);
  if (status == NIB_OK)
    nib_fuse_drop_empty(f);
  return status;
}
