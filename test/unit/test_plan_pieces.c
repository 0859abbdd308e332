/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_plan_pieces
/* Concats and slices that the plan leaves in place: random networks of them through all stages,
 * compiled, and compared with the reference; what the plan must and must not join. */
#include "emit_harness.h"

#include "graph/pieces.h"

enum { most_nodes = 24, networks = 24 };

/* [1, rows, 3, 5] tensors; `pool` holds those to read. */
static int32_t add_random_node(suite *s, const int32_t *pool, int n) {
  const int32_t a = pool[pick(s, 0, n - 1)], b = pool[pick(s, 0, n - 1)];
  const nib_tensor *x = &s->g->tensors[a], *y = &s->g->tensors[b];
  const int rows = (int)x->dims[1], both = rows + (int)y->dims[1];
  const int64_t kind = pick(s, 0, 3);
  snprintf(s->label, sizeof s->label, "n%d", s->g->n_nodes);
  if (kind == 0 && both < 40) {
    /* sometimes at another scale: then operands are converted, not joined */
    const bool other = pick(s, 0, 4) == 0;
    const int32_t out = value(s, NIB_I8, shape(4, 1, both, 3, 5), other ? 0.25 : 0.5, 0);
    const int32_t id = node(s, NIB_OP_CONCAT, out, 2, a, b);
    nib_graph_set_int(s->g, id, NIB_A_AXIS, 1);
    return out;
  }
  if (kind == 1 && rows > 1) {
    const int first = (int)pick(s, 0, rows - 1), take = (int)pick(s, 1, rows - first);
    const int32_t out = value(s, NIB_I8, shape(4, 1, take, 3, 5), x->scale, x->zero_point);
    const int32_t id = node(s, NIB_OP_SLICE, out, 1, a);
    set_ints(s, id, NIB_A_BEGIN, 4, 0, first, 0, 0);
    set_ints(s, id, NIB_A_SIZES, 4, 1, take, 3, 5);
    return out;
  }
  const int32_t out = value(s, NIB_I8, shape(4, 1, rows, 3, 5), 0.5, 0);
  if (kind == 2 && y->dims[1] == rows)
    node(s, NIB_OP_ADD, out, 2, a, b);
  else
    node(s, NIB_OP_LEAKY_RELU, out, 1, a);
  return out;
}

static suite random_network(int number) {
  char name[32];
  snprintf(name, sizeof name, "net%d", number);
  suite s = suite_open(name, "tflite-double", 1000u + (uint64_t)number);
  int32_t pool[most_nodes + 2];
  int n = 0;
  pool[n++] = input(&s, NIB_I8, shape(4, 1, 4, 3, 5), 0.5, 0);
  pool[n++] = input(&s, NIB_I8, shape(4, 1, 7, 3, 5), 0.5, 0);
  for (; n < most_nodes + 2; ++n)
    pool[n] = add_random_node(&s, pool, n);
  output(&s, pool[n - 1]);
  output(&s, pool[n - 3]);
  nib_graph_set_inputs(s.g, s.inputs, s.n_inputs);
  nib_graph_set_outputs(s.g, s.outputs, s.n_outputs);
  CHECK(nib_graph_sweep(s.g, &harness_diag) == NIB_OK);
  return s;
}

/* Fuse, plan, select, emit; returns the number of pieces in place. */
static int build(suite *s, const char *dir, const char *target) {
  nib_options o = emit_options(dir);
  o.target = target;
  CHECK(nib_graph_validate(s->g, &harness_diag) == NIB_OK);
  CHECK(nib_fuse_graph(s->g, &o, &harness_diag) == NIB_OK);
  CHECK(nib_plan_graph(s->g, &o, &harness_diag) == NIB_OK);
  CHECK(nib_select_graph(s->g, &o, &harness_diag) == NIB_OK);
  CHECK(nib_emit_graph(s->g, &o, &harness_diag) == NIB_OK);
  int joined = 0;
  for (int32_t i = 0; i < s->g->n_nodes; ++i)
    for (int32_t slot = 0; slot < s->g->nodes[i].n_in; ++slot) {
      nib_piece p;
      if (!nib_piece_of(s->g, &s->g->nodes[i], slot, &p))
        continue;
      const int64_t whole = s->g->tensors[p.whole].arena_offset;
      joined += whole >= 0 && s->g->tensors[p.part].arena_offset == whole + p.offset_bytes;
    }
  return joined;
}

