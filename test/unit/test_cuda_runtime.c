/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// REQUIRES: clang
// DEFINE: %{module} = %t/module.so
// DEFINE: %{emulate} = %python %source/test/cuda/emulate.py --build %build
// DEFINE: %{cuda} = %build/lib/emulated/libcuda.so.1
// RUN: mkdir -p %t && %{emulate} %source/test/cuda/Inputs/runtime.cu -o %{module}
// RUN: env NIB_EMULATED_MODULE=%{module} NIB_WATCHED=%{cuda} \
// RUN:   %unit/test_cuda_runtime %build/lib/watched/libcuda.so.1
// RUN: echo 'int cuInit(unsigned f) { return 0; }' > %t/old.c
// RUN: %cc -shared -fPIC -Wl,-soname,libcuda.so.1 %t/old.c -o %t/old.so
// RUN: %unit/test_cuda_runtime old %t/old.so
// RUN: %unit/test_cuda_runtime none
/* The runtime of models compiled for CUDA on an emulated driver: pointers of the host and the
 * device, streams, graphs, arenas, threads, wrong arguments; and every call of the driver made to
 * fail once, after which nothing may be held and the next run must be right. */
#include "nibrt_cuda.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;
#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                              \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

enum { N = 128 };

/* ---- a model: arena = in + weights; arena + 1024 = 2 arena, by a map; out = arena + 1024; out1 =
 * 0 ---- */

static const int32_t weights[32] = {5, -7, 11, 0, 1 << 30, 3, 9, 2};
static const nibrt_cuda_arg add_args[] = {
    {NIBRT_CUDA_INPUT, 0, 0}, {NIBRT_CUDA_ARENA, 0, 0}, {NIBRT_CUDA_WEIGHTS, 0, 0}};
static const nibrt_cuda_arg map_args[] = {{NIBRT_CUDA_ARENA, 0, 1024}, {NIBRT_CUDA_MAP, 0, 0}};
static const nibrt_cuda_arg copy_args[] = {{NIBRT_CUDA_ARENA, 0, 1024}, {NIBRT_CUDA_OUTPUT, 0, 0}};
static const nibrt_cuda_arg zero_args[] = {{NIBRT_CUDA_OUTPUT, 1, 4}};
static const nibrt_cuda_launch launches[] = {
    {"add_weights", {4, 1, 1}, 32, 0, 3, add_args, 0, 0, 1},
    {"through_map", {1, 1, 1}, 32, 65536, 2, map_args, 0, 1, 1},
    {NULL, {1, 1, 1}, 1, 0, 2, copy_args, N * 4, 0, 0},
    {NULL, {1, 1, 1}, 1, 0, 1, zero_args, 4, 0, 0},
};
static const nibrt_cuda_map maps[] = {
    {{NIBRT_CUDA_ARENA, 0, 0}, 3, 0, 0, 2, {32, 4}, {128}, {32, 4}}};
static const uint64_t input_bytes[] = {N * 4}, output_bytes[] = {N * 4, 8};
static const nibrt_cuda_model model = {.name = "model",
                                       .target = "sm_90a",
                                       .image = "",
                                       .weights = weights,
                                       .weights_bytes = sizeof weights,
                                       .arena_bytes = 1024 + N * 4,
                                       .launches = launches,
                                       .maps = maps,
                                       .input_bytes = input_bytes,
                                       .output_bytes = output_bytes,
                                       .n_launches = 4,
                                       .n_maps = 1,
                                       .n_inputs = 1,
                                       .n_outputs = 2};

static void fill(int32_t *x, int seed) {
  for (int i = 0; i < N; ++i)
    x[i] = i * 977 + seed * 31 - 5000;
}

static bool is_right(const int32_t *x, const int32_t *y, const int32_t *z) {
  for (int i = 0; i < N; ++i)
    if ((uint32_t)y[i] != 2 * ((uint32_t)x[i] + (uint32_t)weights[i % 32]))
      return false;
  return z[1] == 0;
}

