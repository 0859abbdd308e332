/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Compares a model's results with the hashes of a golden file.
 *
 *   check_golden --reference MODEL GOLDEN.txt
 *   check_golden --library LIB.so --name NAME --header NAME.h MODEL GOLDEN.txt
 *   check_golden --float MODEL CASE...     f32 against double: |y - r| <= 1e-5 |r|, infinity norms;
 *                                          with --library, the library against double
 * Options: --shared DIR (default $NIB_SHARED), --every N (each N-th case), --bound X, --rounding R
 * (instead of the importer's default).
 *
 * Lines of a golden file:
 *   case WORDS HASH HASH      hashes of the inputs and of the outputs
 *   codes WORDS CODE...       all codes of output 0 of a case
 *   right FILE N              N of the `cifar` cases have the class that the labels in FILE say */
#include "golden/inputs.h"
#include "golden/subject.h"

typedef struct options {
  const char *library, *name, *header, *shared, *rounding;
  const char *positional[512];
  int n_positional, every;
  bool reference, real;
  double bound;
} options;

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
  o->shared = o->shared ? o->shared : "../shared";
  return o->n_positional >= 2 && o->every > 0 && (o->reference || o->library || o->real) &&
         (!o->library || (o->name && o->header));
}

static bool open_subject(const options *o, const nib_graph *g, golden_subject *s) {
  if (o->library)
    return golden_open_library(g, o->library, o->name, o->header, s);
  return golden_open_reference(g, s);
}

static bool fill_inputs(const golden_subject *s, const options *o, const char *words,
                        uint64_t *out_hash) {
  *out_hash = NIB_FNV_START;
  for (int32_t i = 0; i < s->graph->n_inputs; ++i) {
    const nib_tensor *t = &s->graph->tensors[s->graph->inputs[i]];
    if (!nib_golden_fill(words, o->shared, i, t, s->in[i])) {
      fprintf(stderr, "case %s: cannot make its inputs\n", words);
      return false;
    }
    *out_hash = nib_fnv1a(*out_hash, s->in[i], nib_tensor_bytes(t));
  }
  return true;
}

static uint64_t hash_outputs(const golden_subject *s) {
  uint64_t hash = NIB_FNV_START;
  for (int32_t i = 0; i < s->graph->n_outputs; ++i)
    hash = nib_fnv1a(hash, s->out[i], nib_tensor_bytes(&s->graph->tensors[s->graph->outputs[i]]));
  return hash;
}

typedef struct totals {
  int cases, different, broken;
  unsigned char *labels; /* of the `cifar` cases, or NULL */
  size_t n_labels;
  int labelled, right, expected_right;
} totals;

static int code_at(const nib_tensor *t, const void *codes, int64_t i) {
  return t->format == NIB_U8 ? ((const uint8_t *)codes)[i] : ((const int8_t *)codes)[i];
}

/* Whether the largest code of output 0 is where the label of a `cifar` case says. */
static void count_right(totals *all, const golden_subject *s, const char *words) {
  const nib_tensor *t = &s->graph->tensors[s->graph->outputs[0]];
  char *end;
  if (!all->labels || strncmp(words, "cifar:", 6))
    return;
  const unsigned long n = strtoul(words + 6, &end, 10);
  int64_t best = 0;
  for (int64_t i = 1; i < nib_tensor_elems(t); ++i)
    if (code_at(t, s->out[0], i) > code_at(t, s->out[0], best))
      best = i;
  ++all->labelled;
  all->right += n < all->n_labels && all->labels[n] == best;
}

static void check_case(totals *all, golden_subject *s, const options *o, const char *words,
                       uint64_t in_hash, uint64_t out_hash) {
  uint64_t hash;
  ++all->cases;
  if (!fill_inputs(s, o, words, &hash) || hash != in_hash || !golden_run(s)) {
    fprintf(stderr, "case %s: the generator made other inputs, or it did not run\n", words);
    ++all->broken;
    return;
  }
  count_right(all, s, words);
  if (hash_outputs(s) == out_hash)
    return;
  fprintf(stderr, "case %s: outputs differ\n", words);
  ++all->different;
}

