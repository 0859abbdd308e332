/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_emit_files
// What nib_emit_graph promises besides arithmetic: the same bytes in every folder, all files or
// none, headers that stand alone, models that link and run side by side, arguments that are
// checked, and generated C that both compilers accept without a warning.
#include "emit_harness.h"

#include "emit/check_c.h"
#include "emit/files.h"
#include "target/target.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

/* conv, depthwise, add and softmax behind one input; a constant output and a passed-through input.
 */
static suite small_model(const char *name, uint64_t seed) {
  suite s = suite_open(name, "tflite-double", seed);
  snprintf(s.label, sizeof s.label, "odd */ name \\ ?%s \n", "?/");
  const int32_t x = input(&s, NIB_I8, shape(4, 1, 6, 5, 4), 0.05, -3);
  const int32_t w = constant(&s, NIB_I8, shape(4, 4, 3, 3, 4), 0, 0, 127);
  const int32_t bias = constant(&s, NIB_I32, shape(1, 4), 0, 0, 1000);
  const int32_t scales = constant_scales(&s, 4, 0.01);
  const int32_t y = value(&s, NIB_I8, shape(4, 1, 6, 5, 4), 0.1, 5);
  const int32_t conv = node(&s, NIB_OP_CONV2D, y, 4, x, w, bias, scales);
  set_ints(&s, conv, NIB_A_PADS, 4, 1, 1, 1, 1);
  const int32_t sum = value(&s, NIB_I8, shape(4, 1, 6, 5, 4), 0.12, 1);
  node(&s, NIB_OP_ADD, sum, 2, y, x);
  const int32_t flat = value(&s, NIB_I8, shape(2, 1, 120), 0.12, 1);
  node(&s, NIB_OP_RESHAPE, flat, 1, sum);
  const int32_t probabilities = value(&s, NIB_I8, shape(2, 1, 120), 1.0 / 256, -128);
  nib_graph_set_int(s.g, node(&s, NIB_OP_SOFTMAX, probabilities, 1, flat), NIB_A_AXIS, 1);
  output(&s, probabilities);
  output(&s, x);
  output(&s, scales);
  finish(&s);
  return s;
}

static bool emit_to(const suite *s, const char *dir, const char *weights) {
  nib_options o = emit_options(dir);
  o.weights = weights;
  o.check_c = true;
  harness_message[0] = 0;
  const nib_status status = nib_emit_graph(s->g, &o, &harness_diag);
  if (status != NIB_OK)
    printf("emit: %s\n", harness_message);
  CHECK(status == NIB_OK);
  return status == NIB_OK;
}

static void same_bytes_in_every_folder(void) {
  char one[64], two[64];
  make_folder(one);
  make_folder(two);
  suite a = small_model("net", 1), b = small_model("net", 1);
  char deep[128];
  snprintf(deep, sizeof deep, "%s/made/on/the/way", two);
  if (emit_to(&a, one, "words") && emit_to(&b, deep, "words"))
    CHECK(shell("diff -r '%s' '%s'", one, deep) == 0);
  CHECK(shell("test $(ls -A '%s' | wc -l) = 5", one) == 0);
  CHECK(shell("cd '%s' && ls net.h net.c net_weights.c net_main.c nibrt_abi.h > /dev/null", one) ==
        0);
  nib_graph_destroy(a.g);
  nib_graph_destroy(b.g);
  remove_folder(one);
  remove_folder(two);
}

static void both_compilers_are_silent(const char *weights) {
  char dir[64];
  make_folder(dir);
  suite s = small_model("net", 2);
  if (emit_to(&s, dir, weights)) {
    CHECK(
        shell("cd '%s' && cc -std=c11 -Wall -Wextra -pedantic -Werror -O2 *.c -lm -o net && ./net "
              "> out.txt && grep -q '^out0:' out.txt",
              dir) == 0);
    CHECK(shell("cd '%s' && cc *.c -lm -o plain", dir) == 0);
    CHECK(shell("cd '%s' && { ! command -v clang-22 > /dev/null || clang-22 -std=c11 -Wall -Wextra "
                "-pedantic -Werror -O2 *.c -lm -o net; }",
                dir) == 0);
    CHECK(shell("cd '%s' && cc -std=c11 -Wall -Wextra -pedantic -Werror -fsyntax-only -x c net.h",
                dir) == 0);
    CHECK(shell("cd '%s' && c++ -std=c++17 -Wall -Wextra -pedantic -Werror -fsyntax-only -x c++ "
                "net.h",
                dir) == 0);
    CHECK(
        shell("cd '%s' && cc -c net.c net_weights.c && nm -g --defined-only net.o net_weights.o | "
              "awk 'NF == 3 && $3 !~ /^net/ { exit 1 }'",
              dir) == 0);
    CHECK(shell("cd '%s' && nm net.o net_weights.o | awk '$2 ~ /^[bBdDcC]$/ { exit 1 }'", dir) ==
          0);
    CHECK(shell("cd '%s' && ! grep -n '%s' *.c *.h", dir, dir) == 0);
  }
  nib_graph_destroy(s.g);
  remove_folder(dir);
}

