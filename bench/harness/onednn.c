/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * oneDNN 2 as a peer: NHWC, weights reordered ahead into what the primitive asks for, bias and
 * per-channel float scales fused. */
#include "harness.h"

#ifdef BENCH_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call)                                                                                  \
  do {                                                                                             \
    const dnnl_status_t status_ = (call);                                                          \
    if (status_ != dnnl_success) {                                                                 \
      fprintf(stderr, "oneDNN: %s: status %d\n", #call, (int)status_);                             \
      return false;                                                                                \
    }                                                                                              \
  } while (0)

enum { MAX_ARGUMENTS = 4 };

typedef struct peer {
  dnnl_primitive_t primitive;
  dnnl_stream_t stream;
  dnnl_exec_arg_t arguments[MAX_ARGUMENTS];
  int n_arguments;
  /* Copies of the weights, used in turn, and the argument that is one of them. */
  dnnl_memory_t weights[BENCH_MAX_COPIES];
  int copies, weights_argument;
} peer;

static bool run_peer(void *context) {
  peer *const p = context;
  p->arguments[p->weights_argument].memory = p->weights[bench_next_copy(p->copies)];
  return dnnl_primitive_execute(p->primitive, p->stream, p->n_arguments, p->arguments) ==
             dnnl_success &&
         dnnl_stream_wait(p->stream) == dnnl_success;
}

/* What a primitive is made from: logical dimensions, and strides where the memory is given. */
typedef struct tensor {
  int rank;
  dnnl_dims_t dims, strides;
  dnnl_data_type_t type;
} tensor;

static dnnl_data_type_t data_type(bench_type type) {
  return type == BENCH_I8 ? dnnl_s8 : type == BENCH_F16 ? dnnl_f16 : dnnl_f32;
}

static bool describe(const tensor *t, bool any, dnnl_memory_desc_t *d) {
  if (any)
    TRY(dnnl_memory_desc_init_by_tag(d, t->rank, t->dims, t->type, dnnl_format_tag_any));
  else
    TRY(dnnl_memory_desc_init_by_strides(d, t->rank, t->dims, t->type, t->strides));
  return true;
}

static bool add_argument(peer *p, dnnl_engine_t engine, int id, const dnnl_memory_desc_t *d,
                         void *data) {
  dnnl_memory_t m;
  TRY(dnnl_memory_create(&m, d, engine, data));
  p->arguments[p->n_arguments++] = (dnnl_exec_arg_t){id, m};
  return true;
}

/* The weights in the layout that the primitive chose. */
static bool add_weights(peer *p, dnnl_engine_t engine, const dnnl_memory_desc_t *given,
                        const dnnl_memory_desc_t *wanted, void *data) {
  dnnl_memory_t from;
  dnnl_primitive_desc_t pd;
  dnnl_primitive_t reorder;
  TRY(dnnl_memory_create(&from, given, engine, data));
  TRY(dnnl_reorder_primitive_desc_create(&pd, given, engine, wanted, engine, NULL));
  TRY(dnnl_primitive_create(&reorder, pd));
  for (int i = 0; i < p->copies; ++i) {
    TRY(dnnl_memory_create(&p->weights[i], wanted, engine, DNNL_MEMORY_ALLOCATE));
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, p->weights[i]}};
    TRY(dnnl_primitive_execute(reorder, p->stream, 2, arguments));
    TRY(dnnl_stream_wait(p->stream));
  }
  p->weights_argument = p->n_arguments++;
  p->arguments[p->weights_argument] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, p->weights[0]};
  return true;
}

/* A layer as oneDNN sees it; `create` fills the operation descriptor from four memories. */
typedef struct layer {
  const char *name;
  tensor src, weights, bias, dst;
  dnnl_dims_t stride, pad_low, pad_high;
  dnnl_dim_t outputs; /* channels */
  int channel_mask, copies;
} layer;

typedef union op_desc {
  dnnl_matmul_desc_t matmul;
  dnnl_convolution_desc_t convolution;
  dnnl_deconvolution_desc_t deconvolution;
  dnnl_inner_product_desc_t inner_product;
} op_desc;

static dnnl_status_t init_op(const layer *l, op_desc *op, const dnnl_memory_desc_t *src,
                             const dnnl_memory_desc_t *w, const dnnl_memory_desc_t *bias,
                             const dnnl_memory_desc_t *dst) {
  if (strcmp(l->name, "matmul") == 0)
    return dnnl_matmul_desc_init(&op->matmul, src, w, bias, dst);
  if (strcmp(l->name, "inner_product") == 0)
    return dnnl_inner_product_forward_desc_init(&op->inner_product, dnnl_forward_inference, src, w,
                                                bias, dst);
  if (strcmp(l->name, "deconvolution") == 0)
    return dnnl_deconvolution_forward_desc_init(&op->deconvolution, dnnl_forward_inference,
                                                dnnl_deconvolution_direct, src, w, bias, dst,
                                                l->stride, l->pad_low, l->pad_high);
  return dnnl_convolution_forward_desc_init(&op->convolution, dnnl_forward_inference,
                                            dnnl_convolution_direct, src, w, bias, dst, l->stride,
                                            l->pad_low, l->pad_high);
}

