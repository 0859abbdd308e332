// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// nib-cuda-bench --run: checks and times the kernels of all cases, interleaved with cuBLASLt.
#include "bench.h"

#include "cases.h"
#include "cublaslt.h"
#include "driver.h"
#include "reference/reference.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  CONTENDERS = 24,
  KERNELS = 16, /* of a case */
  CASES = 64,
  SECONDS_OF_A_CASE = 45,
  SETS = 8, /* of weights, so that small ones do not stay in the cache */
  ROWS = 8, /* checked against the reference */
  CHANNELS = 64,
  LAUNCH_CLUSTER_DIMENSION = 4,
  FUNCTION_SHARED = 8, /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
};
static const size_t k_workspace = 64u << 20, k_cold = 384u << 20;
static const double k_interval_ms = 0.3; /* of one measurement, at least */

typedef struct contender {
  char label[160];
  bool ours;
  /* ours */
  bench_kernel kernel;
  void *module, *function;
  device_map maps[SETS][NIB_MAX_MAPS];
  device_pointer scratch;
  size_t weights_bytes;
  /* of both */
  device_pointer weights[SETS];
  int n_sets, next;
  /* cuBLASLt's */
  lt_product *product;
  int algorithm;
  double *ms, median;
  int inner;
  const char *verdict;
  void *start, *stop;
} contender;

/* What the processes of the cases leave. */
typedef struct common {
  double ms[CASES]; /* of our best kernel of each */
  double copy_gb_per_s;
  int failures;
} common;

/* What needs no GPU: the graph, weights packed. Made by a thread for each case. */
typedef struct prepared {
  const bench_case *c;
  const nib_diag *diag;
  nib_graph *g;
  uint8_t *host_x;
  bench_kernel kernels[KERNELS];
  int n;
  pthread_t thread;
} prepared;

typedef struct run {
  const bench_options *o;
  driver d;
  bool has_lt;
  device_pointer workspace, x, y;
  const bench_case *c;
  prepared *p;
  contender list[CONTENDERS];
  int n;
  FILE *json;
  common *shared;
  int failures;
} run;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- memory ---- */

static device_pointer device_alloc(run *r, size_t bytes) {
  device_pointer p = 0;
  return driver_ok(&r->d, r->d.cuMemAlloc_v2(&p, bytes ? bytes : 1), "cuMemAlloc") ? p : 0;
}

static void device_free(run *r, device_pointer p) {
  if (p)
    r->d.cuMemFree_v2(p);
}

/* Random elements, a part of them again and again. */
static device_pointer device_random(run *r, nib_format format, int64_t elems, uint64_t seed) {
  const size_t bytes = nib_format_storage_bytes(format, elems), part = 32u << 20;
  const size_t first = bytes < part ? bytes : part;
  uint8_t *data = malloc(first + 64);
  device_pointer p = device_alloc(r, bytes);
  if (data && p) {
    bench_fill(format, data, (int64_t)(first / nib_format_bytes(format)), seed);
    r->d.cuMemcpyHtoD_v2(p, data, first);
    for (size_t at = first; at < bytes; at += part)
      r->d.cuMemcpyDtoDAsync_v2(p + at, p, bytes - at < part ? bytes - at : part, r->d.stream);
    r->d.cuStreamSynchronize(r->d.stream);
  }
  free(data);
  return p;
}

/* More copies, until together they are larger than the cache. */
static void add_sets(run *r, contender *k, size_t bytes) {
  k->n_sets = 1;
  while (k->n_sets < SETS && (size_t)k->n_sets * bytes < k_cold) {
    device_pointer p = device_alloc(r, bytes);
    if (!p)
      return;
    r->d.cuMemcpyDtoDAsync_v2(p, k->weights[0], bytes, r->d.stream);
    k->weights[k->n_sets++] = p;
  }
  r->d.cuStreamSynchronize(r->d.stream);
}

/* ---- our kernels ---- */

