// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The loops of `direct` spread over the threads of a CUDA grid: nests of independent iterations,
// and sums that several threads share.
#include "schedule/direct.h"

#include <string.h>

/* Iterations inside one of loop `level` of a nest. */
static int64_t iterations_inside(const nib_direct_grid *q, int32_t nest, int32_t level) {
  int64_t n = 1;
  for (int32_t i = level + 1; i < q->nests[nest].depth; ++i)
    n *= q->nests[nest].sizes[i];
  return n;
}

/* One loop over the units of the whole nest, of which each thread has every so many; the loops
 * inside only say which theirs is. */
void nib_direct_each(nib_direct *d, const char *var, int64_t n) {
  nib_direct_grid *q = d->grid;
  if (!q) {
    nib_direct_for(d, var, n);
    return;
  }
  const bool inside = q->n_nests > 0 && d->t->indent > q->indent;
  q->level = inside ? q->level + 1 : 0;
  if (!inside) {
    q->indent = d->t->indent;
    q->n_nests++;
  }
  const int32_t nest = q->n_nests - 1;
  if (nest >= NIB_DIRECT_MAX_NESTS || q->level >= NIB_DIRECT_MAX_LOOPS) {
    q->n_nests = nest;
    nib_direct_fail(d, &d->g->nodes[d->kernel->nodes[0]], NIB_ERROR_UNSUPPORTED,
                    "too many loops for CUDA");
    return;
  }
  if (q->measuring) {
    q->nests[nest].sizes[q->level] = n;
    q->nests[nest].depth = q->level + 1;
  }
  const long long within = iterations_inside(q, nest, q->level);
  if (q->level == 0) {
    nib_text_open(d->t, "for (%s unit = first; unit < %lld; unit += all) {", d->index, n * within);
    nib_text_line(d->t, "const %s %s = unit / %lld;", d->index, var, within);
  } else {
    nib_text_open(d->t, "{");
    nib_text_line(d->t, "const %s %s = unit / %lld %% %lld;", d->index, var, within, (long long)n);
  }
  if (n == 1) /* indices leave it out */
    nib_text_line(d->t, "(void)%s;", var);
}

bool nib_direct_shares_sums(const nib_direct *d) { return d->grid && d->grid->lanes > 1; }

void nib_direct_for_lanes(nib_direct *d, const char *var, int64_t n) {
  if (nib_direct_shares_sums(d))
    nib_text_open(d->t, "for (%s %s = nib_%s(); %s < %lld; %s += %d) {", d->index, var,
                  d->grid->lanes == 32 ? "lane" : "thread", var, (long long)n, var, d->grid->lanes);
  else
    nib_direct_for(d, var, n);
}

void nib_direct_join_lanes(nib_direct *d, const char *type, const char *var, const char *joined) {
  if (!nib_direct_shares_sums(d))
    return;
  nib_text_open(d->t, "for (int32_t distance = 16; distance > 0; distance /= 2) {");
  if (strcmp(type, "float") == 0)
    nib_text_line(d->t, "const float other = nib_shuffle_xor_f32(%s, distance);", var);
  else
    nib_text_line(d->t, "const int32_t other = (int32_t)nib_shuffle_xor((uint32_t)%s, distance);",
                  var);
  nib_text_line(d->t, "%s = %s;", var, joined);
  nib_text_close(d->t, "");
  if (d->grid->lanes == 32)
    return;
  /* Those of the warps, through shared memory: before it is written again, all have read it. */
  nib_text_open(d->t, "{");
  nib_text_line(d->t, "%s *const warps = (%s *)(void *)nib_shared;", type, type);
  nib_text_line(d->t, "nib_sync();");
  nib_text_line(d->t, "warps[nib_warp()] = %s;", var);
  nib_text_line(d->t, "nib_sync();");
  nib_text_line(d->t, "%s = warps[0];", var);
  nib_text_open(d->t, "for (int32_t warp = 1; warp < %d; ++warp) {", d->grid->lanes / 32);
  nib_text_line(d->t, "const %s other = warps[warp];", type);
  nib_text_line(d->t, "%s = %s;", var, joined);
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

void nib_direct_open_leader(nib_direct *d) {
  if (nib_direct_shares_sums(d))
    nib_text_open(d->t, "if (nib_%s() == 0) {", d->grid->lanes == 32 ? "lane" : "thread");
}

void nib_direct_close_leader(nib_direct *d) {
  if (nib_direct_shares_sums(d))
    nib_text_close(d->t, "");
}

/* Iterations of the largest nest. */
static int64_t units_of_grid(const nib_direct_grid *q) {
  int64_t most = 1;
  for (int32_t i = 0; i < q->n_nests; ++i) {
    const int64_t n = q->nests[i].sizes[0] * iterations_inside(q, i, 0);
    most = n > most ? n : most;
  }
  return most;
}

static nib_status emit_by_one_thread(nib_emitter *e, const nib_kernel *k) {
  nib_text_line(e->body, "if (nib_block_x() != 0 || nib_thread() != 0)");
  nib_text_line(e->body, "  return;");
  return nib_direct_emit_segments(e, k, NULL, NULL);
}

nib_status nib_direct_emit_grid(nib_emitter *e, const nib_kernel *k, int32_t threads, int32_t lanes,
                                int64_t *out_units) {
  const char *type = nib_direct_index_type(e->graph, k);
  *out_units = 1;
  nib_direct_grid grid = {.measuring = true, .lanes = lanes};
  if (!nib_direct_op_of(e->graph, &e->graph->nodes[k->nodes[0]])->spreads)
    return emit_by_one_thread(e, k);
  nib_text body, *const real = e->body;
  nib_text_init(&body);
  body.indent = real->indent;
  e->body = &body;
  const nib_status status = nib_direct_emit_segments(e, k, NULL, &grid);
  e->body = real;
  nib_text_free(&body);
  NIB_RETURN_IF_ERROR(status);
  if (grid.n_nests == 0)
    return emit_by_one_thread(e, k);
  *out_units = units_of_grid(&grid);
  if (*out_units > INT32_MAX / 2)
    return nib_diag_error(e->diag, NIB_ERROR_LIMIT, "kernel '%s': more than 2^30 elements",
                          k->name);
  const int32_t shared = threads / lanes; /* units of a block at a time */
  nib_text_line(e->body, "const %s first = (%s)nib_block_x()%s;", type, type,
                lanes == threads ? ""
                : lanes == 32    ? nib_expr_printf(" * %d + nib_warp()", shared).s
                                 : nib_expr_printf(" * %d + nib_thread()", shared).s);
  nib_text_line(e->body, "const %s all = %lld;", type,
                (long long)((*out_units + shared - 1) / shared * shared));
  grid.measuring = false;
  grid.n_nests = 0;
  return nib_direct_emit_segments(e, k, NULL, &grid);
}