static bool add_layer(bench_job *job, const layer *l) {
  dnnl_engine_t engine;
  peer *const p = bench_alloc(sizeof *p);
  p->copies = l->copies;
  TRY(dnnl_engine_create(&engine, dnnl_cpu, 0));
  TRY(dnnl_stream_create(&p->stream, engine, dnnl_stream_default_flags));
  dnnl_memory_desc_t src, given, any, bias, dst;
  if (!describe(&l->src, false, &src) || !describe(&l->weights, false, &given) ||
      !describe(&l->weights, true, &any) || !describe(&l->bias, false, &bias) ||
      !describe(&l->dst, false, &dst))
    return false;
  dnnl_primitive_attr_t attr;
  TRY(dnnl_primitive_attr_create(&attr));
  if (job->scales)
    TRY(dnnl_primitive_attr_set_output_scales(attr, l->outputs, l->channel_mask, job->scales));
  op_desc op;
  dnnl_primitive_desc_t pd;
  TRY(init_op(l, &op, &src, &any, job->bias ? &bias : NULL, &dst));
  if (dnnl_primitive_desc_create(&pd, &op, attr, engine, NULL) != dnnl_success) {
    fprintf(stderr, "oneDNN has no %s for these types\n", l->name);
    return true; /* a peer that does not take part */
  }
  TRY(dnnl_primitive_create(&p->primitive, pd));
  void *const result = bench_alloc(job->outputs * bench_type_bytes(job->out_type));
  if (!add_argument(p, engine, DNNL_ARG_SRC, &src, job->input) ||
      !add_weights(p, engine, &given, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0),
                   job->weights) ||
      (job->bias && !add_argument(p, engine, DNNL_ARG_BIAS, &bias, job->bias)) ||
      !add_argument(p, engine, DNNL_ARG_DST, &dst, result))
    return false;
  bench_entry *const e = bench_add(job, "oneDNN", run_peer, p);
  if (!e)
    return false;
  const char *info = "";
  dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&info);
  const dnnl_version_t *const v = dnnl_version();
  snprintf(e->info, sizeof e->info, "%d.%d.%d, %s %s, one thread", v->major, v->minor, v->patch,
           l->name, info);
  e->result = result;
  e->tolerance = job->out_type == BENCH_I8 ? 1 : 1e-4; /* codes: it adds the bias in float */
  return true;
}

/* gemm M N K [COPIES]: the weights are [N, K], as those of a dense layer. */
static bool add_gemm(bench_job *job, const char *line) {
  long m, n, k;
  int copies = 1;
  if (sscanf(line, "%ld %ld %ld %d", &m, &n, &k, &copies) < 3 || copies > BENCH_MAX_COPIES)
    return false;
  const dnnl_data_type_t type = data_type(job->in_type),
                         bias = job->in_type == BENCH_I8 ? dnnl_s32 : dnnl_f32;
  const layer matmul = {.name = "matmul",
                        .src = {2, {m, k}, {k, 1}, type},
                        .weights = {2, {k, n}, {1, k}, type},
                        .bias = {2, {1, n}, {n, 1}, bias},
                        .dst = {2, {m, n}, {n, 1}, type},
                        .outputs = n,
                        .channel_mask = 1 << 1,
                        .copies = copies};
  const layer inner = {.name = "inner_product",
                       .src = {2, {m, k}, {k, 1}, type},
                       .weights = {2, {n, k}, {k, 1}, type},
                       .bias = {1, {n}, {1}, bias},
                       .dst = {2, {m, n}, {n, 1}, type},
                       .outputs = n,
                       .channel_mask = 1 << 1,
                       .copies = copies};
  return add_layer(job, &matmul) && add_layer(job, &inner);
}

/* KIND H W I O KH KW SY SX TOP LEFT BOTTOM RIGHT OH OW: weights [O, KH, KW, I], of a depthwise
 * layer [KH, KW, O]. */
static bool add_convolution(bench_job *job, const char *kind, const char *line) {
  long h, w, i, o, kh, kw, sy, sx, top, left, bottom, right, oh, ow;
  if (sscanf(line, "%ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld", &h, &w, &i, &o, &kh,
             &kw, &sy, &sx, &top, &left, &bottom, &right, &oh, &ow) != 14)
    return false;
  layer l = {.name = strcmp(kind, "tconv") == 0 ? "deconvolution" : "convolution",
             .src = {4, {1, i, h, w}, {h * w * i, 1, w * i, i}, dnnl_s8},
             .weights = {4, {o, i, kh, kw}, {kh * kw * i, 1, kw * i, i}, dnnl_s8},
             .bias = {1, {o}, {1}, dnnl_s32},
             .dst = {4, {1, o, oh, ow}, {oh * ow * o, 1, ow * o, o}, dnnl_s8},
             .stride = {sy, sx},
             .pad_low = {top, left},
             .pad_high = {bottom, right},
             .outputs = o,
             .channel_mask = 1 << 1,
             .copies = 1};
  if (strcmp(kind, "dw") == 0)
    l.weights = (tensor){5, {o, 1, 1, kh, kw}, {1, 1, 1, kw * o, o}, dnnl_s8};
  return add_layer(job, &l);
}

bool bench_add_onednn(bench_job *job, const char *line) {
  char kind[16] = "";
  int skip = 0;
  sscanf(line, "%15s %n", kind, &skip);
  if (strcmp(kind, "gemm") == 0)
    return add_gemm(job, line + skip);
  return add_convolution(job, kind, line + skip);
}
#else
bool bench_add_onednn(bench_job *job, const char *line) {
  (void)job, (void)line;
  return true; /* built without it: the table has no column */
}
#endif