/* ---- the driver behind ---- */

static void *driver;
static atomic_int *calls, *fail_at, *held, *captures, *instantiated, *updated, *launched;
static const char *failed;
static int (*mem_alloc)(unsigned long long *, size_t), (*mem_free)(unsigned long long);
static int (*push)(void *), (*pop)(void **), (*current)(void **),
    (*stream_create)(void **, unsigned);
static int (*stream_destroy)(void *), (*retain)(void **, int), (*give_back)(int), (*init)(unsigned);

static void find(const char *name, void *out) {
  void *const symbol = dlsym(driver, name);
  if (!symbol) {
    fprintf(stderr, "no %s\n", name);
    exit(1);
  }
  memcpy(out, &symbol, sizeof symbol);
}

static bool load(const char *path) {
  driver = dlopen(path, RTLD_NOW |
                            RTLD_GLOBAL); /* its name is libcuda.so.1: the runtime finds this one */
  if (!driver)
    fprintf(stderr, "%s\n", dlerror());
  return driver != NULL;
}

static void find_all(void) {
  find("watch_calls", &calls);
  find("watch_fail_at", &fail_at);
  find("watch_failed", &failed);
  find("watch_held", &held);
  find("watch_captures", &captures);
  find("watch_instantiated", &instantiated);
  find("watch_updated", &updated);
  find("watch_launched", &launched);
  find("cuMemAlloc_v2", &mem_alloc);
  find("cuMemFree_v2", &mem_free);
  find("cuCtxPushCurrent_v2", &push);
  find("cuCtxPopCurrent_v2", &pop);
  find("cuCtxGetCurrent", &current);
  find("cuStreamCreate", &stream_create);
  find("cuStreamDestroy_v2", &stream_destroy);
  find("cuDevicePrimaryCtxRetain", &retain);
  find("cuDevicePrimaryCtxRelease_v2", &give_back);
  find("cuInit", &init);
}

/* ---- messages ---- */

static char said[4096];
static int n_said;
static void say(void *user, const char *text) {
  CHECK(user == &n_said);
  snprintf(said, sizeof said, "%s", text);
  ++n_said;
}
static const nibrt_cuda_options talkative = {
    .size = sizeof talkative, .message = say, .user = &n_said};

static bool has(const char *word) {
  if (strstr(said, word))
    return true;
  fprintf(stderr, "'%s' is not in: %s\n", word, said);
  return false;
}

static nibrt_cuda_session *open_session(const nibrt_cuda_options *options) {
  nibrt_cuda_session *s = NULL;
  CHECK(nibrt_cuda_open(&model, options, &s) == NIBRT_OK && s && nibrt_cuda_model_of(s) == &model);
  return s;
}

/* One run on host memory. */
static nibrt_status run_host(nibrt_cuda_session *s, int seed, bool *out_right) {
  int32_t x[N], y[N], z[2] = {1, 1};
  fill(x, seed);
  memset(y, 0x55, sizeof y);
  const nibrt_status status =
      nibrt_cuda_run(s, (const void *const[]){x}, (void *const[]){y, z}, NULL);
  *out_right = is_right(x, y, z);
  return status;
}

/* ---- tests ---- */

static void test_host_pointers(uint32_t no_graph) {
  const int before = *held;
  nibrt_cuda_options options = talkative;
  options.overlap = 1;
  options.no_graph = no_graph;
  nibrt_cuda_session *s = open_session(&options);
  bool right = false;
  const int graphs = *instantiated;
  for (int i = 0; i < 5; ++i)
    CHECK(run_host(s, i, &right) == NIBRT_OK && right);
  /* The buffers move, the staging does not: captured once. */
  CHECK(*instantiated - graphs == !no_graph);
  CHECK(strcmp(nibrt_cuda_error(s), "") == 0);
  nibrt_cuda_close(s);
  CHECK(*held == before);
}

