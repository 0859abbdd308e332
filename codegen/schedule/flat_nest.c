// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which dimensions of an element-wise kernel are one loop: neighbours that every operand has, or
// lacks, alike.
#include "schedule/flat_nest.h"

#include "params/params.h"

typedef long long ll;

/* An operand beside the result that it is broadcast to. */
typedef struct reading {
  const nib_tensor *operand, *result;
} reading;

static bool steps_in(const reading *o, int32_t dim) {
  const int32_t own = dim - (o->result->rank - o->operand->rank);
  return nib_tensor_elems(o->operand) == nib_tensor_elems(o->result) ||
         (own >= 0 && o->operand->dims[own] == o->result->dims[dim]);
}

/* The elements of the dimensions from *dim outwards that the operand has, or lacks, alike. *dim
 * becomes the first beyond them. */
static int64_t run_of(const reading *o, int32_t *dim, bool *out_steps) {
  int64_t run = 1;
  for (; *dim >= 0; --*dim) {
    const int64_t size = o->result->dims[*dim];
    const bool steps = steps_in(o, *dim);
    if (size != 1 && run != 1 && steps != *out_steps)
      break;
    if (size != 1)
      *out_steps = steps;
    run *= size;
  }
  return run;
}

/* Elements of the operand from one element of the result to the one `apart` further. */
static int64_t stride_of(const reading *o, int64_t apart) {
  if (nib_tensor_elems(o->operand) == nib_tensor_elems(o->result))
    return apart;
  int64_t at = 1, own = 1;
  for (int32_t dim = o->result->rank - 1; dim >= 0;) {
    bool steps = false;
    const int64_t run = run_of(o, &dim, &steps);
    if (apart < at * run)
      return steps ? own * (apart / at) : 0;
    at *= run;
    own *= steps ? run : 1;
  }
  return 0;
}

/* Keeps bounds[0, n) ascending and different; -1: there are too many. */
static int32_t add_bound(int64_t *bounds, int32_t n, int64_t bound) {
  int32_t i = n;
  while (i > 0 && bounds[i - 1] >= bound)
    --i;
  if (i < n && bounds[i] == bound)
    return n;
  if (n < 0 || n > NIB_FLAT_MAX_LEVELS)
    return -1;
  for (int32_t k = n; k > i; --k)
    bounds[k] = bounds[k - 1];
  bounds[i] = bound;
  return n + 1;
}

static int32_t add_bounds(const reading *o, int64_t *bounds, int32_t n) {
  int64_t at = 1;
  for (int32_t dim = o->result->rank - 1; dim >= 0 && n >= 0;) {
    bool steps = false;
    at *= run_of(o, &dim, &steps);
    n = add_bound(bounds, n, at);
  }
  return n;
}

/* What step `index` reads beside the running value; index -1: what the first one begins with. */
static reading reading_of(const nib_graph *g, const nib_kernel *kernel, int32_t index) {
  const nib_node *n = &g->nodes[kernel->nodes[index > 0 ? index : 0]];
  const nib_tensor *result = &g->tensors[n->out];
  const int32_t tensor =
      index < 0 ? nib_epilogue_start(g, kernel) : nib_epilogue_beside(g, kernel, index);
  return (reading){tensor == NIB_NONE ? result : &g->tensors[tensor], result};
}

bool nib_flat_nest_make(const nib_graph *g, const nib_kernel *kernel, nib_flat_nest *out_nest) {
  int64_t bounds[NIB_FLAT_MAX_LEVELS + 1] = {1};
  const int64_t elems = nib_tensor_elems(&g->tensors[nib_kernel_output(g, kernel)]);
  int32_t n = add_bound(bounds, 1, elems);
  for (int32_t i = -1; i < kernel->n_nodes && n >= 0; ++i) {
    const reading o = reading_of(g, kernel, i);
    n = add_bounds(&o, bounds, n);
  }
  if (n == 1) /* one element is a run of one */
    bounds[n++] = 1;
  out_nest->levels = n > 1 ? n - 1 : 0;
  for (int32_t l = 0; l < out_nest->levels; ++l) {
    if (bounds[l + 1] % bounds[l] != 0)
      return false;
    out_nest->sizes[l] = bounds[l + 1] / bounds[l];
    out_nest->strides[l] = bounds[l];
    for (int32_t i = -1; i < kernel->n_nodes; ++i) {
      const reading o = reading_of(g, kernel, i);
      *(i < 0 ? &out_nest->start[l] : &out_nest->others[i][l]) = stride_of(&o, bounds[l]);
    }
  }
  return n > 1;
}

nib_word nib_flat_nest_base(const nib_flat_nest *nest, const int64_t *strides) {
  nib_word sum = {""};
  for (int32_t l = nest->levels - 1; l > 0; --l) {
    const char loop = nib_flat_nest_loop(nest, l);
    if (strides[l] == 1)
      sum = nib_word_of("%s%c + ", sum.s, loop);
    else if (strides[l] > 1)
      sum = nib_word_of("%s%c * %lld + ", sum.s, loop, (ll)strides[l]);
  }
  return sum;
}

char nib_flat_nest_loop(const nib_flat_nest *nest, int32_t level) {
  return (char)('a' + nest->levels - 1 - level);
}