static char *read_file(const char *folder, const char *name, const char *suffix,
                       size_t *out_bytes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
  FILE *f = fopen(path, "rb");
  if (!f)
    return NULL;
  fseek(f, 0, SEEK_END);
  const long size = ftell(f);
  rewind(f);
  char *data = size >= 0 ? malloc((size_t)size + 1) : NULL;
  if (data && fread(data, 1, (size_t)size, f) != (size_t)size) {
    free(data);
    data = NULL;
  }
  fclose(f);
  if (data)
    data[size] = 0;
  *out_bytes = (size_t)size;
  return data;
}

static device_pointer map_base(run *r, const contender *k, const nib_launch_map *m, int set) {
  return strcmp(m->parameter, "weights") == 0   ? k->weights[set] + m->offset
         : strcmp(m->parameter, "scratch") == 0 ? k->scratch + m->offset
         : strcmp(m->parameter, "out") == 0     ? r->y
                                                : r->x;
}

static bool encode_maps(run *r, contender *k) {
  static const uint32_t steps[5] = {1, 1, 1, 1, 1};
  const nib_launch *l = &k->kernel.launch;
  for (int s = 0; s < k->n_sets; ++s)
    for (int i = 0; i < l->n_maps; ++i) {
      const nib_launch_map *m = &l->maps[i];
      if (!driver_ok(&r->d,
                     r->d.cuTensorMapEncodeTiled(&k->maps[s][i], (int)m->type, m->rank,
                                                 (void *)(uintptr_t)map_base(r, k, m, s), m->dims,
                                                 m->strides_bytes, m->box, steps, 0,
                                                 (int)m->swizzle, (int)m->promote, 0),
                     "cuTensorMapEncodeTiled"))
        return false;
    }
  return true;
}

static bool upload_weights(run *r, contender *k) {
  k->weights_bytes = nib_constants_blob_bytes(k->kernel.constants);
  uint8_t *blob = malloc(k->weights_bytes + 1);
  if (!blob)
    return false;
  nib_constants_blob(k->kernel.constants, blob);
  k->weights[0] = device_alloc(r, k->weights_bytes);
  const bool ok =
      k->weights[0] &&
      driver_ok(&r->d, r->d.cuMemcpyHtoD_v2(k->weights[0], blob, k->weights_bytes), "weights");
  free(blob);
  if (ok)
    add_sets(r, k, k->weights_bytes);
  nib_constants_destroy(k->kernel.constants);
  k->kernel.constants = NULL;
  return ok;
}

static bool load_kernel(run *r, contender *k) {
  size_t bytes;
  char *source = read_file(r->o->folder, k->kernel.symbol, ".cu", &bytes);
  const bool same =
      source && bytes == k->kernel.source.size && memcmp(source, k->kernel.source.data, bytes) == 0;
  free(source);
  if (!same) {
    printf("  %s: the folder holds another kernel, or none; compile again\n", k->kernel.symbol);
    return false;
  }
  char *image = read_file(r->o->folder, k->kernel.symbol, ".cubin", &bytes);
  const nib_launch *l = &k->kernel.launch;
  const bool ok =
      image && driver_ok(&r->d, r->d.cuModuleLoadData(&k->module, image), "cuModuleLoadData") &&
      driver_ok(&r->d, r->d.cuModuleGetFunction(&k->function, k->module, k->kernel.symbol),
                "cuModuleGetFunction") &&
      driver_ok(&r->d, r->d.cuFuncSetAttribute(k->function, FUNCTION_SHARED, (int)l->shared_bytes),
                "cuFuncSetAttribute");
  free(image);
  return ok;
}

