// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A libcuda.so.1 for tests: the functions of the driver that the runtime of compiled models and the
// tests call, on top of the emulation. Device memory is memory of the process, in mappings that end
// where nothing may be touched; everything happens at once, in the order of the calls, but for what
// a stream captures. Launches run the kernels of the module that NIB_EMULATED_MODULE names
// (emulate.py), whatever image is loaded; where the image is the text "emulated:PATH", of that one.
//
// Environment: NIB_EMULATED_DEVICE=90 is the compute capability (default 90); 0: no device.
#define _GNU_SOURCE
#include "emulate_runtime.h"

#include <dlfcn.h>
#include <elf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int result;
typedef unsigned long long address;
enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  ILLEGAL_ADDRESS = 700,
  LAUNCH_FAILED = 719,
  STREAM_CAPTURE_INVALIDATED = 901,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one launch at a time */
static bool initialized;

static int capability(void) {
  const char *text = getenv("NIB_EMULATED_DEVICE");
  return text ? atoi(text) : 90;
}

/* ---- objects ---- */

typedef struct context {
  int retained;
} context;
static context primary;
static _Thread_local context *stack[16];
static _Thread_local int depth;

typedef struct function function;
typedef struct module {
  void *library;
  int (*launch)(const nib_emulated_kernel *, const uint32_t *, uint32_t, uint32_t, void **);
  const char *(*error)(void);
  function *functions;
  size_t n;
} module;
struct function {
  module *of;
  const nib_emulated_kernel *kernel;
  int most_shared;
};

typedef enum kind { LAUNCH, COPY, SET } kind;
typedef struct operation {
  kind kind;
  function *function;
  uint32_t grid[3], threads, shared_bytes;
  uint8_t *params; /* the values one after another, each at a multiple of 64 */
  void *to;
  const void *from;
  unsigned char value;
  size_t bytes;
} operation;

typedef struct graph {
  operation *list;
  size_t n, capacity;
} graph;

typedef struct stream {
  graph *capturing;
} stream;
static stream default_stream;
static stream *stream_of(stream *s) { return s ? s : &default_stream; }

typedef struct event {
  struct timespec at;
} event;

/* ---- memory ---- */

enum { page = 4096 };
typedef struct allocation {
  struct allocation *next;
  uint8_t *mapping, *at;
  size_t mapped, bytes;
} allocation;
static allocation *allocations;

static const allocation *find_allocation(const void *p) {
  for (const allocation *a = allocations; a; a = a->next)
    if ((const uint8_t *)p >= a->at && (const uint8_t *)p < a->at + a->bytes)
      return a;
  return NULL;
}

/* Whether device memory [p, p + bytes) is one allocation's. */
static bool owned(const void *p, size_t bytes) {
  const allocation *a = find_allocation(p);
  return bytes == 0 || (a && bytes <= a->bytes - (size_t)((const uint8_t *)p - a->at));
}

result cuMemAlloc_v2(address *out, size_t bytes) {
  if (!depth)
    return INVALID_CONTEXT;
  if (!bytes)
    return INVALID_VALUE;
  allocation *a = calloc(1, sizeof *a);
  size_t whole = (bytes + page - 1) / page * page;
  if (!a)
    return OUT_OF_MEMORY;
  a->mapped = whole + page;
  a->mapping = mmap(NULL, a->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (a->mapping == MAP_FAILED) {
    free(a);
    return OUT_OF_MEMORY;
  }
  mprotect(a->mapping + whole, page, PROT_NONE);
  a->bytes = bytes;
  a->at = a->mapping + whole - (bytes + 255) / 256 * 256;
  memset(a->at, 0xb5, bytes);
  pthread_mutex_lock(&lock);
  a->next = allocations;
  allocations = a;
  pthread_mutex_unlock(&lock);
  *out = (address)(uintptr_t)a->at;
  return SUCCESS;
}

result cuMemFree_v2(address at) {
  pthread_mutex_lock(&lock);
  for (allocation **link = &allocations; *link; link = &(*link)->next)
    if ((*link)->at == (uint8_t *)(uintptr_t)at) {
      allocation *a = *link;
      *link = a->next;
      pthread_mutex_unlock(&lock);
      munmap(a->mapping, a->mapped);
      free(a);
      return SUCCESS;
    }
  pthread_mutex_unlock(&lock);
  return at ? INVALID_VALUE : SUCCESS;
}

result cuMemAllocHost_v2(void **out, size_t bytes) {
  *out = aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *out ? SUCCESS : OUT_OF_MEMORY;
}
result cuMemFreeHost(void *at) {
  free(at);
  return SUCCESS;
}

result cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  *free_bytes = *total = (size_t)8 << 30;
  return SUCCESS;
}

