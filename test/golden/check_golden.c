/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Compares a model's results with the hashes of a golden file.
 *
 *   check_golden --reference MODEL.tflite GOLDEN.txt
 *   check_golden --library LIB.so --name NAME --header NAME.h MODEL.tflite GOLDEN.txt
 *   check_golden --float MODEL.tflite CASE...     f32 against double: |y - r| <= 1e-5 |r|, infinity
 *                                                 norms; with --library, the library against double
 * Options: --shared DIR (default $NIB_SHARED), --every N (each N-th case), --bound X, --rounding R
 * (instead of the importer's default). */
#include "golden/inputs.h"
#include "import/import.h"
#include "nibrt_abi.h"
#include "reference/reference.h"

#include <dlfcn.h>

typedef int run_function(const void *exec, const void *const *in, void *const *out,
                         void *const *arenas);

typedef struct options {
  const char *library, *name, *header, *shared, *rounding;
  const char *positional[512];
  int n_positional, every;
  bool reference, real;
  double bound;
} options;

typedef struct subject {
  nib_graph *graph;
  nib_reference *reference; /* NULL when a library runs */
  run_function *run;
  unsigned char *arena;
  size_t arena_bytes;
  void **in, **out; /* 64-byte aligned */
} subject;

enum { GUARD_BYTES = 4096 };

static void print_message(void *user, nib_severity severity, const char *message) {
  (void)user;
  (void)severity;
  fprintf(stderr, "%s\n", message);
}
static const nib_diag diag = {print_message, NULL};

static bool parse_options(int argc, char **argv, options *o) {
  *o = (options){.shared = getenv("NIB_SHARED"), .every = 1, .bound = 1e-5};
  for (int i = 1; i < argc; ++i) {
    const char *a = argv[i];
    if (!strcmp(a, "--reference"))
      o->reference = true;
    else if (!strcmp(a, "--float"))
      o->real = true;
    else if (a[0] != '-' && o->n_positional < 512)
      o->positional[o->n_positional++] = a;
    else if (i + 1 >= argc)
      return false;
    else if (!strcmp(a, "--library"))
      o->library = argv[++i];
    else if (!strcmp(a, "--name"))
      o->name = argv[++i];
    else if (!strcmp(a, "--header"))
      o->header = argv[++i];
    else if (!strcmp(a, "--shared"))
      o->shared = argv[++i];
    else if (!strcmp(a, "--rounding"))
      o->rounding = argv[++i];
    else if (!strcmp(a, "--every"))
      o->every = atoi(argv[++i]);
    else if (!strcmp(a, "--bound"))
      o->bound = atof(argv[++i]);
    else
      return false;
  }
  return o->n_positional >= 2 && o->every > 0 && (o->reference || o->library || o->real) &&
         (!o->library || (o->name && o->header));
}

static unsigned char *read_file(const char *path, size_t *out_size) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  unsigned char *bytes = malloc((size_t)size + 1);
  *out_size = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
  if (bytes)
    bytes[*out_size] = 0;
  fclose(file);
  return bytes;
}

static nib_graph *import_model(const char *path, const char *rounding) {
  size_t size = 0;
  unsigned char *bytes = read_file(path, &size);
  nib_graph *g = NULL;
  const nib_import_options import = {
      .model_name = "model", .display_path = path, .rounding = rounding};
  if (bytes && nib_import_tflite(bytes, size, &import, &g, &diag) != NIB_OK)
    g = NULL;
  if (!bytes)
    fprintf(stderr, "cannot read %s\n", path);
  free(bytes);
  return g;
}