/* An arena that no kernel uses is no unused variable. */
static void unused_arena_is_silent(void) {
  char dir[64];
  make_folder(dir);
  suite s = suite_open("net", "tflite-double", 12);
  const int32_t x = input(&s, NIB_F32, shape(2, 3, 4), 0, 0);
  const int32_t y = value(&s, NIB_F32, shape(2, 3, 4), 0, 0);
  node(&s, NIB_OP_RELU, y, 1, x);
  output(&s, y);
  finish(&s);
  s.g->arena_bytes = 64;
  nib_options o = emit_options(dir);
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_OK);
  CHECK(shell("cd '%s' && grep -q 'arena = arenas' net.c", dir) == 0);
  CHECK(shell("cd '%s' && cc -std=c11 -Wall -Wextra -pedantic -Werror -O2 *.c -lm -o net", dir) ==
        0);
  nib_graph_destroy(s.g);
  remove_folder(dir);
}

static void words_and_bytes_agree(void) {
  char dir[64];
  for (int i = 0; i < 2; ++i) {
    suite s = small_model("net", 3);
    make_folder(dir);
    if (emit_to(&s, dir, i ? "bytes" : "words"))
      CHECK(compare_with_reference(&s, find_run(load_models(dir, "-O1"), "net"), 3) > 0);
    nib_graph_destroy(s.g);
    remove_folder(dir);
  }
}

/* ---- failures ---- */

static int folder_count(const char *dir) {
  char command[160];
  snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
  FILE *p = popen(command, "r");
  int n = -1;
  if (!p || fscanf(p, "%d", &n) != 1)
    n = -1;
  if (p)
    pclose(p);
  return n;
}

static void expect_io_error(const suite *s, const char *dir, const char *words) {
  const nib_options o = emit_options(dir);
  harness_message[0] = 0;
  CHECK(nib_emit_graph(s->g, &o, &harness_diag) == NIB_ERROR_IO);
  if (!strstr(harness_message, words))
    printf("message: %s, without: %s\n", harness_message, words);
  CHECK(strstr(harness_message, words) != NULL);
}

static void failures_leave_nothing(void) {
  char dir[64], path[160];
  suite s = small_model("net", 4);
  make_folder(dir);
  snprintf(path, sizeof path, "%s/file", dir);
  FILE *f = fopen(path, "w");
  CHECK(f != NULL);
  if (f)
    fclose(f);
  expect_io_error(&s, path, "file"); /* a file where the folder should be */
  snprintf(path, sizeof path, "%s/file/below", dir);
  expect_io_error(&s, path, "cannot create folder");
  expect_io_error(&s, "/proc/self/nothing/here", "cannot create folder");
  CHECK(folder_count(dir) == 1);
  /* The last file cannot take its name: a folder has it. The others disappear again. */
  snprintf(path, sizeof path, "%s/net_main.c/x", dir);
  CHECK(shell("mkdir -p '%s'", path) == 0);
  expect_io_error(&s, dir, "cannot write 'net_main.c'");
  CHECK(folder_count(dir) == 2);
  nib_graph_destroy(s.g);
  remove_folder(dir);
}

/* A disk that fills up: a temporary that leads to /dev/full. */
static void full_disk_leaves_nothing(void) {
  char dir[64];
  suite s = small_model("net", 5);
  make_folder(dir);
  CHECK(shell("ln -s /dev/full '%s/.net_weights.c.tmp'", dir) == 0);
  expect_io_error(&s, dir, "No space left on device");
  CHECK(folder_count(dir) == 0);
  nib_graph_destroy(s.g);
  remove_folder(dir);
}

static void bad_requests_are_refused(void) {
  suite s = small_model("net", 6);
  nib_options o = emit_options("unused");
  o.name = "not a name";
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_ERROR_INVALID_USAGE);
  o = emit_options(NULL);
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_ERROR_INVALID_USAGE);
  o = emit_options("unused");
  o.weights = "pixels";
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_ERROR_INVALID_USAGE);
  o = emit_options("unused");
  s.g->kernels[0].schedule = NULL;
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_ERROR_INVALID_INPUT);
  CHECK(strstr(harness_message, "nib-select") != NULL);
  s.g->kernels[0].schedule = "direct";
  s.g->tensors[s.g->nodes[0].out].arena_offset = -1;
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_ERROR_INVALID_INPUT);
  CHECK(strstr(harness_message, "nib-plan") != NULL);
  CHECK(access("unused", F_OK) != 0);
  nib_graph_destroy(s.g);
}

/* Broken C is reported with the kernel and the operator that it came from. */
static void broken_c_names_its_operator(void) {
  suite s = small_model("net", 7);
  nib_target target;
  CHECK(nib_target_parse("c99", &target, &harness_diag) == NIB_OK);
  const nib_model_options o = {.name = "net", .target = &target};
  nib_model_text m;
  CHECK(nib_model_write(s.g, &o, &m, &harness_diag) == NIB_OK);
  CHECK(nib_check_c(s.g, &o, &m, &harness_diag) == NIB_OK);
  char *body = strstr(m.source.data, "static void net_k01_add_1");
  char *loop = body ? strstr(body, "for (") : NULL;
  CHECK(loop != NULL);
  if (loop)
    memcpy(loop, "fox (", 5);
  CHECK(nib_check_c(s.g, &o, &m, &harness_diag) == NIB_ERROR_INTERNAL);
  CHECK(strstr(harness_message, "kernel 1 'add_1' (add") != NULL);
  nib_model_free(&m);
  nib_graph_destroy(s.g);
}