result cuPointerGetAttribute(void *value, int attribute, address at) {
  const allocation *a = find_allocation((void *)(uintptr_t)at);
  if (!a)
    return INVALID_VALUE;
  if (attribute == 2) { /* MEMORY_TYPE: device */
    *(unsigned *)value = 2;
    return SUCCESS;
  }
  if (attribute == 9) { /* DEVICE_ORDINAL */
    *(int *)value = 0;
    return SUCCESS;
  }
  return INVALID_VALUE;
}

/* Of memory that is not the device's: no error, and zeros. */
result cuPointerGetAttributes(unsigned n, const int *attributes, void **values, address at) {
  for (unsigned i = 0; i < n; ++i)
    if (cuPointerGetAttribute(values[i], attributes[i], at) != SUCCESS)
      *(int *)values[i] = 0;
  return SUCCESS;
}

/* ---- doing things, and recording them ---- */

static char failure[1200] = "an emulated kernel failed";

static result perform(const operation *o) {
  if (o->kind == COPY) {
    memmove(o->to, o->from, o->bytes);
    return SUCCESS;
  }
  if (o->kind == SET) {
    memset(o->to, o->value, o->bytes);
    return SUCCESS;
  }
  void *params[256];
  for (int i = 0, at = 0; i < o->function->kernel->n_params; ++i) {
    params[i] = o->params + at;
    at += (int)(o->function->kernel->param_bytes[i] + 63) / 64 * 64;
  }
  module *m = o->function->of;
  pthread_mutex_lock(&lock);
  int failed = m->launch(o->function->kernel, o->grid, o->threads, o->shared_bytes, params);
  if (failed) {
    snprintf(failure, sizeof failure, "%s", m->error());
    fprintf(stderr, "emulated: %s\n", failure);
  }
  pthread_mutex_unlock(&lock);
  return failed ? LAUNCH_FAILED : SUCCESS;
}

static result submit(stream *s, const operation *o) {
  graph *g = stream_of(s)->capturing;
  if (!g) {
    result r = perform(o);
    free(o->params);
    return r;
  }
  if (g->n == g->capacity) {
    size_t capacity = g->capacity ? 2 * g->capacity : 16;
    operation *list = realloc(g->list, sizeof *list * capacity);
    if (!list)
      return OUT_OF_MEMORY;
    g->list = list;
    g->capacity = capacity;
  }
  g->list[g->n++] = *o;
  return SUCCESS;
}

static result copy(void *to, const void *from, size_t bytes, stream *s, bool to_device,
                   bool from_device) {
  if ((to_device && !owned(to, bytes)) || (from_device && !owned(from, bytes)))
    return INVALID_VALUE;
  operation o = {.kind = COPY, .to = to, .from = from, .bytes = bytes};
  return submit(s, &o);
}

#define PTR(a) ((void *)(uintptr_t)(a))
result cuMemcpyHtoDAsync_v2(address to, const void *from, size_t bytes, stream *s) {
  return copy(PTR(to), from, bytes, s, true, false);
}
result cuMemcpyDtoHAsync_v2(void *to, address from, size_t bytes, stream *s) {
  return copy(to, PTR(from), bytes, s, false, true);
}
result cuMemcpyDtoDAsync_v2(address to, address from, size_t bytes, stream *s) {
  return copy(PTR(to), PTR(from), bytes, s, true, true);
}
result cuMemcpyHtoD_v2(address to, const void *from, size_t bytes) {
  return cuMemcpyHtoDAsync_v2(to, from, bytes, NULL);
}
result cuMemcpyDtoH_v2(void *to, address from, size_t bytes) {
  return cuMemcpyDtoHAsync_v2(to, from, bytes, NULL);
}
result cuMemcpyDtoD_v2(address to, address from, size_t bytes) {
  return cuMemcpyDtoDAsync_v2(to, from, bytes, NULL);
}
result cuMemsetD8Async(address to, unsigned char value, size_t bytes, stream *s) {
  if (!owned(PTR(to), bytes))
    return INVALID_VALUE;
  operation o = {.kind = SET, .to = PTR(to), .value = value, .bytes = bytes};
  return submit(s, &o);
}
result cuMemsetD8_v2(address to, unsigned char value, size_t bytes) {
  return cuMemsetD8Async(to, value, bytes, NULL);
}

