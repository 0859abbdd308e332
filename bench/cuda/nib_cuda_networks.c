/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib-cuda-networks: runs networks that pack_networks.py has compiled on a device, and compares
 * them with the same networks compiled for the processor.
 *
 *     nib-cuda-networks [--runs N] [--times N] FOLDER ...
 *
 * A folder has cuda.so, reference.so (both the network `net`, with nibrt_cuda in the first) and
 * `ports`, the types and sizes. Every run has other random inputs: from host memory and from device
 * memory, with a graph, without one, and with kernels that overlap. Integers must be equal; floats
 * within 1e-5 of the largest. Then a table of median times. */
#include "nibrt_cuda.h"

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_PORTS = 16, MOST_TIMES = 10000 };

typedef struct port {
  bool is_input;
  char type[16];
  size_t elems, bytes;
  unsigned char *host, *expected;
  unsigned long long device;
} port;

typedef nibrt_status run_function(const nibrt_exec *, const void *const *, void *const *,
                                  void *const *);

typedef struct network {
  const char *name;
  void *cuda, *reference;
  const nibrt_cuda_model *model;
  run_function *run, *expect;
  nibrt_status (*open)(const nibrt_cuda_model *, const nibrt_cuda_options *, nibrt_cuda_session **);
  void (*close)(nibrt_cuda_session *);
  port ports[MOST_PORTS];
  int n_ports;
  size_t arena_bytes;
  void *arena;
  uint64_t random;
} network;

static struct {
  int (*cuInit)(unsigned);
  int (*cuDevicePrimaryCtxRetain)(void **, int);
  int (*cuCtxPushCurrent_v2)(void *);
  int (*cuMemAlloc_v2)(unsigned long long *, size_t);
  int (*cuMemFree_v2)(unsigned long long);
  int (*cuMemcpyHtoD_v2)(unsigned long long, const void *, size_t);
  int (*cuMemcpyDtoH_v2)(void *, unsigned long long, size_t);
  int (*cuStreamCreate)(void **, unsigned);
  int (*cuStreamSynchronize)(void *);
  int (*cuDeviceGetName)(char *, int, int);
} cu;

static bool find(void *library, const char *name, void *out) {
  void *const symbol = library ? dlsym(library, name) : NULL;
  memcpy(out, &symbol, sizeof symbol);
  if (!symbol)
    fprintf(stderr, "no %s: %s\n", name, dlerror());
  return symbol != NULL;
}

static bool open_driver(void **out_stream, char *name, int size) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return false;
  }
  void *context;
#define FIND(name) find(library, #name, &cu.name)
  return FIND(cuInit) && FIND(cuDevicePrimaryCtxRetain) && FIND(cuCtxPushCurrent_v2) &&
         FIND(cuMemAlloc_v2) && FIND(cuMemFree_v2) && FIND(cuMemcpyHtoD_v2) &&
         FIND(cuMemcpyDtoH_v2) && FIND(cuStreamCreate) && FIND(cuStreamSynchronize) &&
         FIND(cuDeviceGetName) && cu.cuInit(0) == 0 &&
         cu.cuDevicePrimaryCtxRetain(&context, 0) == 0 && cu.cuCtxPushCurrent_v2(context) == 0 &&
         cu.cuStreamCreate(out_stream, 1) == 0 && cu.cuDeviceGetName(name, size, 0) == 0;
}

/* ---- a network ---- */

static size_t type_bytes(const char *type) {
  static const struct {
    const char *name;
    size_t bytes;
  } types[] = {{"int8_t", 1}, {"uint8_t", 1}, {"int16_t", 2}, {"uint16_t", 2}, {"int32_t", 4},
               {"float", 4},  {"double", 8},  {"int64_t", 8}, {"uint32_t", 4}};
  for (size_t i = 0; i < sizeof types / sizeof *types; ++i)
    if (strcmp(types[i].name, type) == 0)
      return types[i].bytes;
  return 0;
}

