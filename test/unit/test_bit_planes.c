/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_bit_planes
/* Products of integers of few bits, signed, unsigned and bipolar, with zero points on both sides:
 * bit planes and plain loops, in generated code and in the reference, against sums written out
 * here. All pairs of at most 4 bits; K with tails of words and of bytes; random and extreme codes.
 */
#include "emit_harness.h"

#include "vocab/vocab.h"

enum { ROWS = 2, OUTPUTS = 5 };

static const char *const narrow[] = {"i2",  "i3",       "i4",       "ui1",      "ui2",     "ui3",
                                     "ui4", "bipolar1", "bipolar2", "bipolar3", "bipolar4"};
static const char *const wide[] = {"i5",  "i6",  "i7",       "i8",       "ui5",      "ui6",
                                   "ui7", "ui8", "bipolar5", "bipolar6", "bipolar7", "bipolar8"};
static const int depths[] = {1, 7, 63, 64, 65, 100, 129, 8};
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

static bool is_bipolar(const char *name) { return name[0] == 'b'; }
static bool is_unsigned(const char *name) { return name[0] == 'u'; }
static int bits_of(const char *name) { return name[strlen(name) - 1] - '0'; }

/* The number of a stored byte, by the definition: sums of powers of two. */
static int64_t number_of(const char *name, uint8_t byte, int64_t zero) {
  int64_t sum = 0;
  for (int i = 0; i < bits_of(name); ++i) {
    const int bit = byte >> i & 1;
    const bool sign = !is_bipolar(name) && !is_unsigned(name) && i == bits_of(name) - 1;
    sum += (is_bipolar(name) ? 2 * bit - 1 : sign ? -bit : bit) * (INT64_C(1) << i);
  }
  return is_bipolar(name) ? sum : sum - zero;
}

/* A byte that is a code: few bits are sign-extended. kind 0: random, 1: all ones, 2: sign bit only.
 */
static uint8_t code_of(suite *s, const char *name, int kind) {
  const int bits = bits_of(name);
  const uint8_t mask = (uint8_t)((1 << bits) - 1), random = (uint8_t)next_random(&s->rng);
  uint8_t code = kind == 0 ? random & mask : kind == 1 ? mask : (uint8_t)(1 << (bits - 1));
  if (!is_bipolar(name) && !is_unsigned(name) && code >> (bits - 1) & 1)
    code = (uint8_t)(code | ~mask);
  return code;
}

static int32_t tensor(suite *s, const char *name, shape_of d, bool is_input) {
  const nib_format f = nib_format_find(name);
  CHECK(f != NIB_FORMAT_COUNT && nib_format_get(f)->bits == bits_of(name));
  const int64_t zero = is_unsigned(name) ? pick(s, 0, (1 << bits_of(name)) - 1) : pick(s, -1, 0);
  const double scale = is_bipolar(name) ? 0 : 0.5;
  return is_input ? input(s, f, d, scale, zero) : value(s, f, d, scale, zero);
}

static void add_case(suite *s, const char *x, const char *w, int k, int kind) {
  snprintf(s->label, sizeof s->label, "%s by %s of %d", x, w, k);
  const int32_t in = tensor(s, x, shape(2, ROWS, k), true);
  const int32_t filter = tensor(s, w, shape(2, OUTPUTS, k), false);
  uint8_t data[OUTPUTS * 200];
  for (int i = 0; i < OUTPUTS * k; ++i)
    data[i] = code_of(s, w, kind);
  nib_graph_set_data(s->g, filter, data, (size_t)(OUTPUTS * k), NIB_DATA_COPY);
  const int32_t out = value(s, NIB_I32, shape(2, ROWS, OUTPUTS), 0, 0);
  node(s, NIB_OP_FULLY_CONNECTED, out, 2, in, filter);
  output(s, out);
}

static int64_t sum_at(const suite *s, int c, const uint8_t *x, int row, int o) {
  const nib_node *n = &s->g->nodes[c];
  const nib_tensor *in = &s->g->tensors[n->in[0]], *w = &s->g->tensors[n->in[1]];
  const char *xn = nib_format_get(in->format)->name, *wn = nib_format_get(w->format)->name;
  const int64_t k = in->dims[1];
  int64_t sum = 0;
  for (int64_t i = 0; i < k; ++i)
    sum += number_of(xn, x[row * k + i], in->zero_point) *
           number_of(wn, ((const uint8_t *)w->data)[o * k + i], w->zero_point);
  return sum;
}