static result launch_kernel(function *f, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                            unsigned block_x, unsigned block_y, unsigned block_z,
                            unsigned shared_bytes, stream *s, void **arguments, void **extra,
                            unsigned cluster) {
  if (!depth)
    return INVALID_CONTEXT;
  if (!f)
    return INVALID_HANDLE;
  if ((unsigned)f->kernel->cluster != cluster || grid_x % cluster || !grid_x || !grid_y ||
      !grid_z || grid_y > 65535 || grid_z > 65535 || grid_x > 0x7fffffff || block_y != 1 ||
      block_z != 1 || extra || f->kernel->n_params > 256 || (int64_t)shared_bytes > f->most_shared)
    return INVALID_VALUE;
  size_t bytes = 0;
  for (int i = 0; i < f->kernel->n_params; ++i)
    bytes += (f->kernel->param_bytes[i] + 63) / 64 * 64;
  operation o = {.kind = LAUNCH,
                 .function = f,
                 .grid = {grid_x, grid_y, grid_z},
                 .threads = block_x,
                 .shared_bytes = shared_bytes,
                 .params = aligned_alloc(64, bytes + 64)};
  if (!o.params)
    return OUT_OF_MEMORY;
  for (int i = 0, at = 0; i < f->kernel->n_params; ++i) {
    memcpy(o.params + at, arguments[i], f->kernel->param_bytes[i]);
    at += (int)(f->kernel->param_bytes[i] + 63) / 64 * 64;
  }
  return submit(s, &o);
}

result cuLaunchKernel(function *f, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                      stream *s, void **arguments, void **extra) {
  return launch_kernel(f, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, s,
                       arguments, extra, 1);
}

typedef struct launch_attribute {
  int id, pad;
  unsigned value[16];
} launch_attribute;
typedef struct launch_config {
  unsigned grid[3], block[3], shared_bytes;
  stream *in;
  const launch_attribute *attributes;
  unsigned n_attributes;
} launch_config;

result cuLaunchKernelEx(const launch_config *c, function *f, void **arguments, void **extra) {
  enum { CLUSTER_DIMENSION = 4, PROGRAMMATIC_STREAM_SERIALIZATION = 6 };
  unsigned cluster = 1;
  for (unsigned i = 0; i < c->n_attributes; ++i) {
    const launch_attribute *a = &c->attributes[i];
    if (a->id == CLUSTER_DIMENSION && a->value[0] && a->value[1] == 1 && a->value[2] == 1)
      cluster = a->value[0];
    else if (a->id != PROGRAMMATIC_STREAM_SERIALIZATION || capability() < 90)
      return INVALID_VALUE;
  }
  return launch_kernel(f, c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2],
                       c->shared_bytes, c->in, arguments, extra, cluster);
}

/* ---- streams, graphs, events ---- */

result cuStreamCreate(stream **out, unsigned flags) {
  *out = calloc(1, sizeof **out);
  return *out ? SUCCESS : OUT_OF_MEMORY;
}
result cuStreamDestroy_v2(stream *s) {
  free(s);
  return SUCCESS;
}
result cuStreamSynchronize(stream *s) {
  return stream_of(s)->capturing ? STREAM_CAPTURE_INVALIDATED : SUCCESS;
}
result cuStreamQuery(stream *s) { return cuStreamSynchronize(s); }
result cuCtxSynchronize(void) { return SUCCESS; }

result cuStreamBeginCapture_v2(stream *s, int mode) {
  if (!s || s->capturing)
    return INVALID_VALUE;
  s->capturing = calloc(1, sizeof *s->capturing);
  return s->capturing ? SUCCESS : OUT_OF_MEMORY;
}
result cuStreamEndCapture(stream *s, graph **out) {
  if (!s || !s->capturing)
    return INVALID_VALUE;
  *out = s->capturing;
  s->capturing = NULL;
  return SUCCESS;
}
result cuStreamIsCapturing(stream *s, int *out) {
  *out = stream_of(s)->capturing != NULL;
  return SUCCESS;
}

