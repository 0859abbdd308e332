/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Imports truncated and bit-flipped copies of model files in one process.
 *
 *   mutate_models [--count N] [--seed S] [--seconds T] FILE|FOLDER...
 *
 * Each copy lies in a block of exactly its size, so that a sanitizer sees any read outside it. The
 * import must end as OK (with a graph that validates), INVALID_INPUT or UNSUPPORTED (with a
 * message), within T seconds. Exit 0 if so; 1 with one line per violation; 2 on usage. */
#define _XOPEN_SOURCE 700
#include "import/import.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
  long count, seed;
  double seconds;
  long files, copies, by_status[16], violations;
  double slowest;
} run = {.count = 1000, .seed = 1, .seconds = 10};

typedef nib_status import_function(const uint8_t *, size_t, const nib_import_options *,
                                   nib_graph **, const nib_diag *);

static const struct {
  const char *suffix;
  import_function *import;
} importers[] = {{".tflite", nib_import_tflite},
                 {".onnx", nib_import_onnx},
                 {".gguf", nib_import_gguf},
                 {"checkpoint_v1.bin", nib_import_llama2c}};

static import_function *find_importer(const char *path) {
  size_t length = strlen(path);
  for (size_t i = 0; i < sizeof importers / sizeof *importers; ++i) {
    size_t suffix = strlen(importers[i].suffix);
    if (length > suffix && strcmp(path + length - suffix, importers[i].suffix) == 0)
      return importers[i].import;
  }
  return NULL;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* A place to change: anywhere, or near one end, where the structure of a file lies. */
static size_t pick_place(uint64_t *state, size_t size) {
  size_t near = size < 4096 ? size : 4096;
  switch (next_random(state) % 3) {
  case 0:
    return next_random(state) % size;
  case 1:
    return next_random(state) % near;
  default:
    return size - 1 - next_random(state) % near;
  }
}

static void flip_bits(uint64_t *state, uint8_t *bytes, size_t size) {
  for (uint64_t n = 1 + next_random(state) % 16; n-- > 0;)
    bytes[pick_place(state, size)] ^= (uint8_t)(1u << next_random(state) % 8);
}

static void overwrite_words(uint64_t *state, uint8_t *bytes, size_t size) {
  static const uint32_t words[] = {0,          1,          0xFFFFFFFF, 0x7FFFFFFF,
                                   0x80000000, 0x7F800000, 0x7FC00000, 0x00010000};
  for (uint64_t n = 1 + next_random(state) % 4; n-- > 0;) {
    size_t at = pick_place(state, size) / 4 * 4;
    uint32_t word = words[next_random(state) % 8];
    if (at + 4 <= size)
      memcpy(bytes + at, &word, 4);
  }
}

/* The i-th changed copy of a file; *size is updated. NULL when out of memory. */
static uint8_t *make_copy(const uint8_t *original, size_t *size, long i, uint64_t *state) {
  size_t bytes = i % 4 == 0 ? next_random(state) % (*size + 1) : *size;
  uint8_t *copy = malloc(bytes ? bytes : 1);
  if (!copy)
    return NULL;
  memcpy(copy, original, bytes);
  *size = bytes;
  if (bytes && i % 4 == 3)
    overwrite_words(state, copy, bytes);
  else if (bytes && i % 4 != 0)
    flip_bits(state, copy, bytes);
  return copy;
}

static void count_message(void *user, nib_severity severity, const char *message) {
  *(long *)user += severity == NIB_ERROR && message[0] != '\0';
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *import_copy(import_function *import, const uint8_t *bytes, size_t size) {
  long messages = 0;
  const nib_diag diag = {count_message, &messages};
  const nib_import_options options = {.model_name = "copy", .display_path = "copy"};
  nib_graph *graph = NULL;
  double start = now();
  nib_status status = import(bytes, size, &options, &graph, &diag);
  double seconds = now() - start;
  bool valid = status != NIB_OK || (graph && nib_graph_validate(graph, &diag) == NIB_OK);
  bool leaked = status != NIB_OK && graph;
  nib_graph_destroy(graph);
  run.slowest = seconds > run.slowest ? seconds : run.slowest;
  ++run.by_status[status];
  if (status != NIB_OK && status != NIB_ERROR_INVALID_INPUT && status != NIB_ERROR_UNSUPPORTED)
    return "another status than OK, INVALID_INPUT or UNSUPPORTED";
  if (!valid || leaked)
    return "a graph that does not fit the status";
  if (status != NIB_OK && messages == 0)
    return "an error without a message";
  return seconds > run.seconds ? "too slow" : NULL;
}

static uint8_t *read_file(const char *path, size_t *out_size) {
  FILE *f = fopen(path, "rb");
  if (!f)
    return NULL;
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  rewind(f);
  uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
  if (bytes && fread(bytes, 1, (size_t)size, f) != (size_t)size) {
    free(bytes);
    bytes = NULL;
  }
  fclose(f);
  *out_size = (size_t)size;
  return bytes;
}

static int mutate_file(const char *path, const struct stat *info, int kind, struct FTW *place) {
  (void)info;
  (void)place;
  import_function *import = kind == FTW_F ? find_importer(path) : NULL;
  size_t size;
  uint8_t *original = import ? read_file(path, &size) : NULL;
  if (!original)
    return 0;
  ++run.files;
  uint64_t state = (uint64_t)run.seed;
  for (long i = 0; i < run.count; ++i) {
    size_t bytes = size;
    uint8_t *copy = make_copy(original, &bytes, i, &state);
    const char *violation = copy ? import_copy(import, copy, bytes) : "out of memory";
    ++run.copies;
    if (violation) {
      printf("%s: copy %ld of seed %ld: %s\n", path, i, run.seed, violation);
      ++run.violations;
    }
    free(copy);
  }
  free(original);
  return 0;
}

int main(int argc, char **argv) {
  int i = 1;
  for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
    if (strcmp(argv[i], "--count") == 0)
      run.count = atol(argv[i + 1]);
    else if (strcmp(argv[i], "--seed") == 0)
      run.seed = atol(argv[i + 1]);
    else if (strcmp(argv[i], "--seconds") == 0)
      run.seconds = atof(argv[i + 1]);
    else
      break;
  }
  if (i >= argc || strncmp(argv[i], "--", 2) == 0) {
    fprintf(stderr, "usage: mutate_models [--count N] [--seed S] [--seconds T] FILE|FOLDER...\n");
    return 2;
  }
  for (; i < argc; ++i)
    if (nftw(argv[i], mutate_file, 16, FTW_PHYS) != 0) {
      fprintf(stderr, "%s: cannot be read\n", argv[i]);
      return 2;
    }
  printf("%ld copies of %ld files: %ld imported, %ld invalid, %ld unsupported, %ld violations, "
         "slowest %.2f s\n",
         run.copies, run.files, run.by_status[NIB_OK], run.by_status[NIB_ERROR_INVALID_INPUT],
         run.by_status[NIB_ERROR_UNSUPPORTED], run.violations, run.slowest);
  return run.violations || run.copies == 0;
}
