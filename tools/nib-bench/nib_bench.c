/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib-bench: measures each kernel of compiled models on this processor, as samples for a cost
 * model.
 *
 * A kernel is cut out of its model into a network of its own, compiled by the same passes and timed
 * alone with warm caches. One line of JSON per kernel is appended:
 *   {"desc":{…},"target":"x86-64-v4","ns":1234.5,"min_ns":1200.1,"predicted_ns":1100.0}
 * where desc is a kernel description as desc/kernel_desc.h writes it, body included. With
 * --candidates the ways to run it that were not chosen are measured too (candidates.c). */
#include "bench.h"
#include "binary.h"
#include "desc/kernel_desc.h"
#include "feed.h"
#include "file_io.h"
#include "interrupt.h"
#include "message.h"
#include "select/select.h"
#include "support.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_usage(FILE *to) {
  fprintf(
      to,
      "nib-bench measures each kernel of compiled models on this processor.\n\n"
      "Usage: nib-bench [--samples=F.jsonl] [--target=T] [--size] [-v] MODEL…\n"
      "       nib-bench --candidates[=N] [--samples=F.jsonl] [--target=T] [--size] MODEL…\n"
      "       nib-bench --predict=F.jsonl [--cost-model=M]\n\n"
      "Prints a line per kernel: measured and predicted time. --samples appends one line of\n"
      "JSON per kernel: {\"desc\":…,\"target\":…,\"ns\":…,\"min_ns\":…,\"predicted_ns\":…}.\n"
      "--candidates measures not only the choice but up to N (default 12) of the candidates that\n"
      "were weighed: the best predicted, the best of each schedule and vocabulary, and a spread "
      "of\n"
      "the others. Kernels of the same operators, formats and shapes are measured once.\n"
      "--predict prints such lines again with what the cost model predicts now;\n"
      "bench/cost_report.py sums up how good that is.\n\n"
      "Example:\n"
      "  nib-bench --samples=samples.jsonl --target=native kws.tflite\n");
}

/* ---- timing ---- */

/* Nanoseconds of one run, over batches of at least 2 ms. */
typedef struct timing {
  double median_ns, min_ns;
} timing;

static nib_status time_binary(const nibc_binary *b, const void *const *in, void *const *out,
                              timing *out_timing) {
  enum { BATCHES = 9 };
  double ns[BATCHES];
  int64_t runs = 1;
  for (double seconds = 0; seconds < 2e-3;) {
    const double begin = nibc_seconds();
    for (int64_t r = 0; r < runs; ++r)
      NIB_RETURN_IF_ERROR(nibc_binary_run(b, in, out));
    seconds = nibc_seconds() - begin;
    runs *= seconds < 2e-3 ? 2 : 1;
  }
  for (int i = 0; i < BATCHES; ++i) {
    const double begin = nibc_seconds();
    for (int64_t r = 0; r < runs; ++r)
      NIB_RETURN_IF_ERROR(nibc_binary_run(b, in, out));
    const double value = (nibc_seconds() - begin) * 1e9 / (double)runs;
    int at = i;
    for (; at > 0 && ns[at - 1] > value; --at)
      ns[at] = ns[at - 1];
    ns[at] = value;
  }
  *out_timing = (timing){.median_ns = ns[BATCHES / 2], .min_ns = ns[0]};
  return NIB_OK;
}

static nib_status time_session(nibc_session *s, timing *out_timing) {
  const nib_graph *g = s->planned;
  nibc_binary binary = {0};
  nibc_buffers x = {0}, y = {0};
  nib_status status = nibc_binary_load(s, &binary);
  if (status == NIB_OK)
    status = nibc_buffers_create(g, g->inputs, g->n_inputs, &x);
  if (status == NIB_OK)
    status = nibc_buffers_create(g, g->outputs, g->n_outputs, &y);
  for (int i = 0; status == NIB_OK && i < g->n_inputs; ++i)
    nibc_fill(&g->tensors[g->inputs[i]], 2 + i, x.at[i]);
  if (status == NIB_OK)
    status = time_binary(&binary, (const void *const *)x.at, y.at, out_timing);
  nibc_buffers_free(&x);
  nibc_buffers_free(&y);
  nibc_binary_unload(&binary);
  return status;
}