result cuGraphDestroy(graph *g) {
  for (size_t i = 0; g && i < g->n; ++i)
    free(g->list[i].params);
  if (g)
    free(g->list);
  free(g);
  return SUCCESS;
}

static graph *copy_graph(const graph *g) {
  graph *c = calloc(1, sizeof *c);
  operation *list = malloc(sizeof *list * (g->n + 1));
  if (!c || !list) {
    free(c);
    free(list);
    return NULL;
  }
  c->list = list;
  c->n = c->capacity = g->n;
  for (size_t i = 0; i < g->n; ++i) {
    list[i] = g->list[i];
    if (!list[i].params)
      continue;
    size_t bytes = 64;
    for (int j = 0; j < list[i].function->kernel->n_params; ++j)
      bytes += (list[i].function->kernel->param_bytes[j] + 63) / 64 * 64;
    list[i].params = aligned_alloc(64, bytes);
    if (list[i].params)
      memcpy(list[i].params, g->list[i].params, bytes);
  }
  return c;
}

result cuGraphInstantiateWithFlags(graph **out, graph *g, unsigned long long flags) {
  *out = copy_graph(g);
  return *out ? SUCCESS : OUT_OF_MEMORY;
}
result cuGraphExecUpdate_v2(graph *e, graph *g, void *info) {
  graph *c = copy_graph(g);
  if (!c)
    return OUT_OF_MEMORY;
  for (size_t i = 0; i < e->n; ++i)
    free(e->list[i].params);
  free(e->list);
  *e = *c;
  free(c);
  return SUCCESS;
}
result cuGraphExecDestroy(graph *e) { return cuGraphDestroy(e); }
result cuGraphUpload(graph *e, stream *s) { return SUCCESS; }
result cuGraphGetNodes(graph *g, void **nodes, size_t *n) {
  *n = g->n;
  return SUCCESS;
}
result cuGraphLaunch(graph *e, stream *s) {
  result r = SUCCESS;
  for (size_t i = 0; r == SUCCESS && i < e->n; ++i)
    r = perform(&e->list[i]);
  return r;
}

result cuEventCreate(event **out, unsigned flags) {
  *out = calloc(1, sizeof **out);
  return *out ? SUCCESS : OUT_OF_MEMORY;
}
result cuEventRecord(event *e, stream *s) {
  clock_gettime(CLOCK_MONOTONIC, &e->at);
  return SUCCESS;
}
result cuEventSynchronize(event *e) { return SUCCESS; }
result cuEventElapsedTime(float *out, event *from, event *to) {
  *out = (float)((double)(to->at.tv_sec - from->at.tv_sec) * 1e3 +
                 (double)(to->at.tv_nsec - from->at.tv_nsec) * 1e-6);
  return SUCCESS;
}
result cuEventElapsedTime_v2(float *out, event *from, event *to) {
  return cuEventElapsedTime(out, from, to);
}
result cuEventDestroy_v2(event *e) {
  free(e);
  return SUCCESS;
}

/* ---- device, context, module ---- */