static void run_cases(suite *s, model_run *run) {
  const int cases = s->g->n_nodes;
  void *in[max_ports], *out[max_ports], *arenas[] = {aligned_alloc(64, 1 << 20)};
  nib_reference *r = NULL;
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  for (int kind = 0; kind < 3; ++kind) {
    for (int c = 0; c < cases; ++c) {
      const nib_tensor *t = &s->g->tensors[s->g->inputs[c]];
      uint8_t *codes = malloc((size_t)nib_tensor_elems(t));
      for (int64_t i = 0; i < nib_tensor_elems(t); ++i)
        codes[i] = code_of(s, nib_format_get(t->format)->name, kind);
      in[c] = codes;
      out[c] = calloc(ROWS * OUTPUTS, sizeof(int32_t));
    }
    CHECK(run(NULL, (const void *const *)in, out, arenas) == NIBRT_OK);
    CHECK(nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
    for (int c = 0; c < cases; ++c) {
      const int32_t *reference = nib_reference_tensor(r, s->g->outputs[c]);
      bool same = true;
      for (int i = 0; i < ROWS * OUTPUTS; ++i) {
        const int64_t wanted = sum_at(s, c, in[c], i / OUTPUTS, i % OUTPUTS);
        same = same && ((const int32_t *)out[c])[i] == wanted && reference[i] == wanted;
      }
      if (!same) {
        printf("%s, %s: wrong\n", s->g->nodes[c].name, s->g->kernels[c].schedule);
        ++harness_failures;
      }
      free(in[c]);
      free(out[c]);
    }
  }
  nib_reference_destroy(r);
  free(arenas[0]);
}

/* All kernels in `schedule`; those that it does not accept are failures. */
static void compile_and_run(suite *s, const char *schedule, const char *vocab, const char *target) {
  const nib_schedule *sched = nib_schedule_find(schedule);
  const nib_vocab *v = nib_vocab_find(vocab);
  nib_target where;
  CHECK(sched && v && nib_target_parse(target, &where, &harness_diag) == NIB_OK);
  if (!sched || !v || !nib_target_runs_here(&where))
    return;
  int64_t at = 0;
  for (int32_t i = 0; i < s->g->n_kernels; ++i) {
    nib_kernel *k = &s->g->kernels[i];
    if (!sched->accepts(s->g, k, v)) {
      printf("%s: not accepted by %s\n", s->g->nodes[k->nodes[0]].name, schedule);
      ++harness_failures;
    }
    k->schedule = schedule;
    k->vocab = vocab;
    k->scratch_bytes = sched->scratch_bytes(s->g, k, v);
    k->scratch_offset = at;
    at += (k->scratch_bytes + 63) / 64 * 64;
  }
  s->g->arena_bytes = at;
  CHECK(at <= 1 << 20);
  char dir[64];
  make_folder(dir);
  nib_options o = emit_options(dir);
  o.target = target;
  if (nib_emit_graph(s->g, &o, &harness_diag) != NIB_OK) {
    printf("%s\n", harness_message);
    ++harness_failures;
  } else {
    void *library = load_models(dir, "-O1");
    if (library) {
      run_cases(s, find_run(library, s->g->name));
      dlclose(library);
    }
  }
  remove_folder(dir);
  printf("%s, %s: %d products\n", schedule, vocab, s->g->n_kernels);
}

int main(void) {
  suite s = suite_open("narrow", "nearest-even", 5);
  for (int i = 0; i < COUNT(narrow); ++i)
    for (int j = 0; j < COUNT(narrow); ++j)
      add_case(&s, narrow[i], narrow[j], depths[(i * COUNT(narrow) + j) % COUNT(depths)],
               (i + j) % 5 == 4 ? 1 + j % 2 : 0);
  finish(&s);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  compile_and_run(&s, "bit_planes", "c99", "c99");
  compile_and_run(&s, "direct", "c99", "c99");
  for (size_t i = 0; nib_vocab_at(i); ++i)
    if (nib_vocab_at(i)->bit_words > 1)
      compile_and_run(&s, "bit_planes", nib_vocab_at(i)->name, "native");
  nib_graph_destroy(s.g);

  static const char *const against[] = {"i2", "bipolar1", "ui8", "i8"};
  s = suite_open("wide", "nearest-even", 6);
  for (int i = 0; i < COUNT(wide); ++i)
    for (int j = 0; j < COUNT(against); ++j) {
      add_case(&s, wide[i], against[j], depths[(i + j) % COUNT(depths)], 0);
      add_case(&s, against[j], wide[i], depths[(i + j) % COUNT(depths)], (i + j) % 3);
    }
  finish(&s);
  compile_and_run(&s, "direct", "c99", "c99");
  nib_graph_destroy(s.g);
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