static bool load_library(const options *o, subject *s) {
  char symbol[256], define[300];
  void *handle = dlopen(o->library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    fprintf(stderr, "%s\n", dlerror());
    return false;
  }
  snprintf(symbol, sizeof symbol, "%s_run", o->name);
  *(void **)&s->run = dlsym(handle, symbol);
  snprintf(define, sizeof define, "#define %s_ARENA_BYTES ", o->name);
  for (char *c = define + 8; *c; ++c)
    if (*c >= 'a' && *c <= 'z')
      *c = (char)(*c - 'a' + 'A');
  size_t size = 0;
  char *header = (char *)read_file(o->header, &size);
  const char *at = header ? strstr(header, define) : NULL;
  if (!s->run || !at) {
    fprintf(stderr, "%s: no %s, or no arena size in %s\n", o->library, symbol, o->header);
    return false;
  }
  s->arena_bytes = strtoull(at + strlen(define), NULL, 10);
  free(header);
  const size_t whole = (s->arena_bytes + GUARD_BYTES + 63) / 64 * 64;
  s->arena = aligned_alloc(64, whole);
  if (s->arena)
    memset(s->arena, 0xA5, whole);
  return s->arena != NULL;
}

static void **allocate_all(const nib_graph *g, const int32_t *tensors, int32_t n) {
  void **buffers = calloc((size_t)n + 1, sizeof *buffers);
  for (int32_t i = 0; buffers && i < n; ++i)
    buffers[i] = aligned_alloc(64, nib_tensor_bytes(&g->tensors[tensors[i]]) / 64 * 64 + 128);
  return buffers;
}

static bool open_subject(const options *o, const char *model, subject *s) {
  memset(s, 0, sizeof *s);
  s->graph = import_model(model, o->rounding);
  if (!s->graph)
    return false;
  s->in = allocate_all(s->graph, s->graph->inputs, s->graph->n_inputs);
  s->out = allocate_all(s->graph, s->graph->outputs, s->graph->n_outputs);
  if (!s->in || !s->out)
    return false;
  if (o->library)
    return load_library(o, s);
  return nib_reference_create(s->graph, &s->reference, &diag) == NIB_OK;
}

static void close_subject(subject *s) {
  for (int32_t i = 0; s->in && s->graph && i < s->graph->n_inputs; ++i)
    free(s->in[i]);
  for (int32_t i = 0; s->out && s->graph && i < s->graph->n_outputs; ++i)
    free(s->out[i]);
  free(s->in);
  free(s->out);
  free(s->arena);
  nib_reference_destroy(s->reference);
  nib_graph_destroy(s->graph);
}

static bool fill_inputs(subject *s, const options *o, const char *words, uint64_t *out_hash) {
  *out_hash = NIB_FNV_START;
  for (int32_t i = 0; i < s->graph->n_inputs; ++i) {
    const nib_tensor *t = &s->graph->tensors[s->graph->inputs[i]];
    if (!nib_golden_fill(words, o->shared ? o->shared : "../shared", i, t, s->in[i]))
      return false;
    *out_hash = nib_fnv1a(*out_hash, s->in[i], nib_tensor_bytes(t));
  }
  return true;
}

static bool guard_is_intact(const subject *s) {
  for (size_t i = 0; s->arena && i < GUARD_BYTES; ++i)
    if (s->arena[s->arena_bytes + i] != 0xA5)
      return false;
  return true;
}

static bool run_subject(subject *s) {
  const nib_graph *g = s->graph;
  if (s->reference) {
    if (nib_reference_run(s->reference, (const void *const *)s->in, &diag) != NIB_OK)
      return false;
    for (int32_t i = 0; i < g->n_outputs; ++i)
      memcpy(s->out[i], nib_reference_tensor(s->reference, g->outputs[i]),
             nib_tensor_bytes(&g->tensors[g->outputs[i]]));
    return true;
  }
  void *arenas[NIBRT_SPACE_COUNT] = {s->arena};
  if (s->run(NULL, (const void *const *)s->in, s->out, arenas) != NIBRT_OK)
    return false;
  if (!guard_is_intact(s)) {
    fprintf(stderr, "the library wrote behind its arena\n");
    return false;
  }
  return true;
}

static uint64_t hash_outputs(const subject *s) {
  uint64_t hash = NIB_FNV_START;
  for (int32_t i = 0; i < s->graph->n_outputs; ++i)
    hash = nib_fnv1a(hash, s->out[i], nib_tensor_bytes(&s->graph->tensors[s->graph->outputs[i]]));
  return hash;
}