static bool launch_ours(run *r, contender *k) {
  const nib_launch *l = &k->kernel.launch;
  const int set = k->next++ % k->n_sets;
  void *params[16];
  int n = 0;
  params[n++] = &r->x;
  params[n++] = &r->y;
  if (k->scratch)
    params[n++] = &k->scratch;
  params[n++] = &k->weights[set];
  for (int i = 0; i < l->n_maps; ++i)
    params[n++] = &k->maps[set][i];
  launch_attribute cluster = {.id = LAUNCH_CLUSTER_DIMENSION,
                              .value = {(unsigned)l->cluster, 1, 1}};
  launch_config c = {.block = {(unsigned)l->threads, 1, 1},
                     .shared_bytes = (unsigned)l->shared_bytes,
                     .stream = r->d.stream,
                     .attributes = &cluster,
                     .n_attributes = l->cluster > 1};
  for (int i = 0; i < 3; ++i)
    c.grid[i] = l->grid[i] ? (unsigned)l->grid[i] : 1;
  return driver_ok(&r->d, r->d.cuLaunchKernelEx(&c, k->function, params, NULL), k->kernel.symbol);
}

static bool launch(run *r, contender *k) {
  if (k->ours)
    return launch_ours(r, k);
  const int status =
      lt_run(k->product, k->algorithm, r->x, k->weights[k->next++ % k->n_sets], r->y, r->d.stream);
  if (status)
    printf("  %s: status %d\n", k->label, status);
  return status == 0;
}

static void release(run *r, contender *k) {
  for (int i = 0; i < SETS; ++i)
    device_free(r, k->weights[i]);
  device_free(r, k->scratch);
  if (k->module)
    r->d.cuModuleUnload(k->module);
  lt_destroy(k->product);
  bench_kernel_free(&k->kernel);
  free(k->ms);
  k->ms = NULL;
}

/* ---- timing ---- */

static double measure(run *r, contender *k, int inner) {
  float ms = 0;
  r->d.cuEventRecord(k->start, r->d.stream);
  for (int i = 0; i < inner; ++i)
    if (!launch(r, k))
      return -1;
  r->d.cuEventRecord(k->stop, r->d.stream);
  if (!driver_ok(&r->d, r->d.cuStreamSynchronize(r->d.stream), k->label))
    return -1;
  r->d.cuEventElapsedTime(&ms, k->start, k->stop);
  return (double)ms / inner;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Everything once per round, in turns. */
static bool time_all(run *r) {
  for (int i = 0; i < r->n; ++i) {
    contender *k = &r->list[i];
    k->ms = malloc((size_t)r->o->rounds * sizeof *k->ms);
    measure(r, k, 2);
    const double ms = measure(r, k, 4);
    if (!k->ms || ms < 0)
      return false;
    k->inner = ms > 0 ? (int)ceil(k_interval_ms / ms) : 1;
    k->inner = k->inner < 1 ? 1 : k->inner > 64 ? 64 : k->inner;
  }
  for (int round = 0; round < r->o->rounds; ++round)
    for (int i = 0; i < r->n; ++i) {
      contender *k = &r->list[(i + round) % r->n];
      k->ms[round] = measure(r, k, k->inner);
      if (k->ms[round] < 0)
        return false;
    }
  for (int i = 0; i < r->n; ++i) {
    contender *k = &r->list[i];
    qsort(k->ms, (size_t)r->o->rounds, sizeof *k->ms, by_value);
    k->median = k->ms[r->o->rounds / 2];
  }
  return true;
}

/* ---- checking ---- */

/* Rows and channels at both ends and between. */
static void sample(int64_t n, int64_t *out, int count, uint64_t seed) {
  for (int i = 0; i < count; ++i) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    out[i] = i == 0 ? 0 : i == 1 ? n - 1 : (int64_t)((seed >> 33) % (uint64_t)n);
  }
}

static bool is_near(nib_format format, double want, double got, double scale) {
  const nib_format_info *f = nib_format_get(format);
  const double step = ldexp(1.0, -f->real.mantissa_bits);
  return fabs(want - got) <= step * fabs(want) + (f->bits == 8 ? 0.03 : 0.004) * scale;
}