/* ---- samples ---- */

static nib_status append_sample(const char *path, const nib_graph *g, const nib_target *on,
                                timing took) {
  const nib_kernel *k = &g->kernels[0];
  nib_kernel_desc desc;
  NIB_RETURN_IF_ERROR(nib_select_describe(g, k, &desc));
  const nib_status printed = nib_kernel_desc_set_body(&desc, g, k->nodes, k->n_nodes);
  char *json = printed == NIB_OK ? nib_kernel_desc_to_json(&desc) : NULL;
  nib_kernel_desc_free(&desc);
  char *target = bench_spell_target(on);
  char *line = json && target
                   ? nibc_format("{\"desc\":%s,\"target\":\"%s\",\"ns\":%.1f,\"min_ns\":%.1f,"
                                 "\"predicted_ns\":%.1f}\n",
                                 json, target, took.median_ns, took.min_ns, k->predicted_ns)
                   : NULL;
  const nib_status status = bench_append(path, line);
  free(line);
  free(target);
  free(json);
  return status;
}

/* Compiles and times kernel `index` of `selected` in the session. */
static nib_status measure_kernel(nibc_session *s, const nib_graph *selected, int32_t index,
                                 const char *samples) {
  const nib_kernel *k = &selected->kernels[index];
  nib_graph *alone = bench_cut(selected, k, 1);
  if (!alone)
    return NIB_ERROR_INTERNAL;
  char *name = s->name;
  s->name = nibc_format("%s", k->name);
  timing took = {0};
  nib_status status = s->name ? nibc_session_set_graph(s, alone) : NIB_ERROR_OUT_OF_MEMORY;
  if (status == NIB_OK)
    status = nibc_session_run(s, NIBC_STAGE_FUSE, NIBC_STAGE_SELECT, false);
  if (status == NIB_OK)
    status = time_session(s, &took);
  if (status == NIB_OK) {
    const nib_kernel *chosen = &s->planned->kernels[0];
    printf("%-32.32s %-14s %-14s %12.2f us, predicted %12.2f us\n", k->name,
           chosen->schedule ? chosen->schedule : "-", chosen->vocab ? chosen->vocab : "-",
           took.median_ns * 1e-3, chosen->predicted_ns * 1e-3);
    if (samples)
      status = append_sample(samples, s->planned, &s->target, took);
  }
  free(s->name);
  s->name = name;
  nibc_session_drop_graph(s, s->planned);
  s->planned = NULL;
  nib_graph_destroy(alone);
  return status;
}

static nib_status measure_model(const nibc_options *o, const char *samples) {
  nibc_session s;
  NIB_RETURN_IF_ERROR(nibc_session_open(o, &s));
  nib_status status = nibc_session_run(&s, NIBC_STAGE_IMPORT, NIBC_STAGE_SELECT, false);
  const nib_graph *selected = s.planned;
  s.planned = NULL;
  for (int32_t k = 0; status == NIB_OK && k < selected->n_kernels; ++k)
    status = measure_kernel(&s, selected, k, samples);
  nibc_session_close(&s);
  return status;
}

/* ---- predictions ---- */