/* Device memory of the test's own. */
typedef struct buffers {
  unsigned long long x, y, z, arena;
} buffers;

static buffers make_buffers(void) {
  buffers b = {0};
  CHECK(mem_alloc(&b.x, N * 4) == 0 && mem_alloc(&b.y, N * 4) == 0 && mem_alloc(&b.z, 8) == 0 &&
        mem_alloc(&b.arena, 1024 + N * 4) == 0);
  return b;
}
static void free_buffers(buffers b) {
  CHECK(mem_free(b.x) == 0 && mem_free(b.y) == 0 && mem_free(b.z) == 0 && mem_free(b.arena) == 0);
}
/* The emulated device's memory is this process's. */
static int32_t *at(unsigned long long address) { return (int32_t *)(uintptr_t)address; }

static void check_device_run(nibrt_cuda_session *s, buffers b, int seed, void *arena) {
  fill(at(b.x), seed);
  at(b.z)[1] = 1;
  CHECK(nibrt_cuda_run(s, (const void *const[]){at(b.x)}, (void *const[]){at(b.y), at(b.z)},
                       arena) == NIBRT_OK);
  CHECK(is_right(at(b.x), at(b.y), at(b.z)));
}

static void test_device_pointers(void) {
  void *context = NULL, *stream = NULL;
  CHECK(init(0) == 0 && retain(&context, 0) == 0 && push(context) == 0);
  CHECK(stream_create(&stream, 0) == 0);
  const int before = *held;
  buffers all[6];
  for (int i = 0; i < 6; ++i)
    all[i] = make_buffers();
  nibrt_cuda_options options = talkative;
  options.stream = stream;
  nibrt_cuda_session *s = open_session(&options);
  const int graphs = *instantiated, updates = *updated;
  for (int round = 0; round < 3; ++round)
    for (int i = 0; i < 3; ++i)
      check_device_run(s, all[i], round * 7 + i, NULL);
  CHECK(*instantiated - graphs == 3 && *updated == updates);
  for (int i = 0; i < 6; ++i) /* more than are kept */
    check_device_run(s, all[i], i, i % 2 ? at(all[i].arena) : NULL);
  CHECK(*instantiated - graphs == 4 && *updated > updates);
  /* One of the host, one of the device. */
  int32_t y[N], z[2] = {1, 1};
  fill(at(all[0].x), 99);
  CHECK(nibrt_cuda_run(s, (const void *const[]){at(all[0].x)}, (void *const[]){y, z}, NULL) ==
        NIBRT_OK);
  CHECK(is_right(at(all[0].x), y, z));
  nibrt_cuda_close(s);
  for (int i = 0; i < 6; ++i)
    free_buffers(all[i]);
  CHECK(*held == before);
  void *now = NULL;
  CHECK(current(&now) == 0 && now == context);
  CHECK(stream_destroy(stream) == 0 && pop(&now) == 0 && give_back(0) == 0);
}