/* Elements of the result that differ from what the reference computes; -1 after a failure. */
static int count_wrong(run *r, nib_reference *ref, const nib_graph *g, const int64_t *rows,
                       int n_rows, const int64_t *channels, int n_channels) {
  const nib_tensor *y = &g->tensors[g->outputs[0]];
  const void *want = nib_reference_tensor(ref, g->outputs[0]);
  const size_t size = nib_format_bytes(y->format), row_bytes = (size_t)r->c->n * size;
  uint8_t *got = malloc(row_bytes);
  const bool is_float = nib_format_get(y->format)->kind == NIB_KIND_FLOAT;
  double scale = 0;
  int wrong = got ? 0 : -1;
  for (int64_t i = 0; is_float && i < nib_tensor_elems(y); ++i)
    scale += fabs(nib_format_load_real(y->format, want, i)) / (double)nib_tensor_elems(y);
  for (int i = 0; got && i < n_rows; ++i) {
    if (!driver_ok(&r->d,
                   r->d.cuMemcpyDtoH_v2(got, r->y + (uint64_t)rows[i] * row_bytes, row_bytes),
                   "result")) {
      wrong = -1;
      break;
    }
    for (int j = 0; j < n_channels; ++j) {
      const int64_t at = (int64_t)i * n_channels + j;
      bool same = memcmp((const uint8_t *)want + (size_t)at * size,
                         got + (size_t)channels[j] * size, size) == 0;
      if (!same && is_float)
        same = is_near(y->format, nib_format_load_real(y->format, want, at),
                       nib_format_load_real(y->format, got, channels[j]), scale);
      if (!same && wrong < 3)
        printf("  wrong at [%lld, %lld]\n", (long long)rows[i], (long long)channels[j]);
      wrong += !same;
    }
  }
  free(got);
  return wrong;
}

static void check_all(run *r) {
  int64_t rows[ROWS], channels[CHANNELS];
  const int n_rows = r->c->m < ROWS ? (int)r->c->m : ROWS;
  sample(r->c->m, rows, n_rows, 7);
  sample(r->c->n, channels, CHANNELS, 8);
  nib_graph *g = bench_case_sample(r->c, r->p->g, channels, CHANNELS, n_rows);
  nib_reference *ref = NULL;
  const nib_tensor *x = &r->p->g->tensors[r->p->g->inputs[0]];
  const size_t row_bytes = nib_tensor_bytes(x) / (size_t)r->c->m;
  uint8_t *some = malloc((size_t)n_rows * row_bytes + 1);
  for (int i = 0; some && i < n_rows; ++i)
    memcpy(some + (size_t)i * row_bytes, r->p->host_x + (size_t)rows[i] * row_bytes, row_bytes);
  const void *in[] = {some};
  const bool ready = g && some && nib_reference_create(g, &ref, &r->o->diag) == NIB_OK &&
                     nib_reference_run(ref, in, &r->o->diag) == NIB_OK;
  const size_t bytes = nib_tensor_bytes(&r->p->g->tensors[r->p->g->outputs[0]]);
  for (int i = 0; i < r->n; ++i) {
    contender *k = &r->list[i];
    k->verdict = "-";
    if (!k->ours)
      continue;
    r->d.cuMemsetD8_v2(r->y, 0xab, bytes);
    int wrong =
        ready && launch(r, k) && driver_ok(&r->d, r->d.cuStreamSynchronize(r->d.stream), k->label)
            ? count_wrong(r, ref, g, rows, n_rows, channels, CHANNELS)
            : -1;
    k->verdict = wrong == 0 ? "ok" : "WRONG";
    if (wrong)
      printf("  %s: %d of %d elements wrong\n", k->label, wrong, n_rows * CHANNELS);
    r->failures += wrong != 0;
  }
  free(some);
  nib_reference_destroy(ref);
  nib_graph_destroy(g);
}

/* ---- contenders of a case ---- */