static bool read_ports(network *n, const char *folder) {
  char path[1024], word[16], type[16];
  size_t elems;
  snprintf(path, sizeof path, "%s/ports", folder);
  FILE *file = fopen(path, "r");
  if (!file)
    return false;
  while (n->n_ports < MOST_PORTS && fscanf(file, "%15s %15s %zu", word, type, &elems) == 3) {
    if (strcmp(word, "arena") == 0) {
      n->arena_bytes = elems;
      continue;
    }
    port *p = &n->ports[n->n_ports++];
    p->is_input = strcmp(word, "in") == 0;
    snprintf(p->type, sizeof p->type, "%s", type);
    p->elems = elems;
    p->bytes = elems * type_bytes(type);
    p->host = calloc(1, p->bytes + 1);
    p->expected = calloc(1, p->bytes + 1);
    if (!p->bytes || cu.cuMemAlloc_v2(&p->device, p->bytes) != 0)
      break;
  }
  fclose(file);
  n->arena = aligned_alloc(64, (n->arena_bytes + 64) / 64 * 64);
  return n->n_ports > 0 && n->ports[n->n_ports - 1].device;
}

static void *open_library(const char *folder, const char *file) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    fprintf(stderr, "%s\n", dlerror());
  return library;
}

static bool open_network(network *n, const char *folder) {
  *n = (network){.name = folder, .random = 88172645463325252u};
  const char *slash = strrchr(folder, '/');
  n->name = slash ? slash + 1 : folder;
  n->cuda = open_library(folder, "cuda.so");
  n->reference = open_library(folder, "reference.so");
  return find(n->cuda, "net_cuda", &n->model) && find(n->cuda, "net_run", &n->run) &&
         find(n->cuda, "nibrt_cuda_open", &n->open) &&
         find(n->cuda, "nibrt_cuda_close", &n->close) &&
         find(n->reference, "net_run", &n->expect) && read_ports(n, folder);
}

static void close_network(network *n) {
  for (int i = 0; i < n->n_ports; ++i) {
    cu.cuMemFree_v2(n->ports[i].device);
    free(n->ports[i].host);
    free(n->ports[i].expected);
  }
  free(n->arena);
}

static uint64_t next_random(network *n) {
  n->random ^= n->random << 13;
  n->random ^= n->random >> 7;
  return n->random ^= n->random << 17;
}

/* Random inputs, on the host and the device, and what is expected. */
static bool make_inputs(network *n) {
  const void *in[MOST_PORTS];
  void *out[MOST_PORTS];
  int n_in = 0, n_out = 0;
  for (int i = 0; i < n->n_ports; ++i) {
    port *p = &n->ports[i];
    if (!p->is_input) {
      out[n_out++] = p->expected;
      continue;
    }
    in[n_in++] = p->host;
    for (size_t k = 0; k < p->elems; ++k) {
      const uint64_t r = next_random(n) >> 11;
      const float real = (float)((double)r * 0x1p-52 - 1.0);
      const size_t size = p->bytes / p->elems;
      memcpy(p->host + k * size, strcmp(p->type, "float") == 0 ? (const void *)&real : &r, size);
    }
    if (cu.cuMemcpyHtoD_v2(p->device, p->host, p->bytes) != 0)
      return false;
  }
  return n->expect(NULL, in, out, (void *const[]){n->arena}) == NIBRT_OK;
}

static bool is_right(const port *p) {
  if (strcmp(p->type, "float") != 0)
    return memcmp(p->host, p->expected, p->bytes) == 0;
  float most = 0, difference = 0;
  for (size_t k = 0; k < p->elems; ++k) {
    float x, y;
    memcpy(&x, p->host + k * 4, 4);
    memcpy(&y, p->expected + k * 4, 4);
    most = fmaxf(most, fabsf(y));
    if (!(fabsf(x - y) <= difference))
      difference = fabsf(x - y);
  }
  return difference <= 1e-5f * most;
}

static bool run_once(network *n, nibrt_cuda_session *s, bool on_device) {
  const void *in[MOST_PORTS];
  void *out[MOST_PORTS];
  int n_in = 0, n_out = 0;
  for (int i = 0; i < n->n_ports; ++i) {
    port *p = &n->ports[i];
    void *const at = on_device ? (void *)(uintptr_t)p->device : p->host;
    if (p->is_input)
      in[n_in++] = at;
    else
      out[n_out++] = at;
  }
  const nibrt_exec exec = {.size = sizeof exec, .version = NIBRT_ABI_VERSION, .device = s};
  return n->run(&exec, in, out, NULL) == NIBRT_OK;
}