/* `codes`: numbers of one line. Prints what the subject computes. */
static void check_codes(totals *all, golden_subject *s, const options *o, const char *words,
                        const char *codes) {
  const nib_tensor *t = &s->graph->tensors[s->graph->outputs[0]];
  uint64_t hash;
  if (!fill_inputs(s, o, words, &hash) || !golden_run(s)) {
    ++all->broken;
    return;
  }
  bool equal = true;
  printf("%s:", words);
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i) {
    char *end;
    const long expected = strtol(codes, &end, 10);
    equal &= end != codes && expected == code_at(t, s->out[0], i);
    codes = end;
    printf(" %d", code_at(t, s->out[0], i));
  }
  printf("\n");
  all->different += !equal;
}

/* The elements of a one-dimensional .npy file of bytes; its header is 128 bytes. */
static void read_labels(totals *all, const options *o, const char *file, int expected) {
  size_t size = 0;
  all->labels = nib_golden_read(o->shared, file, &size);
  all->n_labels = size > 128 ? size - 128 : 0;
  if (all->labels)
    memmove(all->labels, all->labels + 128, all->n_labels);
  else
    ++all->broken;
  all->expected_right = expected;
}

static void check_line(totals *all, golden_subject *s, const options *o, const char *line,
                       int *seen) {
  unsigned long long in_hash, out_hash;
  char words[256];
  int at = 0, expected;
  if (sscanf(line, "case %255s %llx %llx", words, &in_hash, &out_hash) == 3) {
    if ((*seen)++ % o->every == 0)
      check_case(all, s, o, words, in_hash, out_hash);
  } else if (sscanf(line, "codes %255s %n", words, &at) == 1 && at) {
    check_codes(all, s, o, words, line + at);
  } else if (sscanf(line, "right %255s %d", words, &expected) == 2) {
    read_labels(all, o, words, expected);
  }
}

static int check_golden_file(const options *o) {
  golden_subject s = {0};
  totals all = {0};
  FILE *golden = fopen(o->positional[1], "r");
  nib_graph *g = golden_import(o->positional[0], o->rounding);
  const bool opened = golden && g && open_subject(o, g, &s);
  if (!opened)
    fprintf(stderr, "%s: cannot be %s\n", o->positional[golden ? 0 : 1],
            golden ? "loaded" : "read");
  char line[512];
  int seen = 0;
  while (opened && fgets(line, sizeof line, golden))
    check_line(&all, &s, o, line, &seen);
  if (all.labels && o->every == 1) {
    printf("%d of %d right, TensorFlow Lite: %d\n", all.right, all.labelled, all.expected_right);
    all.different += all.right != all.expected_right;
  }
  printf("%d cases, %d different, %d broken\n", all.cases, all.different, all.broken);
  if (golden)
    fclose(golden);
  if (g)
    golden_close(&s);
  nib_graph_destroy(g);
  free(all.labels);
  return all.cases == 0 || all.different || all.broken;
}

/* ||y - r|| / ||r|| in infinity norms over all outputs. */
static double relative_error(const golden_subject *s, const nib_reference *exact) {
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
  golden_subject s = {0};
  nib_reference *exact = NULL;
  nib_graph *g = golden_import(o->positional[0], o->rounding);
  bool ok = g && open_subject(o, g, &s) && nib_reference_create(g, &exact, &golden_diag) == NIB_OK;
  if (ok)
    nib_reference_use_double(exact, true);
  double worst = 0;
  int cases = 0, failed = !ok;
  for (int i = 1; ok && i < o->n_positional; ++i) {
    uint64_t hash;
    ++cases;
    if (!fill_inputs(&s, o, o->positional[i], &hash) || !golden_run(&s) ||
        nib_reference_run(exact, (const void *const *)s.in, &golden_diag) != NIB_OK) {
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
  printf("%d cases, largest relative error %.3g\n", cases, worst);
  nib_reference_destroy(exact);
  if (g)
    golden_close(&s);
  nib_graph_destroy(g);
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