static contender *add_contender(run *r) {
  if (r->n == CONTENDERS)
    return NULL;
  contender *k = &r->list[r->n];
  void *start = k->start, *stop = k->stop;
  memset(k, 0, sizeof *k);
  k->start = start;
  k->stop = stop;
  if (!start) {
    r->d.cuEventCreate(&k->start, 0);
    r->d.cuEventCreate(&k->stop, 0);
  }
  return k;
}

static void add_ours(run *r) {
  for (int i = 0; i < r->p->n; ++i) {
    contender *k = add_contender(r);
    if (!k)
      return;
    k->kernel = r->p->kernels[i];
    memset(&r->p->kernels[i], 0, sizeof r->p->kernels[i]);
    k->ours = true;
    snprintf(k->label, sizeof k->label, "%s %dx%dx%dx%d", k->kernel.schedule->name,
             k->kernel.tile[0], k->kernel.tile[1], k->kernel.tile[2], k->kernel.tile[3]);
    const int64_t scratch = k->kernel.scratch_bytes;
    if (scratch > 0) {
      k->scratch = device_alloc(r, (size_t)scratch);
      r->d.cuMemsetD8_v2(k->scratch, 0, (size_t)scratch);
    }
    const bool ok = load_kernel(r, k) && upload_weights(r, k) && encode_maps(r, k);
    if (ok) {
      r->n++;
      continue;
    }
    r->failures++;
    release(r, k);
  }
}

/* The fastest of the algorithms that the heuristics offer. */
static void choose_algorithm(run *r, contender *k) {
  double best = -1;
  int chosen = 0;
  for (int i = 0; i < lt_algorithms(k->product); ++i) {
    k->algorithm = i;
    if (lt_run(k->product, i, r->x, k->weights[0], r->y, r->d.stream))
      continue;
    double ms = measure(r, k, 3);
    ms = ms < 0 ? ms : measure(r, k, 5);
    if (ms >= 0 && (best < 0 || ms < best)) {
      best = ms;
      chosen = i;
    }
  }
  k->algorithm = chosen;
}

static void add_peer(run *r, const char *result) {
  contender *k = add_contender(r);
  const char *type = r->c->peer;
  if (!k || !r->has_lt)
    return;
  k->product = lt_create(type, result, r->c->m, r->c->n, r->c->k, r->workspace, k_workspace);
  if (!k->product)
    return;
  snprintf(k->label, sizeof k->label, "cuBLASLt %s to %s", type, result);
  const nib_format format = nib_format_find(strcmp(type, "f8e4m3") ? type : "f8E4M3FN");
  k->weights[0] = device_random(r, format, r->c->n * r->c->k, 11);
  if (!k->weights[0]) {
    release(r, k);
    return;
  }
  add_sets(r, k, nib_format_storage_bytes(format, r->c->n * r->c->k));
  choose_algorithm(r, k);
  r->n++;
}

static void add_peers(run *r) {
  if (strcmp(r->c->peer, "i8") == 0) {
    add_peer(r, "i8");
    add_peer(r, "i32");
  } else if (strcmp(r->c->peer, "f8e4m3") == 0) {
    add_peer(r, "f8e4m3");
    add_peer(r, "bf16");
  } else
    add_peer(r, r->c->peer);
}

/* ---- reporting ---- */

static double best_of(const run *r, bool ours) {
  double best = INFINITY;
  for (int i = 0; i < r->n; ++i)
    if (r->list[i].ours == ours && r->list[i].median > 0)
      best = fmin(best, r->list[i].median);
  return best;
}

