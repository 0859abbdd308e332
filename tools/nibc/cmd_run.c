/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nibc run. */
#include "binary.h"
#include "commands.h"
#include "count.h"
#include "feed.h"
#include "message.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A bar on a terminal once the work has taken a moment; none where a program reads (--json). */
static void show_progress(int64_t done, int64_t total, double begin) {
  static double last;
  if (!isatty(STDERR_FILENO))
    return;
  const double now = nibc_seconds();
  if (done < total && (now - begin < 0.3 || now - last < 0.05))
    return;
  const bool shown = last > begin;
  last = now;
  if (done == total) {
    if (shown)
      fprintf(stderr, "\r\033[K");
    return;
  }
  char bar[41];
  const int filled = (int)(40 * done / total);
  memset(bar, '#', (size_t)filled);
  memset(bar + filled, '.', (size_t)(40 - filled));
  bar[40] = 0;
  fprintf(stderr, "\r[%s] %lld of %lld", bar, (long long)done, (long long)total);
}

typedef struct timing {
  double *us;
  int64_t n;
} timing;

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* One run in an emulator. It takes no time that would say anything; the first run is counted. */
static nib_status run_emulated(const nibc_session *s, const nibc_binary *binary,
                               const void *const *in, void *const *out, nibc_counts *counts) {
  uint64_t instructions, stack;
  NIB_RETURN_IF_ERROR(nibc_emulator_run(binary->emulator, in, out, &instructions, &stack));
  if (!s->options->count || counts->instructions)
    return NIB_OK;
  counts->instructions = instructions;
  counts->stack_bytes = stack;
  return nibc_count_read(s, binary->kept, counts);
}

/* All runs of the feed, `repeat` times each; times of the network alone. */
static nib_status run_all(const nibc_session *s, const nibc_binary *binary, const nibc_feed *in,
                          const nibc_feed *out, timing *t, nibc_counts *counts) {
  const nib_graph *g = s->planned;
  nibc_buffers x = {0}, y = {0};
  nib_status status = nibc_buffers_create(g, g->inputs, g->n_inputs, &x);
  if (status == NIB_OK)
    status = nibc_buffers_create(g, g->outputs, g->n_outputs, &y);
  const double begin = nibc_seconds();
  for (int64_t run = 0; status == NIB_OK && run < in->runs; ++run) {
    for (int i = 0; i < in->n; ++i)
      memcpy(x.at[i], nibc_feed_at(in, i, run), nib_tensor_bytes(&g->tensors[g->inputs[i]]));
    const bool emulated = binary->emulator != NULL;
    for (int64_t r = 0; emulated && status == NIB_OK && r < s->options->repeat; ++r)
      status = run_emulated(s, binary, (const void *const *)x.at, y.at, counts);
    if (run == 0 && !emulated) // not timed: first touch of code, weights and arena
      status = nibc_binary_run(binary, (const void *const *)x.at, y.at);
    for (int64_t r = 0; !emulated && status == NIB_OK && r < s->options->repeat; ++r) {
      const double start = nibc_seconds();
      status = nibc_binary_run(binary, (const void *const *)x.at, y.at);
      t->us[t->n++] = (nibc_seconds() - start) * 1e6;
    }
    for (int i = 0; status == NIB_OK && i < out->n; ++i)
      memcpy(nibc_feed_at(out, i, run), y.at[i], nib_tensor_bytes(&g->tensors[g->outputs[i]]));
    if (!s->options->json)
      show_progress(run + 1, in->runs, begin);
  }
  nibc_buffers_free(&x);
  nibc_buffers_free(&y);
  return status;
}

static void print_times(const nibc_options *o, timing *t) {
  qsort(t->us, (size_t)t->n, sizeof *t->us, by_value);
  const double median = t->n % 2 ? t->us[t->n / 2] : (t->us[t->n / 2 - 1] + t->us[t->n / 2]) * 0.5;
  const double least = t->us[0], most = t->us[t->n - 1];
  if (!o->json) {
    printf("time: median %.2f us, min %.2f us, max %.2f us (%lld runs)\n", median, least, most,
           (long long)t->n);
    return;
  }
  printf("{\"median_us\":%.3f,\"min_us\":%.3f,\"max_us\":%.3f,\"runs\":%lld}\n", median, least,
         most, (long long)t->n);
}

/* What an emulator can say of the runs. */
static void print_emulated(const nibc_session *s, const nibc_counts *counts, int64_t runs) {
  if (s->options->count)
    nibc_count_print(s, counts, runs);
  else if (s->options->json)
    printf("{\"runs\":%lld}\n", (long long)runs);
  else
    printf("%lld run%s in an emulator, whose time says nothing (--count counts instructions)\n",
           (long long)runs, runs == 1 ? "" : "s");
}

static nib_status run_session(nibc_session *s, const nibc_feed *in) {
  const nibc_options *o = s->options;
  const nib_graph *g = s->planned;
  nibc_binary binary = {0};
  nibc_feed out = {0};
  timing times = {NULL, 0};
  nibc_counts counts = {0};
  nib_status status = nibc_binary_load(s, &binary);
  if (status == NIB_OK && !o->dry_run) {
    int64_t total = 0;
    if (!__builtin_mul_overflow(in->runs, o->repeat, &total) && total < INT64_C(1) << 32)
      times.us = malloc((size_t)total * sizeof *times.us);
    status = times.us
                 ? nibc_feed_for_tensors(g, g->outputs, g->n_outputs, in->runs, in->batch, &out)
                 : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "too many runs");
    if (status == NIB_OK)
      status = run_all(s, &binary, in, &out, &times, &counts);
    for (int i = 0; status == NIB_OK && i < o->outputs.n; ++i)
      status = nibc_npy_write(o->outputs.items[i], &out.arrays[i]);
    if (status == NIB_OK && binary.emulator)
      print_emulated(s, &counts, in->runs * o->repeat);
    else if (status == NIB_OK)
      print_times(o, &times);
  }
  nibc_counts_free(&counts);
  free(times.us);
  nibc_feed_free(&out);
  nibc_binary_unload(&binary);
  return status;
}

nib_status nibc_command_run(const nibc_options *o) {
  NIB_RETURN_IF_ERROR(nibc_check_options(o));
  nibc_session session;
  NIB_RETURN_IF_ERROR(nibc_compile_model(o, false, &session));
  const nib_graph *g = session.planned;
  nibc_feed in = {0};
  nib_status status = NIB_OK;
  if (o->outputs.n > g->n_outputs)
    status = nibc_fail(NIB_ERROR_INVALID_INPUT, "the model has %d output%s, %d given", g->n_outputs,
                       g->n_outputs == 1 ? "" : "s", o->outputs.n);
  if (status == NIB_OK)
    status = nibc_feed_read(g, g->inputs, g->n_inputs, &o->inputs, "input", &in);
  if (status == NIB_OK && (o->out_dir || o->report || o->verbose))
    status = nibc_write_files(&session, o->verbose ? stdout : NULL);
  if (status == NIB_OK)
    status = run_session(&session, &in);
  nibc_feed_free(&in);
  nibc_session_close(&session);
  return status;
}