result cuInit(unsigned flags) {
  if (capability() == 0)
    return NO_DEVICE;
  initialized = true;
  return SUCCESS;
}
result cuDriverGetVersion(int *out) {
  *out = 13000;
  return SUCCESS;
}
result cuDeviceGetCount(int *out) {
  *out = capability() != 0;
  return initialized ? SUCCESS : NOT_INITIALIZED;
}
result cuDeviceGet(int *out, int ordinal) {
  *out = 0;
  return !initialized ? NOT_INITIALIZED : ordinal ? INVALID_DEVICE : SUCCESS;
}
result cuDeviceGetName(char *text, int size, int device) {
  snprintf(text, (size_t)size, "emulated sm_%d", capability());
  return SUCCESS;
}
result cuDeviceGetAttribute(int *out, int attribute, int device) {
  static const struct {
    int attribute, value;
  } table[] = {
      {1, 1024},        /* MAX_THREADS_PER_BLOCK */
      {8, 48 * 1024},   /* MAX_SHARED_MEMORY_PER_BLOCK */
      {10, 32},         /* WARP_SIZE */
      {12, 65536},      /* MAX_REGISTERS_PER_BLOCK */
      {16, 4},          /* MULTIPROCESSOR_COUNT: few, so that persistent kernels take turns */
      {38, 52428800},   /* L2_CACHE_SIZE */
      {39, 2048},       /* MAX_THREADS_PER_MULTIPROCESSOR */
      {81, 228 * 1024}, /* MAX_SHARED_MEMORY_PER_MULTIPROCESSOR */
      {97, 227 * 1024}, /* MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
  };
  if (attribute == 75 || attribute == 76) { /* COMPUTE_CAPABILITY_MAJOR, MINOR */
    *out = attribute == 75 ? capability() / 10 : capability() % 10;
    return SUCCESS;
  }
  for (size_t i = 0; i < sizeof table / sizeof *table; ++i)
    if (table[i].attribute == attribute) {
      *out = table[i].value;
      return SUCCESS;
    }
  return INVALID_VALUE;
}

result cuDevicePrimaryCtxRetain(context **out, int device) {
  primary.retained++;
  *out = &primary;
  return initialized ? SUCCESS : NOT_INITIALIZED;
}
result cuDevicePrimaryCtxRelease_v2(int device) {
  primary.retained--;
  return SUCCESS;
}
result cuCtxPushCurrent_v2(context *c) {
  if (depth == 16)
    return INVALID_CONTEXT;
  stack[depth++] = c;
  return SUCCESS;
}
result cuCtxPopCurrent_v2(context **out) {
  if (!depth)
    return INVALID_CONTEXT;
  --depth;
  if (out)
    *out = stack[depth];
  return SUCCESS;
}
result cuCtxGetCurrent(context **out) {
  *out = depth ? stack[depth - 1] : NULL;
  return SUCCESS;
}
result cuCtxSetCurrent(context *c) {
  if (depth)
    --depth;
  return c ? cuCtxPushCurrent_v2(c) : SUCCESS;
}

result cuModuleUnload(module *m) {
  if (m->library)
    dlclose(m->library);
  free(m->functions);
  free(m);
  return SUCCESS;
}

/* A module of the emulation, in memory: a shared object of this machine ends with its table of
 * sections. */