static void record(run *r, const contender *k, double peer) {
  const double flops = 2.0 * (double)r->c->m * (double)r->c->n * (double)r->c->k;
  const double us = k->median * 1e3;
  const double gb = k->ours ? (double)k->weights_bytes / us * 1e-3 : 0;
  printf("  %-34s %9.1f us %8.1f TFLOP/s %8.0f GB/s of weights  %6.3f  %s\n", k->label, us,
         flops / us * 1e-6, gb, k->ours && isfinite(peer) ? peer / k->median : 1.0, k->verdict);
  if (!r->json)
    return;
  fprintf(
      r->json,
      "{\"case\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, \"what\": \"%s\", "
      "\"ours\": %s, \"us\": %.3f, \"least_us\": %.3f, \"tflops\": %.2f, \"weights_bytes\": %zu, "
      "\"times_the_peer\": %.4f, \"check\": \"%s\"}\n",
      r->c->name, (long long)r->c->m, (long long)r->c->n, (long long)r->c->k, k->label,
      k->ours ? "true" : "false", us, k->ms[0] * 1e3, flops / us * 1e-6, k->weights_bytes,
      isfinite(peer) ? peer / k->median : 0.0, k->verdict);
}

static int number_of_case(const char *name) {
  const bench_case *c;
  for (int i = 0; (c = bench_case_at(i)) != NULL && i < CASES; ++i)
    if (strcmp(c->name, name) == 0)
      return i;
  return 0;
}

static void report(run *r) {
  const double peer = best_of(r, false), ours = best_of(r, true);
  size_t bytes = 0;
  for (int i = 0; i < r->n; ++i) {
    record(r, &r->list[i], peer);
    if (r->list[i].median == ours)
      bytes = r->list[i].weights_bytes;
  }
  if (!isfinite(ours))
    return;
  r->shared->ms[number_of_case(r->c->name)] = ours;
  if (isfinite(peer))
    printf("  best: %.3f times the best of cuBLASLt\n", peer / ours);
  const double than = r->c->than ? r->shared->ms[number_of_case(r->c->than)] : 0;
  if (than > 0)
    printf("  %.3f times as fast as %s\n", than / ours, r->c->than);
  if (r->c->m <= 16 && r->shared->copy_gb_per_s > 0)
    printf("  weights at %.1f %% of the copy's bandwidth\n",
           (double)bytes / ours * 1e-6 / r->shared->copy_gb_per_s * 100);
}

static void *prepare(void *user) {
  prepared *p = user;
  p->g = bench_case_graph(p->c);
  const nib_tensor *x = p->g ? &p->g->tensors[p->g->inputs[0]] : NULL;
  p->host_x = x ? malloc(nib_tensor_bytes(x) + 64) : NULL;
  if (!p->host_x)
    return NULL;
  bench_fill(x->format, p->host_x, nib_tensor_elems(x), 5);
  while (p->n < KERNELS &&
         bench_kernel_write(p->c, p->g, p->n, &p->kernels[p->n], p->diag) == NIB_OK)
    p->n++;
  return NULL;
}

static void run_case(run *r) {
  const double begun = seconds();
  printf("%s: [%lld, %lld] x [%lld, %lld], %s by %s\n", r->c->name, (long long)r->c->m,
         (long long)r->c->k, (long long)r->c->n, (long long)r->c->k, r->c->activations,
         r->c->weights);
  r->n = 0;
  if (!r->p->host_x || r->p->n == 0) {
    printf("  no kernel\n");
    r->failures++;
    nib_graph_destroy(r->p->g);
    return;
  }
  const nib_tensor *x = &r->p->g->tensors[r->p->g->inputs[0]];
  r->x = device_alloc(r, nib_tensor_bytes(x));
  r->y = device_alloc(r, (size_t)(r->c->m * r->c->n) * 4);
  r->d.cuMemcpyHtoD_v2(r->x, r->p->host_x, nib_tensor_bytes(x));
  add_ours(r);
  check_all(r);
  add_peers(r);
  for (int i = 0; i < r->n; ++i)
    r->list[i].verdict = r->list[i].verdict ? r->list[i].verdict : "-";
  if (time_all(r))
    report(r);
  else
    r->failures++;
  for (int i = r->n; i-- > 0;)
    release(r, &r->list[i]);
  device_free(r, r->x);
  device_free(r, r->y);
  free(r->p->host_x);
  nib_graph_destroy(r->p->g);
  printf("  (%.1f s)\n", seconds() - begun);
  fflush(stdout);
}

