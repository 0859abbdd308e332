/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * For tests of the vector schedules: every kernel of a suite in its vector schedule, in each
 * vocabulary that runs here, against the reference. */
#ifndef NIB_TEST_KERNEL_HARNESS_H
#define NIB_TEST_KERNEL_HARNESS_H

#include "emit_harness.h"

#include "target/target.h"
#include "vocab/vocab.h"

/* One lane: depthwise convolution and all that has no multiply-accumulates is `direct` there. */
static bool runs_direct_by_design(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  const nib_op op = g->nodes[k->nodes[0]].op;
  return v->lanes == 1 && op != NIB_OP_CONV2D && op != NIB_OP_TRANSPOSE_CONV2D &&
         op != NIB_OP_FULLY_CONNECTED;
}

/* Whether forms are preferred whose weights share bytes, and the kernels that had one. */
HARNESS_UNUSED static bool harness_shares_bytes;
HARNESS_UNUSED static int harness_sharing_kernels;

/* Brings tiles of such forms to the front; their number, or n where there are none. */
HARNESS_UNUSED static int keep_sharing(const nib_schedule *s, int32_t (*tiles)[NIB_MAX_TILE],
                                       int n) {
  int count = 0;
  for (int i = 0; i < n && strcmp(s->name, "conv_rows") == 0; i++)
    if (tiles[i][4] > 1)
      memmove(tiles[count++], tiles[i], sizeof tiles[i]);
  harness_sharing_kernels += count > 0;
  return count > 0 ? count : n;
}

/* Chooses the vocabulary, and schedule and tile rotating through the candidates. */
HARNESS_UNUSED static int select_vector(suite *s, const nib_vocab *v) {
  nib_graph *g = s->g;
  int vectors = 0;
  int64_t at = g->arena_bytes;
  for (int32_t i = 0; i < g->n_kernels; i++) {
    nib_kernel *k = &g->kernels[i];
    const nib_schedule *able[8];
    int n_able = 0;
    for (size_t j = 0; nib_schedule_at(j) && strcmp(nib_schedule_at(j)->name, "direct") != 0; j++)
      if (nib_schedule_at(j)->device == v->device && nib_schedule_at(j)->accepts(g, k, v) &&
          n_able < 8)
        able[n_able++] = nib_schedule_at(j);
    if (n_able > 0) { /* another one for each kernel and rounding */
      const nib_schedule *schedule = able[((size_t)i + strlen(g->rounding)) % (size_t)n_able];
      int32_t tiles[24][NIB_MAX_TILE];
      int n = schedule->tiles(g, k, v, tiles, 24);
      CHECK(n >= 1 && n <= 24);
      if (harness_shares_bytes)
        n = keep_sharing(schedule, tiles, n);
      memcpy(k->tile, tiles[(i * 5) % n], sizeof k->tile);
      k->schedule = schedule->name;
      k->vocab = v->name;
      k->scratch_bytes = schedule->scratch_bytes(g, k, v);
      k->scratch_offset = at;
      at += (k->scratch_bytes + 63) / 64 * 64;
      vectors++;
    }
    if (strcmp(k->schedule, "direct") == 0 && !runs_direct_by_design(g, k, v)) {
      printf("%s: no vector schedule in %s\n", g->nodes[k->nodes[0]].name, v->name);
      harness_failures++;
    }
  }
  g->arena_bytes = at;
  return vectors;
}

HARNESS_UNUSED static void *load_library(const char *dir, const char *compiler) {
  char path[128];
  CHECK(shell("cd '%s' && rm -f *_main.c && %s -std=c11 -Wall -Wextra -pedantic -Werror -O1 -shared"
              " -fstrict-aliasing -fPIC *.c -lm -o model.so",
              dir, compiler) == 0);
  snprintf(path, sizeof path, "%s/model.so", dir);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL);
  return library;
}

HARNESS_UNUSED static void run_suite(suite *s, const nib_vocab *v, const char *target,
                                     const char *compiler) {
  finish(s);
  if (nib_graph_validate(s->g, &harness_diag) != NIB_OK) {
    printf("%s\n", harness_message);
    harness_failures++;
  }
  const int vectors = select_vector(s, v);
  char dir[64];
  make_folder(dir);
  nib_options o = emit_options(dir);
  o.target = target;
  const nib_status status = nib_emit_graph(s->g, &o, &harness_diag);
  if (status != NIB_OK) {
    printf("%s: %s\n", v->name, harness_message);
    harness_failures++;
  } else {
    void *library = load_library(dir, compiler);
    if (library) {
      const int compared = compare_with_reference(s, find_run(library, s->g->name), 2);
      printf("%s, %s, %s: %d kernels, %d results compared\n", s->g->name, v->name, s->g->rounding,
             vectors, compared);
      dlclose(library);
    }
  }
  if (getenv("NIB_KEEP"))
    printf("kept %s\n", dir);
  else
    remove_folder(dir);
  nib_graph_destroy(s->g);
}

/* Gets a vocabulary, a target that has it, a rounding and a seed. */
typedef void vocabulary_test(const nib_vocab *v, const char *target, const char *rounding,
                             uint64_t seed);

/* The vocabulary, if this processor runs `target_name`, which has it; else NULL, after a line. */
HARNESS_UNUSED static const nib_vocab *vocabulary_here(const char *name, const char *target_name) {
  const nib_vocab *v = nib_vocab_find(name);
  nib_target target;
  CHECK(v && nib_target_parse(target_name, &target, &harness_diag) == NIB_OK);
  if (v && nib_target_runs_here(&target))
    return v;
  printf("%s: skipped, this processor lacks its features\n", name);
  return NULL;
}

/* `targets`: names of vocabularies, and of targets that have them. */
HARNESS_UNUSED static int test_vocabularies(vocabulary_test *test, const char *const (*targets)[2],
                                            size_t n) {
  static const char *const roundings[] = {"tflite-double", "tflite-single", "nearest-even",
                                          "nearest-away"};
  int ran = 0;
  for (size_t t = 0; t < n; t++) {
    const nib_vocab *v = vocabulary_here(targets[t][0], targets[t][1]);
    if (!v)
      continue;
    const size_t n_roundings = v->lanes == 1 ? 1 : sizeof roundings / sizeof *roundings;
    for (size_t r = 0; r < n_roundings; r++)
      test(v, targets[t][1], roundings[r], 17 * t + r);
    ran++;
  }
  printf("%d vocabularies, %d failures\n", ran, harness_failures);
  return harness_failures != 0;
}

HARNESS_UNUSED static int test_each_vocabulary(vocabulary_test *test) {
  static const char *const targets[][2] = {{"c99", "c99"},
                                           {"avx2", "x86-64-v3"},
                                           {"avx2maddubs", "x86-64-v3"},
                                           {"avxvnni", "x86-64-v3+avxvnni"},
                                           {"avx512vnni", "x86-64-v4+avx512vnni"}};
  return test_vocabularies(test, targets, sizeof targets / sizeof *targets);
}

#endif