/* Outputs of a run, on the host, against what is expected. */
static bool check_outputs(network *n, bool on_device, const char *how, int run) {
  bool right = true;
  for (int i = 0; i < n->n_ports; ++i) {
    port *p = &n->ports[i];
    if (p->is_input)
      continue;
    if (on_device && cu.cuMemcpyDtoH_v2(p->host, p->device, p->bytes) != 0)
      return false;
    if (!is_right(p)) {
      printf("%s: run %d, %s: output of port %d differs\n", n->name, run, how, i);
      right = false;
    }
    memset(p->host, 0x5a, p->bytes);
  }
  return right;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Median time of a call: all in one stream, each waited for; `batch` calls at a time. */
static double measure(network *n, nibrt_cuda_session *s, void *stream, bool on_device, int times,
                      int batch) {
  static double us[MOST_TIMES];
  for (int i = 0; i < times; ++i) {
    const double begin = now_us();
    for (int k = 0; k < batch; ++k)
      if (!run_once(n, s, on_device))
        return -1;
    cu.cuStreamSynchronize(stream);
    us[i] = (now_us() - begin) / batch;
  }
  qsort(us, (size_t)times, sizeof *us, by_value);
  return us[times / 2];
}

static void say(void *user, const char *text) {
  (void)user;
  fprintf(stderr, "%s\n", text);
}

static bool check_network(network *n, void *stream, int runs, int times) {
  static const char *const how[] = {"host, graph",   "host, launches",   "host, overlapping",
                                    "device, graph", "device, launches", "device, overlapping"};
  enum { WAYS = 3, ALL = 2 * WAYS };
  nibrt_cuda_session *sessions[WAYS] = {NULL, NULL, NULL};
  bool right = true;
  for (uint32_t i = 0; i < WAYS && right; ++i) {
    const nibrt_cuda_options options = {.size = sizeof options,
                                        .stream = stream,
                                        .no_graph = i == 1,
                                        .overlap = i == 2,
                                        .message = say};
    right = n->open(n->model, &options, &sessions[i]) == NIBRT_OK;
  }
  for (int run = 0; run < runs && right; ++run) {
    right = make_inputs(n);
    for (int i = 0; i < ALL && right; ++i)
      right = run_once(n, sessions[i % WAYS], i / WAYS) && cu.cuStreamSynchronize(stream) == 0 &&
              check_outputs(n, i / WAYS, how[i], run);
  }
  if (right) {
    printf("%-32s %4d kernels  %d runs equal", n->name, (int)n->model->n_launches, runs * ALL);
    for (int i = 0; i < ALL && times; ++i)
      printf("  %s %.1f us", how[i], measure(n, sessions[i % WAYS], stream, i / WAYS, times, 1));
    for (int i = 0; i < WAYS && times; ++i)
      printf("  20 in a row: %s %.2f us", how[WAYS + i],
             measure(n, sessions[i], stream, true, times / 10 + 1, 20));
    printf("\n");
  } else {
    printf("%-32s FAILED\n", n->name);
  }
  fflush(stdout);
  for (int i = 0; i < WAYS; ++i)
    n->close(sessions[i]);
  return right;
}

int main(int argc, char **argv) {
  int runs = 10, times = 200, failed = 0, first = 1;
  for (; first + 1 < argc && argv[first][0] == '-'; first += 2)
    *(strcmp(argv[first], "--runs") == 0 ? &runs : &times) = atoi(argv[first + 1]);
  times = times > MOST_TIMES ? MOST_TIMES : times;
  void *stream = NULL;
  char device[128] = "";
  if (first >= argc || !open_driver(&stream, device, (int)sizeof device))
    return 2;
  printf("device 0: %s\n", device);
  for (int i = first; i < argc; ++i) {
    network n;
    failed += !open_network(&n, argv[i]) || !check_network(&n, stream, runs, times);
    close_network(&n);
  }
  printf("%d of %d networks failed\n", failed, argc - first);
  return failed != 0;
}