static void test_wrong_arguments(void) {
  nibrt_cuda_session *s = NULL;
  CHECK(nibrt_cuda_open(NULL, NULL, &s) == NIBRT_ERROR_NULL_ARGUMENT && !s);
  CHECK(nibrt_cuda_open(&model, NULL, NULL) == NIBRT_ERROR_NULL_ARGUMENT);
  nibrt_cuda_model other = model;
  other.image = NULL;
  CHECK(nibrt_cuda_open(&other, NULL, &s) == NIBRT_ERROR_NULL_ARGUMENT && !s);
  other = model;
  other.target = "sm_100";
  CHECK(nibrt_cuda_open(&other, &talkative, &s) == NIBRT_ERROR_DEVICE && !s);
  CHECK(has("model: compiled for sm_100, device 0 is sm_90 (emulated sm_90)"));
  nibrt_cuda_launch unknown = launches[0];
  unknown.function = "no_such_kernel";
  other = model;
  other.launches = &unknown;
  other.n_launches = 1;
  CHECK(nibrt_cuda_open(&other, &talkative, &s) == NIBRT_ERROR_DEVICE && !s);
  CHECK(has("model: finding kernel no_such_kernel: ") && has("(CUDA_ERROR_NOT_FOUND, 500)"));
  nibrt_cuda_options second = talkative;
  second.ordinal = 1;
  CHECK(nibrt_cuda_open(&model, &second, &s) == NIBRT_ERROR_DEVICE && !s);
  CHECK(has("finding device 1: ") && has("(CUDA_ERROR_INVALID_DEVICE, 101)"));

  s = open_session(&talkative);
  int32_t x[N] = {0}, y[N], z[2];
  CHECK(nibrt_cuda_run(NULL, NULL, NULL, NULL) == NIBRT_ERROR_NULL_ARGUMENT);
  CHECK(nibrt_cuda_run(s, NULL, (void *const[]){y, z}, NULL) == NIBRT_ERROR_NULL_ARGUMENT);
  CHECK(has("model: in is NULL"));
  CHECK(nibrt_cuda_run(s, (const void *const[]){x}, (void *const[]){y, NULL}, NULL) ==
        NIBRT_ERROR_NULL_ARGUMENT);
  CHECK(has("model: out[1] is NULL") && strcmp(nibrt_cuda_error(s), said) == 0);
  CHECK(nibrt_cuda_run(s, (const void *const[]){x}, (void *const[]){y, z}, (void *)64) ==
        NIBRT_ERROR_ALIGNMENT);
  CHECK(has("the arena is not aligned to 256 bytes"));
  void *context = NULL;
  CHECK(retain(&context, 0) == 0 && push(context) == 0);
  buffers b = make_buffers();
  CHECK(nibrt_cuda_run(s, (const void *const[]){at(b.x) + 1}, (void *const[]){y, z}, NULL) ==
        NIBRT_ERROR_ALIGNMENT);
  CHECK(has("in[0] is in device memory and not aligned to 16 bytes"));
  free_buffers(b);
  CHECK(pop(&context) == 0 && give_back(0) == 0);
  bool right = false;
  CHECK(run_host(s, 3, &right) == NIBRT_OK && right);
  nibrt_cuda_close(s);
  nibrt_cuda_close(NULL);
  CHECK(*held == 0);
}

/* A kernel that the device gives up on: the driver's text, and everything can still be closed. */
static void test_failing_kernel(void) {
  static const nibrt_cuda_arg args[] = {{NIBRT_CUDA_OUTPUT, 0, 0}};
  static const nibrt_cuda_launch launch = {"hangs", {1, 1, 1}, 32, 1024, 1, args, 0, 0, 0};
  nibrt_cuda_model hanging = model;
  hanging.launches = &launch;
  hanging.n_launches = 1;
  hanging.n_maps = 0;
  nibrt_cuda_session *s = NULL;
  CHECK(nibrt_cuda_open(&hanging, &talkative, &s) == NIBRT_OK);
  bool right;
  CHECK(run_host(s, 0, &right) == NIBRT_ERROR_DEVICE);
  CHECK(has("(CUDA_ERROR_LAUNCH_FAILED, 719)"));
  nibrt_cuda_close(s);
  CHECK(*held == 0);
}

static void *run_some(void *argument) {
  const int seed = *(const int *)argument;
  nibrt_cuda_session *s = NULL;
  int wrong = nibrt_cuda_open(&model, NULL, &s) != NIBRT_OK;
  for (int i = 0; i < 20 && !wrong; ++i) {
    bool right = false;
    wrong = run_host(s, seed + i, &right) != NIBRT_OK || !right;
  }
  nibrt_cuda_close(s);
  return wrong ? argument : NULL;
}

static void test_threads(void) {
  pthread_t threads[4];
  int seeds[4] = {1, 100, 1000, 10000};
  for (int i = 0; i < 4; ++i)
    CHECK(pthread_create(&threads[i], NULL, run_some, &seeds[i]) == 0);
  for (int i = 0; i < 4; ++i) {
    void *wrong = NULL;
    CHECK(pthread_join(threads[i], &wrong) == 0 && !wrong);
  }
  CHECK(*held == 0 && *captures == 0);
}

