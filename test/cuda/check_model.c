/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Runs a model compiled for CUDA on files and compares its results with others', bit by bit:
 *     check_model [--rounds N] [--tolerance R] in0.bin … out0.bin …
 * Built with -DMODEL=NAME, beside the model's own files. Runs from host memory, as a graph and one
 * launch at a time, and prints one line: what was compared, and the median times. Exit status 1 on
 * any difference. */
#define _POSIX_C_SOURCE 200809L
#include "nibrt_cuda.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PASTE(a, b) a##b
#define MODEL_OF(name) PASTE(name, _cuda)
extern const nibrt_cuda_model MODEL_OF(MODEL);

enum { MAX_PORTS = 32 };

static void print_message(void *user, const char *text) {
  (void)user;
  fprintf(stderr, "%s\n", text);
}

static void *read_file(const char *path, uint64_t bytes) {
  FILE *f = fopen(path, "rb");
  uint8_t *data = malloc(bytes + 1);
  const size_t n = f && data ? fread(data, 1, bytes + 1, f) : 0;
  if (f)
    fclose(f);
  if (n == bytes)
    return data;
  fprintf(stderr, "%s: %zu bytes, expected %llu\n", path, n, (unsigned long long)bytes);
  free(data);
  return NULL;
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare_times(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The number of elements that differ: bytes, or floats by more than `tolerance` of the largest. */
static uint64_t differences(const void *y, const void *expected, uint64_t bytes, double tolerance) {
  uint64_t n = 0;
  double largest = 0;
  const float *a = y, *b = expected;
  for (uint64_t i = 0; tolerance > 0 && i < bytes / 4; ++i)
    largest = fmax(largest, fabs((double)b[i]));
  for (uint64_t i = 0; tolerance > 0 && i < bytes / 4; ++i)
    n += !(fabs((double)a[i] - (double)b[i]) <= tolerance * largest);
  for (uint64_t i = 0; tolerance <= 0 && i < bytes; ++i)
    n += ((const uint8_t *)y)[i] != ((const uint8_t *)expected)[i];
  return n;
}

/* Runs `rounds` times; the outputs are poisoned before the first. The median time goes to *out_us.
 */
static int run(const nibrt_cuda_model *m, uint32_t no_graph, const void *const *in,
               void *const *out, int rounds, double *out_us) {
  const nibrt_cuda_options options = {
      .size = sizeof options, .no_graph = no_graph, .message = print_message};
  nibrt_cuda_session *session;
  if (nibrt_cuda_open(m, &options, &session) != NIBRT_OK)
    return 0;
  double *times = malloc((size_t)rounds * sizeof *times);
  int ok = times != NULL;
  for (uint32_t i = 0; i < m->n_outputs; ++i)
    memset(out[i], 0xa5, m->output_bytes[i]);
  for (int i = 0; ok && i < rounds; ++i) {
    const double start = now_us();
    ok = nibrt_cuda_run(session, in, out, NULL) == NIBRT_OK;
    times[i] = now_us() - start;
  }
  if (ok) {
    qsort(times, (size_t)rounds, sizeof *times, compare_times);
    *out_us = times[rounds / 2];
  }
  free(times);
  nibrt_cuda_close(session);
  return ok;
}

int main(int argc, char **argv) {
  const nibrt_cuda_model *m = &MODEL_OF(MODEL);
  int rounds = 3, at = 1;
  double tolerance = 0;
  for (; at + 1 < argc && argv[at][0] == '-'; at += 2)
    if (strcmp(argv[at], "--rounds") == 0)
      rounds = atoi(argv[at + 1]) > 0 ? atoi(argv[at + 1]) : 1;
    else
      tolerance = atof(argv[at + 1]);
  if (argc - at != (int)(m->n_inputs + m->n_outputs) || argc - at > MAX_PORTS) {
    fprintf(stderr, "%s: %u input files and %u of results are needed\n", argv[0], m->n_inputs,
            m->n_outputs);
    return 2;
  }
  const void *in[MAX_PORTS];
  void *out[MAX_PORTS], *expected[MAX_PORTS];
  for (uint32_t i = 0; i < m->n_inputs; ++i)
    if (!(in[i] = read_file(argv[at++], m->input_bytes[i])))
      return 2;
  for (uint32_t i = 0; i < m->n_outputs; ++i)
    if (!(expected[i] = read_file(argv[at++], m->output_bytes[i])) ||
        !(out[i] = malloc(m->output_bytes[i])))
      return 2;
  double us[2] = {0, 0};
  uint64_t wrong = 0, bytes = 0;
  for (uint32_t no_graph = 0; no_graph < 2; ++no_graph) {
    if (!run(m, no_graph, in, out, rounds, &us[no_graph]))
      return 1;
    for (uint32_t i = 0; i < m->n_outputs; ++i) {
      wrong += differences(out[i], expected[i], m->output_bytes[i], tolerance);
      bytes += m->output_bytes[i];
    }
  }
  printf("%-28s %s: %llu of %llu bytes differ; %u launches, graph %.1f us, one by one %.1f us\n",
         m->name, wrong ? "WRONG" : "equal", (unsigned long long)wrong, (unsigned long long)bytes,
         m->n_launches, us[0], us[1]);
  return wrong ? 1 : 0;
}
