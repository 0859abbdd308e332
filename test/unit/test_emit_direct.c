/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_emit_direct
// Every operator in every format and rounding it has, emitted by the direct schedule, compiled, and
// compared with the reference evaluator: integers bit for bit, floats within 1e-5.
#include "every_operator.h"

static void run_rounding(const char *dir, const char *rounding, uint64_t seed) {
  char name[64];
  snprintf(name, sizeof name, "m_%s", rounding);
  suite s = suite_open(name, rounding, seed);
  add_all(&s, rounding[0] == 't');
  finish(&s);
  const nib_options o = emit_options(dir);
  harness_message[0] = 0;
  if (nib_emit_graph(s.g, &o, &harness_diag) != NIB_OK) {
    printf("%s: %s\n", rounding, harness_message);
    ++harness_failures;
  }
  void *library = load_models(dir, "-O0");
  model_run *run = find_run(library, s.g->name);
  if (run)
    printf("%s: %d outputs compared, %d kernels\n", rounding, compare_with_reference(&s, run, 2),
           s.g->n_kernels);
  nib_graph_destroy(s.g);
}

int main(void) {
  const size_t n_fixed = sizeof fixed_roundings / sizeof *fixed_roundings;
  const size_t n_real = sizeof real_roundings / sizeof *real_roundings;
  for (size_t i = 0; i < n_fixed + n_real; ++i) {
    char dir[64];
    make_folder(dir);
    run_rounding(dir, i < n_fixed ? fixed_roundings[i] : real_roundings[i - n_fixed], 1000 + i);
    remove_folder(dir);
  }
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