static void *load_image(const Elf64_Ehdr *image) {
  size_t bytes = image->e_shoff + (size_t)image->e_shnum * image->e_shentsize;
  int file = memfd_create("module", 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  void *library = file >= 0 && write(file, image, bytes) == (ssize_t)bytes
                      ? dlopen(path, RTLD_NOW | RTLD_LOCAL)
                      : NULL;
  if (file >= 0)
    close(file);
  return library;
}

static bool is_shared_object(const void *image) {
  const Elf64_Ehdr *e = image;
  return image && memcmp(e->e_ident, ELFMAG, SELFMAG) == 0 && e->e_type == ET_DYN;
}

result cuModuleLoadDataEx(module **out, const void *image, unsigned n, const int *options,
                          void **values) {
  static const char prefix[] = "emulated:";
  const char *path = getenv("NIB_EMULATED_MODULE");
  if (image && strncmp(image, prefix, sizeof prefix - 1) == 0)
    path = (const char *)image + sizeof prefix - 1;
  module *m = calloc(1, sizeof *m);
  if (!m)
    return OUT_OF_MEMORY;
  m->library = is_shared_object(image) ? load_image(image)
               : path                  ? dlopen(path, RTLD_NOW | RTLD_LOCAL)
                                       : NULL;
  const nib_emulated_kernel *kernels = NULL;
  if (m->library) {
    kernels = dlsym(m->library, "nib_emulated_kernels");
    *(void **)&m->launch = dlsym(m->library, "nib_emulated_launch");
    *(void **)&m->error = dlsym(m->library, "nib_emulated_error");
  }
  if (!kernels || !m->launch || !m->error) {
    fprintf(stderr, "emulated: NIB_EMULATED_MODULE: %s\n", path ? dlerror() : "not set");
    cuModuleUnload(m);
    return INVALID_IMAGE;
  }
  while (kernels[m->n].name)
    m->n++;
  m->functions = calloc(m->n + 1, sizeof *m->functions);
  if (!m->functions) {
    cuModuleUnload(m);
    return OUT_OF_MEMORY;
  }
  for (size_t i = 0; i < m->n; ++i)
    m->functions[i] = (function){m, &kernels[i], 48 * 1024};
  *out = m;
  return SUCCESS;
}
result cuModuleLoadData(module **out, const void *image) {
  return cuModuleLoadDataEx(out, image, 0, NULL, NULL);
}

result cuModuleGetFunction(function **out, module *m, const char *name) {
  for (size_t i = 0; i < m->n; ++i)
    if (strcmp(m->functions[i].kernel->name, name) == 0) {
      *out = &m->functions[i];
      return SUCCESS;
    }
  return NOT_FOUND;
}

result cuFuncSetAttribute(function *f, int attribute, int value) {
  if (attribute != 8) /* MAX_DYNAMIC_SHARED_SIZE_BYTES */
    return SUCCESS;
  if (value < 0 || value > 227 * 1024)
    return INVALID_VALUE;
  f->most_shared = value;
  return SUCCESS;
}
result cuFuncGetAttribute(int *out, int attribute, function *f) {
  *out = attribute == 0 ? f->kernel->most_threads : attribute == 8 ? f->most_shared : 0;
  return SUCCESS;
}
result cuOccupancyMaxActiveBlocksPerMultiprocessor(int *out, function *f, int threads,
                                                   size_t shared_bytes) {
  *out = 1;
  return SUCCESS;
}

/* ---- tensor maps: what the driver's manual demands of them ---- */

result cuTensorMapEncodeTiled(void *out, int type, uint32_t rank, void *base, const uint64_t *dims,
                              const uint64_t *strides, const uint32_t *box,
                              const uint32_t *element_strides, int interleave, int swizzle,
                              int promote, int fill) {
  /* UINT8, UINT16, UINT32, INT32, UINT64, INT64, FLOAT16, FLOAT32, FLOAT64, BFLOAT16 … */
  static const uint8_t sizes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  static const uint32_t spans[] = {0, 32, 64, 128};
  if ((uintptr_t)out % 64 || type < 0 || type >= (int)sizeof sizes || rank < 1 || rank > 5 ||
      (uintptr_t)base % 16 || interleave || swizzle < 0 || swizzle > 3 || promote < 0 ||
      promote > 3)
    return INVALID_VALUE;
  nib_emulated_map m = {.magic = NIB_EMULATED_MAP_MAGIC,
                        .rank = (uint8_t)rank,
                        .swizzle = (uint8_t)swizzle,
                        .element_bytes = sizes[type],
                        .fill = (uint8_t)fill,
                        .base = (uint64_t)(uintptr_t)base};
  for (uint32_t i = 0; i < rank; ++i) {
    if (dims[i] == 0 || dims[i] > (uint64_t)1 << 32 || box[i] == 0 || box[i] > 256 ||
        (element_strides && element_strides[i] != 1))
      return INVALID_VALUE;
    m.dims[i] = dims[i];
    m.box[i] = box[i];
    if (i + 1 < rank) {
      if (strides[i] % 16 || strides[i] >= (uint64_t)1 << 40)
        return INVALID_VALUE;
      m.strides[i] = strides[i];
    }
  }
  uint32_t inner = box[0] * sizes[type];
  /* A box narrower than the swizzle's span is legal; the emulation does not know where its rows
   * lie. */
  if (inner % 16 || (swizzle && inner != spans[swizzle]))
    return INVALID_VALUE;
  _Static_assert(sizeof m <= 128, "a tensor map");
  memset(out, 0, 128);
  memcpy(out, &m, sizeof m);
  return SUCCESS;
}

/* ---- errors ---- */

static const struct {
  result code;
  const char *name, *text;
} errors[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", failure},
    {STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation not permitted while capturing"},
};

result cuGetErrorName(result code, const char **out) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; ++i)
    if (errors[i].code == code) {
      *out = errors[i].name;
      return SUCCESS;
    }
  *out = NULL;
  return INVALID_VALUE;
}
result cuGetErrorString(result code, const char **out) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; ++i)
    if (errors[i].code == code) {
      *out = errors[i].text;
      return SUCCESS;
    }
  *out = NULL;
  return INVALID_VALUE;
}