static double copy_bandwidth(run *r) {
  const size_t bytes = r->o->alone ? 64u << 20 : 2u << 30;
  device_pointer a = device_alloc(r, bytes), b = device_alloc(r, bytes);
  void *start, *stop;
  float best = INFINITY;
  r->d.cuEventCreate(&start, 0);
  r->d.cuEventCreate(&stop, 0);
  for (int i = 0; a && b && i < 12; ++i) {
    float ms = 0;
    r->d.cuEventRecord(start, r->d.stream);
    r->d.cuMemcpyDtoDAsync_v2(b, a, bytes, r->d.stream);
    r->d.cuEventRecord(stop, r->d.stream);
    r->d.cuStreamSynchronize(r->d.stream);
    r->d.cuEventElapsedTime(&ms, start, stop);
    if (i > 1 && ms > 0)
      best = fminf(best, ms);
  }
  device_free(r, a);
  device_free(r, b);
  return 2.0 * (double)bytes / (double)best * 1e-6;
}

/* One case, or with `p` NULL what is measured once, in a process of its own: a kernel that hangs or
 * is wrong takes no other one with it. */
static void run_apart(const bench_options *o, prepared *p, common *shared) {
  static run r; /* large */
  alarm(SECONDS_OF_A_CASE);
  r = (run){.o = o, .p = p, .c = p ? p->c : NULL, .shared = shared};
  if (!driver_open(&r.d))
    exit(1);
  r.json = o->json ? fopen(o->json, "a") : NULL;
  if (!p) {
    const double bandwidth = shared->copy_gb_per_s = copy_bandwidth(&r);
    printf("%s, %d multiprocessors, driver %d; a copy moves %.0f GB/s, read and written\n",
           r.d.device, r.d.processors, r.d.version, bandwidth);
    if (r.json)
      fprintf(r.json, "{\"device\": \"%s\", \"copy_gb_per_s\": %.1f}\n", r.d.device, bandwidth);
  } else {
    r.has_lt = !o->alone && lt_open();
    r.workspace = device_alloc(&r, k_workspace);
    run_case(&r);
    shared->failures += r.failures;
  }
  if (r.json)
    fclose(r.json);
  fflush(stdout);
  _exit(0);
}

static void wait_for(pid_t child, const char *name, common *shared) {
  int status;
  if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
      WEXITSTATUS(status) == 0)
    return;
  printf("%s: ended before its end%s\n", name,
         child > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": it takes too long"
                                                                         : "");
  shared->failures++;
}

int bench_run(const bench_options *o) {
  static prepared all[CASES];
  int n = 0;
  const bench_case *c;
  const double begun = seconds();
  common *shared =
      mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    return 1;
  for (int i = 0; (c = bench_case_at(i)) != NULL && n < CASES; ++i) {
    if (!bench_case_is_wanted(c, o->only))
      continue;
    all[n] = (prepared){.c = c, .diag = &o->diag};
    if (pthread_create(&all[n].thread, NULL, prepare, &all[n]) != 0)
      break;
    n++;
  }
  for (int i = 0; i < n; ++i)
    pthread_join(all[i].thread, NULL);
  printf("%d cases, prepared in %.1f s\n", n, seconds() - begun);
  if (o->json)
    remove(o->json);
  for (int i = -1; i < n; ++i) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
      run_apart(o, i < 0 ? NULL : &all[i], shared);
    wait_for(child, i < 0 ? "device" : all[i].c->name, shared);
    if (i < 0 && shared->failures)
      break; /* there is none */
  }
  printf("%d failures, %.1f s\n", shared->failures, seconds() - begun);
  return shared->failures ? 1 : 0;
}