/* Prints one line of samples with the prediction that the cost model makes of it today. */
static nib_status predict_line(const nib_cost_model *model, const char *line) {
  cJSON *root = cJSON_Parse(line);
  const cJSON *target_text = cJSON_GetObjectItemCaseSensitive(root, "target");
  const cJSON *desc_json = cJSON_GetObjectItemCaseSensitive(root, "desc");
  char *text = desc_json ? cJSON_PrintUnformatted(desc_json) : NULL;
  nib_kernel_desc desc = {0};
  nib_target target;
  nib_cost cost;
  nib_status status = NIB_ERROR_INVALID_INPUT;
  if (text && cJSON_IsString(target_text))
    status = nib_kernel_desc_from_json(text, &desc, nibc_diag());
  else
    nibc_error("a line is no sample: %.60s", line);
  if (status == NIB_OK)
    status = nib_target_parse(target_text->valuestring, &target, nibc_diag());
  if (status == NIB_OK)
    status = nib_cost_predict(model, &desc, &target, &cost);
  if (status == NIB_OK) {
    cJSON_DeleteItemFromObjectCaseSensitive(root, "predicted_ns");
    cJSON_AddNumberToObject(root, "predicted_ns", cost.ns);
    char *out = cJSON_PrintUnformatted(root);
    status = out ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
    if (out)
      puts(out);
    cJSON_free(out);
  }
  nib_kernel_desc_free(&desc);
  cJSON_free(text);
  cJSON_Delete(root);
  return status;
}

static nib_status predict_file(const char *path, const char *cost_model) {
  uint8_t *bytes = NULL;
  size_t size = 0;
  nib_cost_model *model = NULL;
  nib_status status = nibc_file_read(path, &bytes, &size);
  if (status == NIB_OK)
    status = nib_cost_model_open(cost_model ? cost_model : "analytic", &model, nibc_diag());
  char *line = (char *)bytes;
  while (status == NIB_OK && line && *line) {
    char *end = strchr(line, '\n');
    if (end)
      *end = '\0';
    if (*line)
      status = predict_line(model, line);
    line = end ? end + 1 : NULL;
  }
  nib_cost_model_close(model);
  free(bytes);
  return status;
}

/* 1 … 256; -1: not such a number. */
static int read_count(const char *text) {
  char *end;
  const long n = strtol(text, &end, 10);
  return end != text && *end == '\0' && n >= 1 && n <= 256 ? (int)n : -1;
}

int main(int argc, char **argv) {
  nibc_interrupt_setup();
  nibc_message_setup(NULL, false, NULL);
  if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    print_usage(stdout);
    return 0;
  }
  // --samples and --predict are ours; everything else that begins with '-' is an option of nibc
  // compile.
  const char *samples = NULL, *predict = NULL, *models[256];
  char *words[256];
  int n_words = 0, n_models = 0, candidates = 0;
  for (int i = 1; i < argc && i < 256; ++i) {
    if (strncmp(argv[i], "--samples=", 10) == 0)
      samples = argv[i] + 10;
    else if (strncmp(argv[i], "--predict=", 10) == 0)
      predict = argv[i] + 10;
    else if (strcmp(argv[i], "--candidates") == 0)
      candidates = 12;
    else if (strncmp(argv[i], "--candidates=", 13) == 0)
      candidates = read_count(argv[i] + 13);
    else if (strcmp(argv[i], "--samples") == 0 && i + 1 < argc)
      samples = argv[++i];
    else if (strcmp(argv[i], "--target") == 0 && i + 1 < argc) {
      words[n_words++] = argv[i++];
      words[n_words++] = argv[i];
    } else if (argv[i][0] == '-' && argv[i][1])
      words[n_words++] = argv[i];
    else
      models[n_models++] = argv[i];
  }
  nibc_options options;
  if (candidates < 0 || (n_models == 0) == (predict == NULL) ||
      !nibc_options_parse(NIBC_COMPILE, n_words, words, &options)) {
    print_usage(stderr);
    return nib_status_exit_code(NIB_ERROR_INVALID_USAGE);
  }
  nib_status status = nibc_check_options(&options);
  if (status == NIB_OK && predict)
    status = predict_file(predict, options.cost_model);
  bench_seen seen = {0};
  for (int i = 0; (status == NIB_OK || candidates) && i < n_models; ++i) {
    options.model = models[i];
    nibc_message_setup(options.color, options.verbose, models[i]);
    printf("%s\n", models[i]);
    if (!candidates) {
      status = measure_model(&options, samples);
      continue;
    }
    const nib_status one = bench_candidates(&options, candidates, samples, &seen);
    status = status == NIB_OK ? one : status;
  }
  free(seen.hashes);
  return nib_status_exit_code(status);
}
