/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * ggml (llama.cpp's CPU kernels) as a peer: f32 activations times weights in a block format, as
 * they lie in a file and as its own repacking lays them out, where it has one. */
#include "harness.h"

#ifdef BENCH_GGML
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <string.h>

typedef struct product {
  ggml_backend_t backend;
  struct ggml_cgraph *graphs[BENCH_MAX_COPIES];
  const void *results[BENCH_MAX_COPIES];
  int copies;
  bench_entry *entry;
} product;

static const struct type_name {
  const char *name;
  enum ggml_type type;
} TYPES[] = {{"q4_0", GGML_TYPE_Q4_0}, {"tq2_0", GGML_TYPE_TQ2_0}};

static bool run_product(void *context) {
  product *const p = context;
  const int copy = bench_next_copy(p->copies);
  p->entry->result = p->results[copy];
  return ggml_backend_graph_compute(p->backend, p->graphs[copy]) == GGML_STATUS_SUCCESS;
}

/* A context that holds descriptions only: memory comes from buffers. */
static struct ggml_context *make_context(void) {
  return ggml_init(
      (struct ggml_init_params){ggml_tensor_overhead() * 16 + ggml_graph_overhead(), NULL, true});
}

/* One copy of the weights and the graph that reads it and writes *result. */
static struct ggml_cgraph *make_graph(bench_job *job, enum ggml_type type, const long *mnk,
                                      ggml_backend_buffer_type_t where, ggml_backend_dev_t device,
                                      const void **result) {
  const long m = mnk[0], n = mnk[1], k = mnk[2];
  struct ggml_context *const held = make_context(), *const c = make_context();
  struct ggml_tensor *const w = ggml_new_tensor_2d(held, type, k, n);
  ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors_from_buft(held, where);
  if (!buffer)
    return NULL;
  ggml_backend_buffer_set_usage(buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  struct ggml_tensor *const x = ggml_new_tensor_2d(c, GGML_TYPE_F32, k, m);
  struct ggml_tensor *const y = ggml_mul_mat(c, w, x);
  struct ggml_cgraph *const graph = ggml_new_graph(c);
  ggml_build_forward_expand(graph, y);
  if (!ggml_backend_dev_supports_op(device, y) ||
      !ggml_backend_alloc_ctx_tensors_from_buft(c, ggml_backend_cpu_buffer_type()))
    return NULL;
  ggml_backend_tensor_set(w, job->weights, 0, ggml_nbytes(w));
  ggml_backend_tensor_set(x, job->input, 0, ggml_nbytes(x));
  *result = y->data;
  return graph;
}

static bool add_product(bench_job *job, enum ggml_type type, const long *mnk, int copies,
                        ggml_backend_buffer_type_t where, ggml_backend_dev_t device) {
  product *const p = bench_alloc(sizeof *p);
  p->backend = ggml_backend_cpu_init();
  p->copies = copies;
  ggml_backend_cpu_set_n_threads(p->backend, 1);
  for (int i = 0; i < copies; ++i)
    if (!(p->graphs[i] = make_graph(job, type, mnk, where, device, &p->results[i])))
      return true; /* this layout has no kernel for it */
  bench_entry *const e = p->entry = bench_add(job, "ggml", run_product, p);
  if (!e)
    return false;
  snprintf(e->info, sizeof e->info, "%s, %s, %s%s, one thread", ggml_version(),
           ggml_backend_buft_name(where),
           ggml_cpu_has_avx512_vnni() ? "AVX512-VNNI"
           : ggml_cpu_has_avx2()      ? "AVX2"
                                      : "",
           ggml_cpu_has_llamafile() ? ", llamafile" : "");
  e->result = p->results[0];
  e->tolerance = 0.03; /* it rounds activations to 8 bits */
  return true;
}

static void stay_silent(enum ggml_log_level level, const char *text, void *user) {
  (void)level, (void)text, (void)user;
}

bool bench_add_ggml(bench_job *job, const char *line) {
  char name[32];
  long mnk[3];
  int copies = 1;
  if (sscanf(line, "%31s %ld %ld %ld %d", name, &mnk[0], &mnk[1], &mnk[2], &copies) < 4 ||
      copies > BENCH_MAX_COPIES)
    return false;
  ggml_log_set(stay_silent, NULL);
  ggml_backend_reg_t reg = ggml_backend_cpu_reg();
  ggml_backend_dev_t device = ggml_backend_reg_dev_get(reg, 0);
  ggml_backend_buffer_type_t where[8] = {ggml_backend_cpu_buffer_type()};
  int n = 1;
  ggml_backend_dev_get_extra_bufts_t extra;
  *(void **)&extra = ggml_backend_reg_get_proc_address(reg, "ggml_backend_dev_get_extra_bufts");
  for (ggml_backend_buffer_type_t *b = extra ? extra(device) : NULL; b && *b && n < 8; ++b)
    where[n++] = *b;
  for (size_t t = 0; t < sizeof TYPES / sizeof *TYPES; ++t)
    for (int i = 0; strcmp(TYPES[t].name, name) == 0 && i < n; ++i)
      if (!add_product(job, TYPES[t].type, mnk, copies, where[i], device))
        return false;
  return true;
}
#else
bool bench_add_ggml(bench_job *job, const char *line) {
  (void)job, (void)line;
  return true;
}
#endif
