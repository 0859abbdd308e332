/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The corpus of single operators against the folded hashes of operators.golden.txt.
 *
 *   check_operators MODELS GOLDEN                    MODELS/NAME.tflite by the reference
 *   check_operators --library LIB.so CODE MODELS GOLDEN   by generated code; CODE has the headers
 */
#include "golden/inputs.h"
#include "golden/subject.h"

enum { MAX_CASES = 32 };

typedef struct corpus {
  const char *library, *code, *models;
  char *cases[MAX_CASES];
  int n_cases;
  int n_models, wrong;
} corpus;

static bool open_model(const corpus *c, const char *name, const nib_graph *g, golden_subject *s) {
  char header[1024];
  if (!c->library)
    return golden_open_reference(g, s);
  snprintf(header, sizeof header, "%s/%s.h", c->code, name);
  return golden_open_library(g, c->library, name, header, s);
}

/* Runs a case; adds its inputs to a hash and returns the folded hash of its outputs. */
static bool run_case(golden_subject *s, const char *words, uint64_t *in_hash, uint32_t *out_hash) {
  const nib_graph *g = s->graph;
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    const nib_tensor *t = &g->tensors[g->inputs[i]];
    if (!nib_golden_fill(words, "", i, t, s->in[i]))
      return false;
    *in_hash = nib_fnv1a(*in_hash, s->in[i], nib_tensor_bytes(t));
  }
  if (!golden_run(s))
    return false;
  uint64_t hash = NIB_FNV_START;
  for (int32_t i = 0; i < g->n_outputs; ++i)
    hash = nib_fnv1a(hash, s->out[i], nib_tensor_bytes(&g->tensors[g->outputs[i]]));
  *out_hash = (uint32_t)(hash >> 32) ^ (uint32_t)hash;
  return true;
}

/* `hashes`: of the inputs of all cases, then of the outputs of each. */
static bool check_cases(const corpus *c, const char *name, golden_subject *s, char *hashes) {
  char *at = hashes;
  const uint64_t expected_inputs = strtoull(at, &at, 16);
  uint64_t inputs = NIB_FNV_START;
  bool equal = true;
  for (int i = 0; i < c->n_cases; ++i) {
    uint32_t outputs;
    char *end;
    const unsigned long expected = strtoul(at, &end, 16);
    if (end == at || !run_case(s, c->cases[i], &inputs, &outputs)) {
      fprintf(stderr, "%s: case %s: cannot run\n", name, c->cases[i]);
      return false;
    }
    if (outputs != expected)
      fprintf(stderr, "%s: case %s: outputs differ\n", name, c->cases[i]);
    equal &= outputs == expected;
    at = end;
  }
  if (inputs != expected_inputs)
    fprintf(stderr, "%s: the generator made other inputs\n", name);
  return equal && inputs == expected_inputs;
}

static bool check_model(const corpus *c, const char *name, uint64_t file_hash, char *hashes) {
  char path[1024];
  size_t size = 0;
  snprintf(path, sizeof path, "%s/%s.tflite", c->models, name);
  unsigned char *bytes = golden_read_file(path, &size);
  const bool same = bytes && nib_fnv1a(NIB_FNV_START, bytes, size) == file_hash;
  free(bytes);
  if (!same) {
    fprintf(stderr, "%s: not the file that the golden results are of\n", path);
    return false;
  }
  nib_graph *g = golden_import(path, NULL);
  golden_subject s = {0};
  const bool ok = g && open_model(c, name, g, &s) && check_cases(c, name, &s, hashes);
  if (g)
    golden_close(&s);
  nib_graph_destroy(g);
  return ok;
}

static void check_line(corpus *c, char *line) {
  char name[256];
  unsigned long long file_hash;
  int at = 0;
  if (!strncmp(line, "cases ", 6)) {
    char *save = NULL;
    for (char *word = strtok_r(line + 6, " \n", &save); word && c->n_cases < MAX_CASES;
         word = strtok_r(NULL, " \n", &save))
      c->cases[c->n_cases++] = strdup(word);
  } else if (sscanf(line, "model %255s %llx %n", name, &file_hash, &at) == 2 && at) {
    ++c->n_models;
    c->wrong += !check_model(c, name, file_hash, line + at);
  }
}

int main(int argc, char **argv) {
  corpus c = {0};
  int at = 1;
  if (argc > 1 && !strcmp(argv[1], "--library") && argc > 3) {
    c.library = argv[2];
    c.code = argv[3];
    at = 4;
  }
  FILE *golden = argc == at + 2 ? fopen(argv[at + 1], "r") : NULL;
  if (!golden) {
    fprintf(stderr, "usage: check_operators [--library LIB CODE] MODELS GOLDEN\n");
    return 2;
  }
  c.models = argv[at];
  char line[1024];
  while (fgets(line, sizeof line, golden))
    check_line(&c, line);
  fclose(golden);
  printf("%d models, %d cases each, %d wrong\n", c.n_models, c.n_cases, c.wrong);
  for (int i = 0; i < c.n_cases; ++i)
    free(c.cases[i]);
  return c.n_models == 0 || c.n_cases == 0 || c.wrong;
}