/* ---- side by side ---- */

typedef struct job {
  suite s;
  model_run *run;
  int compared;
} job;

static void *run_job(void *user) {
  job *j = user;
  j->compared = compare_with_reference(&j->s, j->run, 200);
  return NULL;
}

static void models_run_side_by_side(void) {
  char dir[64];
  make_folder(dir);
  suite a = small_model("first", 8), b = small_model("second", 9), c = small_model("first", 8);
  if (emit_to(&a, dir, "words") && emit_to(&b, dir, "words")) {
    void *library = load_models(dir, "-O1");
    job jobs[3] = {{a, find_run(library, "first"), 0},
                   {b, find_run(library, "second"), 0},
                   {c, find_run(library, "first"), 0}};
    pthread_t threads[3];
    for (int i = 0; i < 3; ++i)
      CHECK(pthread_create(&threads[i], NULL, run_job, &jobs[i]) == 0);
    for (int i = 0; i < 3; ++i) {
      pthread_join(threads[i], NULL);
      CHECK(jobs[i].compared == 200 * FILL_COUNT * 3);
    }
  }
  nib_graph_destroy(a.g);
  nib_graph_destroy(b.g);
  nib_graph_destroy(c.g);
  remove_folder(dir);
}

/* ---- arguments ---- */

static const char *run_message;
static void keep_message(void *user, const char *text) {
  (void)user;
  run_message = text;
}

static void arguments_are_checked(void) {
  char dir[64];
  make_folder(dir);
  suite s = small_model("net", 10);
  model_run *run = emit_to(&s, dir, "words") ? find_run(load_models(dir, "-O0"), "net") : NULL;
  static _Alignas(64) uint8_t arena[65536], in0[120], out0[120], out1[120];
  float out2[4];
  const void *in[] = {in0};
  void *out[] = {out0, out1, out2}, *arenas[] = {arena};
  nibrt_exec exec = {sizeof exec, NIBRT_ABI_VERSION, keep_message, NULL, NULL, NULL, NULL};
  if (run) {
    CHECK(s.g->arena_bytes <= (int64_t)sizeof arena);
    CHECK(run(&exec, in, out, arenas) == NIBRT_OK);
    CHECK(run(&exec, NULL, out, arenas) == NIBRT_ERROR_NULL_ARGUMENT);
    CHECK(run(&exec, in, NULL, arenas) == NIBRT_ERROR_NULL_ARGUMENT);
    CHECK(run(&exec, in, out, NULL) == NIBRT_ERROR_NULL_ARGUMENT);
    arenas[0] = arena + 8;
    run_message = NULL;
    CHECK(run(&exec, in, out, arenas) == NIBRT_ERROR_ALIGNMENT);
    CHECK(run_message && strstr(run_message, "aligned"));
    arenas[0] = arena;
    out[2] = NULL;
    CHECK(run(&exec, in, out, arenas) == NIBRT_ERROR_NULL_ARGUMENT);
    CHECK(run_message && strstr(run_message, "out[2]"));
    out[2] = out2;
    exec.version = NIBRT_ABI_VERSION + 1;
    CHECK(run(&exec, in, out, arenas) == NIBRT_ERROR_ABI);
    exec.version = NIBRT_ABI_VERSION;
    exec.size = 4;
    CHECK(run(&exec, in, out, arenas) == NIBRT_ERROR_ABI);
    CHECK(run(NULL, in, out, arenas) == NIBRT_OK);
  }
  nib_graph_destroy(s.g);
  remove_folder(dir);
}

static void reserved_words_get_another_wrapper(void) {
  char name[32];
  nib_model_wrapper_name("double", name, sizeof name);
  CHECK(strcmp(name, "double_infer") == 0);
  nib_model_wrapper_name("exp", name, sizeof name);
  CHECK(strcmp(name, "exp_infer") == 0);
  nib_model_wrapper_name("kws", name, sizeof name);
  CHECK(strcmp(name, "kws") == 0);
  char dir[64];
  make_folder(dir);
  suite s = small_model("tanh", 11);
  if (emit_to(&s, dir, "words"))
    CHECK(compare_with_reference(&s, find_run(load_models(dir, "-O0"), "tanh"), 1) > 0);
  nib_graph_destroy(s.g);
  remove_folder(dir);
}

int main(void) {
  same_bytes_in_every_folder();
  both_compilers_are_silent("words");
  both_compilers_are_silent("bytes");
  unused_arena_is_silent();
  words_and_bytes_agree();
  failures_leave_nothing();
  full_disk_leaves_nothing();
  bad_requests_are_refused();
  broken_c_names_its_operator();
  models_run_side_by_side();
  arguments_are_checked();
  reserved_words_get_another_wrapper();
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