/* One line of a golden file: 0 equal, 1 different, -1 broken. */
static int check_case(subject *s, const options *o, const char *words, uint64_t in_hash,
                      uint64_t out_hash) {
  uint64_t hash;
  if (!fill_inputs(s, o, words, &hash)) {
    fprintf(stderr, "case %s: cannot make its inputs\n", words);
    return -1;
  }
  if (hash != in_hash) {
    fprintf(stderr, "case %s: the generator made other inputs\n", words);
    return -1;
  }
  if (!run_subject(s))
    return -1;
  if (hash_outputs(s) == out_hash)
    return 0;
  fprintf(stderr, "case %s: outputs differ\n", words);
  return 1;
}

static int check_golden_file(const options *o) {
  subject s;
  FILE *golden = fopen(o->positional[1], "r");
  if (!golden || !open_subject(o, o->positional[0], &s)) {
    fprintf(stderr, "%s: cannot be %s\n", o->positional[golden ? 0 : 1],
            golden ? "loaded" : "read");
    return 1;
  }
  char line[512], words[256];
  int cases = 0, different = 0, broken = 0, seen = 0;
  while (fgets(line, sizeof line, golden)) {
    unsigned long long in_hash, out_hash;
    if (sscanf(line, "case %255s %llx %llx", words, &in_hash, &out_hash) != 3 || seen++ % o->every)
      continue;
    const int result = check_case(&s, o, words, in_hash, out_hash);
    ++cases;
    different += result > 0;
    broken += result < 0;
  }
  fclose(golden);
  close_subject(&s);
  printf("%d cases, %d different, %d broken\n", cases, different, broken);
  return cases == 0 || different || broken;
}

/* ||y - r|| / ||r|| in infinity norms over all outputs. */
static double relative_error(const subject *s, const nib_reference *exact) {
  double worst = 0, norm = 0;
  for (int32_t i = 0; i < s->graph->n_outputs; ++i) {
    const double *r = nib_reference_doubles(exact, s->graph->outputs[i]);
    const float *y = s->out[i];
    const int64_t elems = nib_tensor_elems(&s->graph->tensors[s->graph->outputs[i]]);
    for (int64_t e = 0; r && e < elems; ++e) {
      const double error = fabs((double)y[e] - r[e]);
      worst = error > worst || isnan(error) ? error : worst;
      norm = fmax(norm, fabs(r[e]));
    }
    if (!r)
      return INFINITY;
  }
  return norm > 0 ? worst / norm : worst;
}

static int check_float(const options *o) {
  subject s;
  nib_reference *exact = NULL;
  if (!open_subject(o, o->positional[0], &s) ||
      nib_reference_create(s.graph, &exact, &diag) != NIB_OK)
    return 1;
  nib_reference_use_double(exact, true);
  double worst = 0;
  int failed = 0;
  for (int i = 1; i < o->n_positional; ++i) {
    uint64_t hash;
    if (!fill_inputs(&s, o, o->positional[i], &hash) || !run_subject(&s) ||
        nib_reference_run(exact, (const void *const *)s.in, &diag) != NIB_OK) {
      fprintf(stderr, "case %s: cannot run\n", o->positional[i]);
      failed = 1;
      continue;
    }
    const double error = relative_error(&s, exact);
    worst = fmax(worst, error);
    if (!(error <= o->bound)) {
      fprintf(stderr, "case %s: relative error %.3g\n", o->positional[i], error);
      failed = 1;
    }
  }
  printf("%d cases, largest relative error %.3g\n", o->n_positional - 1, worst);
  nib_reference_destroy(exact);
  close_subject(&s);
  return failed;
}

int main(int argc, char **argv) {
  options o;
  if (!parse_options(argc, argv, &o)) {
    fprintf(stderr, "usage: check_golden --reference|--float|--library LIB --name N --header H "
                    "MODEL GOLDEN|CASE...\n");
    return 2;
  }
  return o.real ? check_float(&o) : check_golden_file(&o);
}