/* Opens, runs on host and on device memory, closes, with the call number `n` failing. False once
 * there are fewer calls. */
static bool fail_once(int n, uint32_t no_graph) {
  void *context = NULL;
  CHECK(retain(&context, 0) == 0 && push(context) == 0);
  buffers b = make_buffers();
  const int before = *held;
  nibrt_cuda_options options = talkative;
  options.no_graph = options.overlap = no_graph;
  nibrt_cuda_session *s = NULL;
  n_said = 0;
  *said = 0;
  *calls = 0;
  *fail_at = n;
  bool right = true;
  nibrt_status status = nibrt_cuda_open(&model, &options, &s);
  if (status == NIBRT_OK)
    status = run_host(s, n, &right);
  if (status == NIBRT_OK) {
    fill(at(b.x), n);
    status = nibrt_cuda_run(s, (const void *const[]){at(b.x)}, (void *const[]){at(b.y), at(b.z)},
                            at(b.arena));
    right = right && is_right(at(b.x), at(b.y), at(b.z));
  }
  const bool reached = *calls >= n;
  *fail_at = 0;
  if (status == NIBRT_OK) {
    CHECK(right && n_said == 0);
  } else {
    CHECK(status == NIBRT_ERROR_DEVICE && n_said == 1);
    if (strcmp(failed, "cuModuleLoadDataEx") == 0)
      CHECK(
          has("model: loading the module for sm_90a: ptxas application ptx input, line 7; error : "
              "no such thing: ") &&
          has(", 218)"));
    else
      CHECK(has("model: ") && has("(CUDA_ERROR_OUT_OF_MEMORY, 2)"));
    if (s) {
      CHECK(run_host(s, n + 1, &right) == NIBRT_OK && right);
      check_device_run(s, b, n, NULL);
    }
  }
  if (failures)
    fprintf(stderr, "with call %d, %s, failing\n", n, failed);
  nibrt_cuda_close(s);
  CHECK(*held == before && *captures == 0);
  free_buffers(b);
  void *now = NULL;
  CHECK(pop(&now) == 0 && now == context && give_back(0) == 0);
  return reached;
}

static int test_driver(const char *path) {
  if (!load(path))
    return 1;
  find_all();
  test_host_pointers(0);
  test_host_pointers(1);
  test_device_pointers();
  test_wrong_arguments();
  test_failing_kernel();
  test_threads();
  for (uint32_t no_graph = 0; no_graph < 2; ++no_graph) {
    int n = 1;
    while (!failures && fail_once(n, no_graph))
      ++n;
    CHECK(n > 30);
    printf("%d calls made to fail\n", n - 1);
  }
  return 0;
}

int main(int argc, char **argv) {
  nibrt_cuda_session *s = NULL;
  if (argc < 2)
    return 2;
  if (strcmp(argv[1], "none") == 0) {
    if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) /* a real one: nothing to test */
      return 0;
    CHECK(nibrt_cuda_open(&model, &talkative, &s) == NIBRT_ERROR_DEVICE && !s);
    CHECK(has("model: no CUDA driver: libcuda.so.1: cannot open shared object file"));
    CHECK(nibrt_cuda_open(&model, NULL, &s) == NIBRT_ERROR_DEVICE && !s);
  } else if (strcmp(argv[1], "old") == 0) {
    CHECK(argc > 2 && load(argv[2]));
    CHECK(nibrt_cuda_open(&model, &talkative, &s) == NIBRT_ERROR_DEVICE && !s);
    CHECK(has("model: the CUDA driver is too old: it has no cuGetErrorName"));
  } else if (test_driver(argv[1])) {
    return 1;
  }
  printf("%d failures\n", failures);
  return failures != 0;
}
