// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Pooling windows.
#include "schedule/direct.h"

#include "params/params.h"

#include <math.h>
#include <string.h>

/* The window and the shapes of a pooling node. */
typedef struct pool {
  nib_direct *d;
  const nib_node *n;
  const nib_tensor *x, *y;
  int64_t kernel[2], stride[2], pad[2];
  bool is_float;
  nib_expr input;
} pool;

static pool pool_open(nib_direct *d, const nib_node *n) {
  pool p = {.d = d, .n = n, .x = nib_node_input(d->g, n, 0), .y = &d->g->tensors[n->out]};
  for (int32_t i = 0; i < 2; ++i) {
    p.kernel[i] = nib_node_ints_at(n, NIB_A_KERNEL, i, 1);
    p.stride[i] = nib_node_ints_at(n, NIB_A_STRIDES, i, 1);
    p.pad[i] = nib_node_ints_at(n, NIB_A_PADS, i, 0);
  }
  p.is_float = nib_format_get(p.y->format)->kind == NIB_KIND_FLOAT;
  p.input = nib_direct_pointer(d, n->in[0], "input");
  nib_direct_for(d, "n", p.y->dims[0]);
  nib_direct_for(d, "oy", p.y->dims[1]);
  nib_direct_for(d, "ox", p.y->dims[2]);
  nib_direct_for(d, "c", p.y->dims[3]);
  return p;
}

static void close_loops(pool *p, int n) {
  for (int i = 0; i < n; ++i)
    nib_text_close(p->d->t, "");
}

/* Opens the loop over one axis of the window, clipped to the input. */
static void open_axis(pool *p, int axis) {
  const char *name = axis ? "x" : "y";
  nib_text *t = p->d->t;
  nib_text_open(t, "for (%s k%s = 0; k%s < %lld; ++k%s) {", p->d->index, name, name,
                (long long)p->kernel[axis], name);
  nib_text_line(t, "const %s i%s = o%s * %lld + k%s - %lld;", p->d->index, name, name,
                (long long)p->stride[axis], name, (long long)p->pad[axis]);
  const int64_t last = (p->y->dims[1 + axis] - 1) * p->stride[axis] + p->kernel[axis] - 1;
  if (p->pad[axis] > 0 || last - p->pad[axis] >= p->x->dims[1 + axis]) {
    nib_text_line(t, "if (i%s < 0 || i%s >= %lld)", name, name, (long long)p->x->dims[1 + axis]);
    nib_text_line(t, "  continue;");
  }
}

static nib_expr input_at(const pool *p) {
  return nib_expr_printf("%.200s[((n * %lld + iy) * %lld + ix) * %lld + c]", p->input.s,
                         (long long)p->x->dims[1], (long long)p->x->dims[2],
                         (long long)p->x->dims[3]);
}

static void put(pool *p, const char *value) {
  nib_expr index = nib_expr_printf("((n * %lld + oy) * %lld + ox) * %lld + c",
                                   (long long)p->y->dims[1], (long long)p->y->dims[2],
                                   (long long)p->y->dims[3]);
  nib_direct_put(p->d, index.s, value);
}

static nib_expr in_range(pool *p, const char *value) {
  if (p->is_float) {
    float lo, hi;
    nib_params_real_range(p->d->g, p->n, &lo, &hi);
    return nib_direct_clamp_f32(p->d, value, lo, hi);
  }
  int64_t lo, hi;
  nib_params_code_range(p->d->g, p->n, &lo, &hi);
  return nib_direct_saturate(p->d, p->n, value, 0, lo, hi);
}

void nib_direct_max_pool2d(nib_direct *d, const nib_node *n) {
  pool p = pool_open(d, n);
  const char *type = nib_direct_value_type(p.y->format);
  nib_expr least = p.is_float ? nib_expr_printf("-INFINITY")
                              : nib_direct_i64(nib_format_get(p.y->format)->min);
  nib_text_line(d->t, "%s max = %s;", type, least.s);
  open_axis(&p, 0);
  open_axis(&p, 1);
  nib_text_line(d->t, "const %s x = %s;", type, input_at(&p).s);
  nib_text_line(d->t, "max = x > max ? x : max;");
  close_loops(&p, 2);
  put(&p, in_range(&p, "max").s);
  close_loops(&p, 4);
}

void nib_direct_avg_pool2d(nib_direct *d, const nib_node *n) {
  pool p = pool_open(d, n);
  nib_text_line(d->t, "%s sum = 0;", nib_direct_value_type(p.y->format));
  nib_text_line(d->t, "int32_t count = 0;");
  open_axis(&p, 0);
  open_axis(&p, 1);
  nib_text_line(d->t, "sum += %s;", input_at(&p).s);
  nib_text_line(d->t, "count++;");
  close_loops(&p, 2);
  if (p.is_float) {
    put(&p, in_range(&p, "sum / (float)count").s);
  } else if (nib_direct_use(d, n, "nib_avg_round")) {
    put(&p, in_range(&p, "nib_avg_round(sum, count)").s);
  }
  close_loops(&p, 4);
}
