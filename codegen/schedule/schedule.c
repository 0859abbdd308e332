// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The table of schedules, in order of preference, and what all of them ask about a kernel.
#include "schedule/schedule.h"

#include <string.h>

/* One row per schedule; the last one accepts everything that the operator table allows. */
#define NIB_SCHEDULES(X)                                                                           \
  X(nib_schedule_block_nested)                                                                     \
  X(nib_schedule_block_dots)                                                                       \
  X(nib_schedule_block_sixes)                                                                      \
  X(nib_schedule_block_tables)                                                                     \
  X(nib_schedule_block_reals)                                                                      \
  X(nib_schedule_block_codes)                                                                      \
  X(nib_schedule_bit_planes)                                                                       \
  X(nib_schedule_row_chain)                                                                        \
  X(nib_schedule_conv_rows)                                                                        \
  X(nib_schedule_conv_planes)                                                                      \
  X(nib_schedule_depthwise_quads)                                                                  \
  X(nib_schedule_depthwise_rows)                                                                   \
  X(nib_schedule_pool_channels)                                                                    \
  X(nib_schedule_byte_tables)                                                                      \
  X(nib_schedule_transpose_tiles)                                                                  \
  X(nib_schedule_flat_steps)                                                                       \
  X(nib_schedule_row_steps)                                                                        \
  X(nib_schedule_warpgroup_gemm)                                                                   \
  X(nib_schedule_low_bit_warpgroup)                                                                \
  X(nib_schedule_low_bit_stream)                                                                   \
  X(nib_schedule_warp_gemm)                                                                        \
  X(nib_schedule_row_blocks)                                                                       \
  X(nib_schedule_row_sums)                                                                         \
  X(nib_schedule_grid_loops)                                                                       \
  X(nib_schedule_direct)

#define X(row) extern const nib_schedule row;
NIB_SCHEDULES(X)
#undef X

static const nib_schedule *const schedules[] = {
#define X(row) &row,
    NIB_SCHEDULES(X)
#undef X
};

const nib_schedule *nib_schedule_at(size_t i) {
  return i < sizeof schedules / sizeof *schedules ? schedules[i] : NULL;
}

const nib_schedule *nib_schedule_find(const char *name) {
  const nib_schedule *s;
  for (size_t i = 0; (s = nib_schedule_at(i)) != NULL; ++i)
    if (strcmp(s->name, name) == 0)
      return s;
  return NULL;
}

/* Whether `name` is one of the words of `list`. */
static bool names(const char *list, const char *name) {
  const size_t size = strlen(name);
  for (; (list = strstr(list, name)) != NULL; list += size)
    if (list[size] == ' ' || list[size] == '\0')
      return true;
  return false;
}

static bool serves(const nib_vocab *v, const nib_schedule *s, const nib_graph *g,
                   const nib_kernel *kernel) {
  const bool table = g->nodes[kernel->nodes[kernel->n_nodes - 1]].op == NIB_OP_LOOKUP;
  return !v->serves || names(v->serves, s->name) ||
         (table && v->serves_tables && names(v->serves_tables, s->name));
}

bool nib_schedule_fits(const nib_schedule *s, const nib_graph *g, const nib_kernel *kernel,
                       const nib_vocab *v, const nib_target *target) {
  return s->device == v->device && nib_vocab_fits(v, target) && serves(v, s, g, kernel) &&
         s->accepts(g, kernel, v);
}

int64_t nib_schedule_saved_bytes(const nib_schedule *s, const nib_graph *g,
                                 const nib_kernel *kernel) {
  return s && s->saved_bytes ? s->saved_bytes(g, kernel) : 0;
}

int32_t nib_emitter_unroll(const nib_emitter *e) {
  return e->unroll > 0 ? e->unroll : e->size ? 1 : e->vocab->unroll;
}

void nib_emitter_open_loop(nib_emitter *e, const char *var, int64_t n, bool cut) {
  if (cut)
    nib_text_open(e->body, "for (int32_t %s = begin; %s < end; ++%s) {", var, var, var);
  else
    nib_text_open(e->body, "for (int32_t %s = 0; %s < %lld; ++%s) {", var, var, (long long)n, var);
}

void nib_emitter_open_steps(nib_emitter *e, int64_t whole, int64_t step, bool cut) {
  const long long units = whole / step, by = step;
  if (cut)
    nib_text_open(
        e->body,
        "for (int32_t i = begin * %lld; i < (end < %lld ? end : %lld) * %lld; i += %lld) {", by,
        units, units, by, by);
  else
    nib_text_open(e->body, "for (int32_t i = 0; i < %lld; i += %lld) {", (long long)whole, by);
}

int nib_schedule_one_tile(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab,
                          int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  (void)g, (void)kernel, (void)vocab;
  if (capacity > 0)
    memset(out_tiles[0], 0, sizeof out_tiles[0]);
  return 1;
}

int64_t nib_schedule_no_scratch(const nib_graph *g, const nib_kernel *kernel,
                                const nib_vocab *vocab) {
  (void)g, (void)kernel, (void)vocab;
  return 0;
}

static bool in_kernel(const nib_kernel *kernel, int32_t node) {
  for (int32_t i = 0; i < kernel->n_nodes; ++i)
    if (kernel->nodes[i] == node)
      return true;
  return false;
}

static bool is_view(nib_op op) { return nib_op_get(op)->family == NIB_FAMILY_VIEW; }

int32_t nib_kernel_source(const nib_graph *g, const nib_kernel *kernel, int32_t tensor) {
  for (;;) {
    int32_t producer = g->tensors[tensor].producer;
    if (producer == NIB_NONE || in_kernel(kernel, producer) || !is_view(g->nodes[producer].op))
      return tensor;
    tensor = g->nodes[producer].in[0];
  }
}

static bool is_external(const nib_graph *g, const nib_kernel *kernel, int32_t tensor) {
  if (tensor == NIB_NONE || g->tensors[tensor].data)
    return false;
  int32_t producer = g->tensors[nib_kernel_source(g, kernel, tensor)].producer;
  return producer == NIB_NONE || !in_kernel(kernel, producer);
}

int32_t nib_kernel_inputs(const nib_graph *g, const nib_kernel *kernel, int32_t *out_tensors,
                          int32_t capacity) {
  int32_t n = 0;
  for (int32_t i = 0; i < kernel->n_nodes; ++i) {
    const nib_node *node = &g->nodes[kernel->nodes[i]];
    for (int32_t k = 0; k < node->n_in; ++k) {
      if (!is_external(g, kernel, node->in[k]))
        continue;
      bool seen = false;
      for (int32_t j = 0; j < n && j < capacity; ++j)
        seen |= out_tensors[j] == node->in[k];
      if (seen)
        continue;
      if (n < capacity)
        out_tensors[n] = node->in[k];
      ++n;
    }
  }
  return n;
}

int32_t nib_kernel_output(const nib_graph *g, const nib_kernel *kernel) {
  return g->nodes[kernel->nodes[kernel->n_nodes - 1]].out;
}