static void check_networks(void) {
  suite s[networks];
  char dir[64];
  make_folder(dir);
  int joined = 0, compared = 0;
  for (int i = 0; i < networks; ++i) {
    s[i] = random_network(i);
    joined += build(&s[i], dir, i % 2 ? "x86-64-v3" : "c99");
  }
  void *library = load_models(dir, "-O0");
  for (int i = 0; i < networks; ++i) {
    model_run *run = find_run(library, s[i].g->name);
    compared += run ? compare_with_reference(&s[i], run, 2) : 0;
    nib_graph_destroy(s[i].g);
  }
  if (library)
    dlclose(library);
  remove_folder(dir);
  printf("%d pieces in place, %d outputs compared\n", joined, compared);
  CHECK(joined > 40);
}

/* Two branches into one concat: their kernels write into its result, the arena is the result and
 * the larger branch's way there. */
static void check_branches(void) {
  suite s = suite_open("branches", "tflite-double", 7);
  const int32_t x = input(&s, NIB_I8, shape(4, 1, 8, 8, 16), 0.5, 0);
  const int32_t a = value(&s, NIB_I8, shape(4, 1, 8, 8, 16), 0.5, 0);
  const int32_t b = value(&s, NIB_I8, shape(4, 1, 8, 8, 16), 0.5, 0);
  const int32_t c = value(&s, NIB_I8, shape(4, 1, 16, 8, 16), 0.5, 0);
  const int32_t y = value(&s, NIB_I8, shape(4, 1, 16, 8, 16), 0.5, 0);
  node(&s, NIB_OP_LEAKY_RELU, a, 1, x);
  node(&s, NIB_OP_LEAKY_RELU, b, 1, x);
  nib_graph_set_int(s.g, node(&s, NIB_OP_CONCAT, c, 2, a, b), NIB_A_AXIS, 1);
  node(&s, NIB_OP_LEAKY_RELU, y, 1, c);
  output(&s, y);
  nib_graph_set_inputs(s.g, s.inputs, s.n_inputs);
  nib_graph_set_outputs(s.g, s.outputs, s.n_outputs);
  char dir[64];
  make_folder(dir);
  CHECK(build(&s, dir, "c99") == 2);
  CHECK(s.g->arena_bytes == 16 * 8 * 16 && s.g->proven_bound_bytes == s.g->arena_bytes);
  CHECK(shell("grep -q 'writes into the result' %s/branches.c", dir) == 0);
  CHECK(shell("grep -q memcpy %s/branches.c", dir) != 0);
  remove_folder(dir);
  nib_graph_destroy(s.g);
}

/* A small slice that outlives a large tensor: left in place it would keep all of it alive while
 * the next large one is made. */
static void check_long_slice(void) {
  suite s = suite_open("long_slice", "tflite-double", 7);
  const int32_t x = input(&s, NIB_I8, shape(4, 1, 1, 8, 16), 0.5, 0);
  const int32_t big = value(&s, NIB_I8, shape(4, 1, 64, 8, 16), 0.5, 0);
  const int32_t part = value(&s, NIB_I8, shape(4, 1, 1, 8, 16), 0.5, 0);
  const int32_t next = value(&s, NIB_I8, shape(4, 1, 8, 64, 16), 0.5, 0);
  const int32_t flat = value(&s, NIB_I8, shape(4, 1, 1, 8, 16), 0.5, 0);
  const int32_t y = value(&s, NIB_I8, shape(4, 1, 1, 8, 16), 0.5, 0);
  node(&s, NIB_OP_BROADCAST, big, 1, x);
  const int32_t cut = node(&s, NIB_OP_SLICE, part, 1, big);
  set_ints(&s, cut, NIB_A_BEGIN, 4, 0, 5, 0, 0);
  set_ints(&s, cut, NIB_A_SIZES, 4, 1, 1, 8, 16);
  set_ints(&s, node(&s, NIB_OP_TRANSPOSE, next, 1, big), NIB_A_PERM, 4, 0, 2, 1, 3);
  const int32_t end = node(&s, NIB_OP_SLICE, flat, 1, next);
  set_ints(&s, end, NIB_A_BEGIN, 4, 0, 0, 3, 0);
  set_ints(&s, end, NIB_A_SIZES, 4, 1, 1, 8, 16);
  node(&s, NIB_OP_ADD, y, 2, part, flat);
  output(&s, y);
  nib_graph_set_inputs(s.g, s.inputs, s.n_inputs);
  nib_graph_set_outputs(s.g, s.outputs, s.n_outputs);
  char dir[64];
  make_folder(dir);
  const int joined = build(&s, dir, "c99");
  CHECK(joined == 1 || joined == 2);
  CHECK(s.g->arena_bytes <= 2 * 64 * 8 * 16 + 8 * 16);
  printf("long slice: %d in place, arena %lld\n", joined, (long long)s.g->arena_bytes);
  remove_folder(dir);
  nib_graph_destroy(s.g);
}

int main(void) {
  check_networks();
  check_branches();
  check_long_slice();
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
