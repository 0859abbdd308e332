/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * nibrt_cuda.c: the driver's interface, as far as a compiled model needs it. See nibrt_cuda.h.
 * POSIX (dlopen), C11, no header of CUDA's: the types and numbers below are those of the driver's
 * stable binary interface. */
#if !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "nibrt_cuda.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the driver ---- */

typedef int result; /* CUresult */
typedef int device;
typedef unsigned long long address; /* CUdeviceptr */
typedef struct context_st *context;
typedef struct module_st *module;
typedef struct function_st *function;
typedef struct stream_st *stream;
typedef struct graph_st *graph;
typedef struct graph_exec_st *graph_exec;

/* CUtensorMap */
typedef struct tensor_map {
  _Alignas(64) uint64_t opaque[16];
} tensor_map;

/* CUgraphExecUpdateResultInfo */
typedef struct update_info {
  int result;
  void *node, *from;
} update_info;

enum {
  SUCCESS = 0,
  ATTRIBUTE_CAPABILITY_MAJOR = 75,
  ATTRIBUTE_CAPABILITY_MINOR = 76,
  FUNCTION_MAX_DYNAMIC_SHARED = 8,
  JIT_ERROR_LOG_BUFFER = 5,
  JIT_ERROR_LOG_BUFFER_BYTES = 6,
  POINTER_MEMORY_TYPE = 2,
  POINTER_DEVICE_ORDINAL = 9,
  MEMORY_HOST = 1,
  STREAM_NON_BLOCKING = 1,
  CAPTURE_RELAXED = 2,
  MAP_INTERLEAVE_NONE = 0,
  MAP_FILL_ZEROS = 0,
  LAUNCH_CLUSTER_DIMENSION = 4,
  LAUNCH_BEFORE_THE_LAST_ENDS = 6, /* PROGRAMMATIC_STREAM_SERIALIZATION */
};

/* CUlaunchAttribute, CUlaunchConfig */
typedef struct launch_attribute {
  int id, pad;
  union {
    unsigned value[3];
    uint64_t all[8];
  };
} launch_attribute;
typedef struct launch_config {
  unsigned grid[3], block[3], shared_bytes;
  stream in;
  launch_attribute *attributes;
  unsigned n_attributes;
} launch_config;

/* Entry points: needed by every model, then by models with tensor maps, then where the driver is
 * new enough. The names of functions that changed once end in the version that has these
 * parameters. */
#define NEEDED(X)                                                                                  \
  X(cuInit, (unsigned flags))                                                                      \
  X(cuGetErrorName, (result error, const char **text))                                             \
  X(cuGetErrorString, (result error, const char **text))                                           \
  X(cuDeviceGet, (device * out, int ordinal))                                                      \
  X(cuDeviceGetName, (char *text, int size, device d))                                             \
  X(cuDeviceGetAttribute, (int *value, int attribute, device d))                                   \
  X(cuDevicePrimaryCtxRetain, (context * out, device d))                                           \
  X(cuDevicePrimaryCtxRelease_v2, (device d))                                                      \
  X(cuCtxPushCurrent_v2, (context c))                                                              \
  X(cuCtxPopCurrent_v2, (context * out))                                                           \
  X(cuModuleLoadDataEx,                                                                            \
    (module * out, const void *image, unsigned n, const int *options, void **values))              \
  X(cuModuleUnload, (module m))                                                                    \
  X(cuModuleGetFunction, (function * out, module m, const char *name))                             \
  X(cuFuncSetAttribute, (function f, int attribute, int value))                                    \
  X(cuMemAlloc_v2, (address * out, size_t bytes))                                                  \
  X(cuMemFree_v2, (address at))                                                                    \
  X(cuMemAllocHost_v2, (void **out, size_t bytes))                                                 \
  X(cuMemFreeHost, (void *at))                                                                     \
  X(cuMemcpyHtoDAsync_v2, (address to, const void *from, size_t bytes, stream s))                  \
  X(cuMemcpyDtoHAsync_v2, (void *to, address from, size_t bytes, stream s))                        \
  X(cuMemcpyDtoDAsync_v2, (address to, address from, size_t bytes, stream s))                      \
  X(cuMemsetD8Async, (address to, unsigned char value, size_t bytes, stream s))                    \
  X(cuPointerGetAttributes, (unsigned n, int *attributes, void **values, address at))              \
  X(cuStreamCreate, (stream * out, unsigned flags))                                                \
  X(cuStreamDestroy_v2, (stream s))                                                                \
  X(cuStreamSynchronize, (stream s))                                                               \
  X(cuStreamBeginCapture_v2, (stream s, int mode))                                                 \
  X(cuStreamEndCapture, (stream s, graph * out))                                                   \
  X(cuGraphInstantiateWithFlags, (graph_exec * out, graph g, unsigned long long flags))            \
  X(cuGraphLaunch, (graph_exec g, stream s))                                                       \
  X(cuGraphDestroy, (graph g))                                                                     \
  X(cuGraphExecDestroy, (graph_exec g))                                                            \
  X(cuLaunchKernel, (function f, unsigned grid_x, unsigned grid_y, unsigned grid_z,                \
                     unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,  \
                     stream s, void **arguments, void **extra))
#define OPTIONAL(X)                                                                                \
  X(cuFuncLoad, (function f))                                                                      \
  X(cuLaunchKernelEx, (const launch_config *c, function f, void **arguments, void **extra))        \
  X(cuGraphExecUpdate_v2, (graph_exec e, graph g, update_info * info))                             \
  X(cuTensorMapEncodeTiled,                                                                        \
    (tensor_map * out, int type, uint32_t rank, void *base, const uint64_t *dims,                  \
     const uint64_t *strides, const uint32_t *box, const uint32_t *element_strides,                \
     int interleave, int swizzle, int promote, int fill))

typedef struct driver {
  void *library;
#define X(name, parameters) result(*name) parameters;
  NEEDED(X)
  OPTIONAL(X)
#undef X
} driver;

/* ---- a session ---- */

enum {
  MOST_GRAPHS = 4,       /* captured, each for other addresses */
  UNIT = 256,            /* alignment of everything in device memory */
  DIRECT_ALIGNMENT = 16, /* of the caller's device pointers */
};

typedef struct captured {
  graph_exec exec;
  address *key;  /* of inputs, outputs, arena */
  uint64_t used; /* the run that used it last */
} captured;

struct nibrt_cuda_session {
  driver cu;
  const nibrt_cuda_model *model;
  nibrt_cuda_options options;
  device dev;
  context ctx; /* NULL: not retained */
  module mod;
  stream own, run;     /* run: the caller's or own */
  function *functions; /* of each launch */
  tensor_map *maps;
  address weights, arena, staging;
  unsigned char *pinned; /* what goes to and comes from `staging`, laid out alike */
  uint64_t *offsets;     /* in staging, of inputs and then outputs */
  uint64_t staging_bytes;
  address *now;          /* addresses of this run: inputs, outputs, arena */
  unsigned char *staged; /* of inputs and outputs: through `staging` */
  address *values;       /* of a launch's arguments, */
  void **arguments;      /* and where each is */
  captured graphs[MOST_GRAPHS];
  uint64_t runs;
  char error[4096];
  char log[2048]; /* of the compiler in the driver */
};

static uint64_t round_up(uint64_t n) { return (n + UNIT - 1) / UNIT * UNIT; }

static uint32_t n_ports(const nibrt_cuda_session *s) {
  return s->model->n_inputs + s->model->n_outputs;
}

/* ---- messages ---- */

/* "NAME: text" into s->error and to the caller. */
__attribute__((format(printf, 3, 4))) static nibrt_status
fail(nibrt_cuda_session *s, nibrt_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  const int n =
      snprintf(s->error, sizeof s->error, "%s: ", s->model->name ? s->model->name : "model");
  if (n > 0 && (size_t)n < sizeof s->error)
    vsnprintf(s->error + n, sizeof s->error - (size_t)n, format, list);
  va_end(list);
  if (s->options.message)
    s->options.message(s->options.user, s->error);
  return status;
}

/* Whether a call succeeded; else a message in the driver's words: what was being done, and to what.
 */
static nibrt_status check(nibrt_cuda_session *s, result r, const char *doing, const char *what) {
  if (r == SUCCESS)
    return NIBRT_OK;
  const char *name = NULL, *text = NULL;
  s->cu.cuGetErrorName(r, &name);
  s->cu.cuGetErrorString(r, &text);
  return fail(s, NIBRT_ERROR_DEVICE, "%s%s%s: %s (%s, %d)", doing, what ? " " : "",
              what ? what : "", text ? text : "unknown error", name ? name : "CUDA_ERROR", r);
}

#define TRY(expression)                                                                            \
  do {                                                                                             \
    const nibrt_status status_ = (expression);                                                     \
    if (status_ != NIBRT_OK)                                                                       \
      return status_;                                                                              \
  } while (0)

const char *nibrt_cuda_error(const nibrt_cuda_session *s) { return s ? s->error : ""; }

const nibrt_cuda_model *nibrt_cuda_model_of(const nibrt_cuda_session *s) { return s->model; }

/* ---- opening ---- */

static int find_entry(nibrt_cuda_session *s, const char *name, void *out) {
  void *const symbol = dlsym(s->cu.library, name);
  memcpy(out, &symbol, sizeof symbol);
  return symbol != NULL;
}

static nibrt_status load_driver(nibrt_cuda_session *s) {
  int flags = RTLD_NOW | RTLD_LOCAL;
#ifdef RTLD_NODELETE
  flags |= RTLD_NODELETE; /* the driver's threads outlive its users */
#endif
  s->cu.library = dlopen("libcuda.so.1", flags);
  if (!s->cu.library)
    return fail(s, NIBRT_ERROR_DEVICE, "no CUDA driver: %s", dlerror());
#define X(name, parameters)                                                                        \
  if (!find_entry(s, #name, &s->cu.name))                                                          \
    return fail(s, NIBRT_ERROR_DEVICE, "the CUDA driver is too old: it has no " #name);
  NEEDED(X)
#undef X
#define X(name, parameters) find_entry(s, #name, &s->cu.name);
  OPTIONAL(X)
#undef X
  return check(s, s->cu.cuInit(0), "starting the CUDA driver", NULL);
}

/* "sm_90a" runs on capability 9.0 alone, "sm_80" on 8.0 and later ones. Whether the module has code
 * for the device is the driver's to say; this message is clearer where it can be given. */
static nibrt_status check_target(nibrt_cuda_session *s) {
  const char *target = s->model->target;
  char *end = NULL;
  const long wanted = target && strncmp(target, "sm_", 3) == 0 ? strtol(target + 3, &end, 10) : 0;
  int major = 0, minor = 0;
  char name[128] = "";
  TRY(check(s, s->cu.cuDeviceGetAttribute(&major, ATTRIBUTE_CAPABILITY_MAJOR, s->dev),
            "asking for the device's capability", NULL));
  TRY(check(s, s->cu.cuDeviceGetAttribute(&minor, ATTRIBUTE_CAPABILITY_MINOR, s->dev),
            "asking for the device's capability", NULL));
  const long have = major * 10 + minor;
  if (wanted <= 0 || (*end == 'a' ? have == wanted : have >= wanted))
    return NIBRT_OK;
  s->cu.cuDeviceGetName(name, (int)sizeof name, s->dev);
  return fail(s, NIBRT_ERROR_DEVICE, "compiled for %s, device %u is sm_%ld (%s)", target,
              s->options.ordinal, have, name);
}

static nibrt_status open_device(nibrt_cuda_session *s) {
  char ordinal[24];
  snprintf(ordinal, sizeof ordinal, "%u", s->options.ordinal);
  TRY(check(s, s->cu.cuDeviceGet(&s->dev, (int)s->options.ordinal), "finding device", ordinal));
  TRY(check_target(s));
  context ctx = NULL;
  TRY(check(s, s->cu.cuDevicePrimaryCtxRetain(&ctx, s->dev), "opening device", ordinal));
  s->ctx = ctx;
  return NIBRT_OK;
}

static nibrt_status load_module(nibrt_cuda_session *s) {
  int options[] = {JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_BYTES};
  void *values[] = {s->log, (void *)(uintptr_t)(sizeof s->log - 1)};
  const result r = s->cu.cuModuleLoadDataEx(&s->mod, s->model->image, 2, options, values);
  s->log[sizeof s->log - 1] = 0;
  for (size_t n = strlen(s->log); n && (s->log[n - 1] == '\n' || s->log[n - 1] == ' ');)
    s->log[--n] = 0;
  char what[sizeof s->log + 64];
  snprintf(what, sizeof what, "for %s%s%s", s->model->target ? s->model->target : "its target",
           s->log[0] ? ": " : "", s->log);
  return check(s, r, "loading the module", what);
}

/* The largest dynamic shared memory of all launches of that function. */
static uint32_t most_shared(const nibrt_cuda_model *m, const char *name) {
  uint32_t most = 0;
  for (uint32_t i = 0; i < m->n_launches; ++i)
    if (m->launches[i].function && m->launches[i].shared_bytes > most &&
        strcmp(m->launches[i].function, name) == 0)
      most = m->launches[i].shared_bytes;
  return most;
}

static nibrt_status find_functions(nibrt_cuda_session *s) {
  for (uint32_t i = 0; i < s->model->n_launches; ++i) {
    const nibrt_cuda_launch *l = &s->model->launches[i];
    if (!l->function)
      continue;
    TRY(check(s, s->cu.cuModuleGetFunction(&s->functions[i], s->mod, l->function), "finding kernel",
              l->function));
    if (s->cu.cuFuncLoad) /* now, not while a run is captured */
      TRY(check(s, s->cu.cuFuncLoad(s->functions[i]), "loading kernel", l->function));
    if (l->shared_bytes) /* beyond 48 KB it must be asked for */
      TRY(check(s,
                s->cu.cuFuncSetAttribute(s->functions[i], FUNCTION_MAX_DYNAMIC_SHARED,
                                         (int)most_shared(s->model, l->function)),
                "asking for the shared memory of kernel", l->function));
  }
  return NIBRT_OK;
}

static nibrt_status allocate(nibrt_cuda_session *s, address *out, uint64_t bytes,
                             const char *what) {
  char text[96];
  address at = 0;
  snprintf(text, sizeof text, "%llu bytes of device memory for %s", (unsigned long long)bytes,
           what);
  TRY(check(s, s->cu.cuMemAlloc_v2(&at, (size_t)(bytes ? bytes : 1)), "allocating", text));
  *out = at;
  return NIBRT_OK;
}

static nibrt_status upload(nibrt_cuda_session *s) {
  const nibrt_cuda_model *m = s->model;
  TRY(allocate(s, &s->weights, m->weights_bytes, "weights"));
  TRY(allocate(s, &s->arena, m->arena_bytes, "the arena"));
  if (!m->weights_bytes)
    return NIBRT_OK;
  result r = s->cu.cuMemcpyHtoDAsync_v2(s->weights, m->weights, (size_t)m->weights_bytes, s->own);
  if (r == SUCCESS)
    r = s->cu.cuStreamSynchronize(s->own);
  return check(s, r, "uploading the weights", NULL);
}

/* Memory of the host for `n` things of `size` bytes, zeros. */
static void *zeros(size_t n, size_t size) { return calloc(n ? n : 1, size); }

static nibrt_status make_tables(nibrt_cuda_session *s) {
  const nibrt_cuda_model *m = s->model;
  const size_t ports = n_ports(s);
  uint32_t most = 0;
  for (uint32_t i = 0; i < m->n_launches; ++i)
    most = m->launches[i].n_args > most ? m->launches[i].n_args : most;
  s->functions = zeros(m->n_launches, sizeof *s->functions);
  s->offsets = zeros(ports, sizeof *s->offsets);
  s->now = zeros(ports + 1, sizeof *s->now);
  s->staged = zeros(ports, sizeof *s->staged);
  s->values = zeros(most, sizeof *s->values);
  s->arguments = zeros(most, sizeof *s->arguments);
  s->maps = aligned_alloc(_Alignof(tensor_map), sizeof(tensor_map) * (m->n_maps + 1u));
  int ok =
      s->functions && s->offsets && s->now && s->staged && s->values && s->arguments && s->maps;
  for (int i = 0; i < MOST_GRAPHS; ++i) {
    s->graphs[i].key = zeros(ports + 1, sizeof(address));
    ok = ok && s->graphs[i].key;
  }
  if (!ok)
    return fail(s, NIBRT_ERROR_DEVICE, "out of host memory");
  for (size_t i = 0; i < ports; ++i) {
    s->offsets[i] = s->staging_bytes;
    s->staging_bytes +=
        round_up(i < m->n_inputs ? m->input_bytes[i] : m->output_bytes[i - m->n_inputs]);
  }
  if (m->n_maps && !s->cu.cuTensorMapEncodeTiled)
    return fail(s, NIBRT_ERROR_DEVICE,
                "the CUDA driver is too old: it has no cuTensorMapEncodeTiled");
  for (uint32_t i = 0; i < m->n_launches; ++i)
    if (m->launches[i].cluster && !s->cu.cuLaunchKernelEx)
      return fail(s, NIBRT_ERROR_DEVICE, "the CUDA driver is too old: it has no cuLaunchKernelEx");
  return NIBRT_OK;
}

static nibrt_status enter(nibrt_cuda_session *s) {
  return check(s, s->cu.cuCtxPushCurrent_v2(s->ctx), "entering the device's context", NULL);
}

static void leave(nibrt_cuda_session *s) {
  context before;
  s->cu.cuCtxPopCurrent_v2(&before);
}

static nibrt_status open_in_context(nibrt_cuda_session *s) {
  TRY(check(s, s->cu.cuStreamCreate(&s->own, STREAM_NON_BLOCKING), "making a stream", NULL));
  s->run = s->options.stream ? s->options.stream : s->own;
  TRY(load_module(s));
  TRY(find_functions(s));
  return upload(s);
}

static nibrt_status open_session(nibrt_cuda_session *s) {
  TRY(load_driver(s));
  TRY(open_device(s));
  TRY(make_tables(s));
  TRY(enter(s));
  const nibrt_status status = open_in_context(s);
  leave(s);
  return status;
}

/* Frees what is held, in any state that opening can stop in. */
static void release(nibrt_cuda_session *s) {
  if (s->ctx && s->cu.cuCtxPushCurrent_v2(s->ctx) == SUCCESS) {
    if (s->runs)
      s->cu.cuStreamSynchronize(s->run);
    for (int i = 0; i < MOST_GRAPHS; ++i)
      if (s->graphs[i].exec)
        s->cu.cuGraphExecDestroy(s->graphs[i].exec);
    const address device_memory[] = {s->weights, s->arena, s->staging};
    for (int i = 0; i < 3; ++i)
      if (device_memory[i])
        s->cu.cuMemFree_v2(device_memory[i]);
    if (s->pinned)
      s->cu.cuMemFreeHost(s->pinned);
    if (s->mod)
      s->cu.cuModuleUnload(s->mod);
    if (s->own)
      s->cu.cuStreamDestroy_v2(s->own);
    leave(s);
  }
  if (s->ctx)
    s->cu.cuDevicePrimaryCtxRelease_v2(s->dev);
  if (s->cu.library)
    dlclose(s->cu.library);
  for (int i = 0; i < MOST_GRAPHS; ++i)
    free(s->graphs[i].key);
  free(s->functions);
  free(s->offsets);
  free(s->now);
  free(s->staged);
  free(s->values);
  free(s->arguments);
  free(s->maps);
  free(s);
}

nibrt_status nibrt_cuda_open(const nibrt_cuda_model *model, const nibrt_cuda_options *options,
                             nibrt_cuda_session **out_session) {
  if (!out_session)
    return NIBRT_ERROR_NULL_ARGUMENT;
  *out_session = NULL;
  if (!model || !model->image)
    return NIBRT_ERROR_NULL_ARGUMENT;
  nibrt_cuda_session *s = calloc(1, sizeof *s);
  if (!s)
    return NIBRT_ERROR_DEVICE;
  s->model = model;
  if (options) /* fields that the caller does not know stay 0 */
    memcpy(&s->options, options,
           options->size < sizeof s->options ? options->size : sizeof s->options);
  const nibrt_status status = open_session(s);
  if (status == NIBRT_OK)
    *out_session = s;
  else
    release(s);
  return status;
}

void nibrt_cuda_close(nibrt_cuda_session *s) {
  if (s)
    release(s);
}

/* ---- addresses of a run ---- */

static uint64_t port_bytes(const nibrt_cuda_session *s, uint32_t port) {
  return port < s->model->n_inputs ? s->model->input_bytes[port]
                                   : s->model->output_bytes[port - s->model->n_inputs];
}

/* "in[0]" */
static void port_name(const nibrt_cuda_session *s, uint32_t port, char *out, size_t size) {
  const uint32_t n = s->model->n_inputs;
  snprintf(out, size, port < n ? "in[%u]" : "out[%u]", port < n ? port : port - n);
}

static nibrt_status make_staging(nibrt_cuda_session *s) {
  void *at = NULL;
  if (!s->staging)
    TRY(allocate(s, &s->staging, s->staging_bytes, "inputs and outputs"));
  if (!s->pinned) {
    TRY(check(s, s->cu.cuMemAllocHost_v2(&at, (size_t)s->staging_bytes), "allocating",
              "pinned memory for inputs and outputs"));
    s->pinned = at;
  }
  return NIBRT_OK;
}

/* Where an input or output is on the device: the pointer itself, or its place in `staging`. */
static nibrt_status place_port(nibrt_cuda_session *s, uint32_t port, const void *pointer) {
  char name[24];
  port_name(s, port, name, sizeof name);
  if (!pointer)
    return fail(s, NIBRT_ERROR_NULL_ARGUMENT, "%s is NULL", name);
  const address at = (address)(uintptr_t)pointer;
  unsigned type = 0;
  int ordinal = 0, attributes[] = {POINTER_MEMORY_TYPE, POINTER_DEVICE_ORDINAL};
  void *values[] = {&type, &ordinal};
  /* Memory that CUDA does not know, which is the host's, has type 0. */
  TRY(check(s, s->cu.cuPointerGetAttributes(2, attributes, values, at),
            "asking about the memory of", name));
  if (type <= MEMORY_HOST) {
    s->staged[port] = 1;
    TRY(make_staging(s));
    s->now[port] = s->staging + s->offsets[port];
    return NIBRT_OK;
  }
  s->staged[port] = 0;
  s->now[port] = at;
  if (ordinal != (int)s->options.ordinal)
    return fail(s, NIBRT_ERROR_DEVICE,
                "%s is in the memory of device %d, the model runs on device %u", name, ordinal,
                s->options.ordinal);
  if (at % DIRECT_ALIGNMENT)
    return fail(s, NIBRT_ERROR_ALIGNMENT, "%s is in device memory and not aligned to %d bytes",
                name, DIRECT_ALIGNMENT);
  return NIBRT_OK;
}

static nibrt_status place_all(nibrt_cuda_session *s, const void *const *in, void *const *out,
                              void *arena) {
  const nibrt_cuda_model *m = s->model;
  if (m->n_inputs && !in)
    return fail(s, NIBRT_ERROR_NULL_ARGUMENT, "in is NULL");
  if (m->n_outputs && !out)
    return fail(s, NIBRT_ERROR_NULL_ARGUMENT, "out is NULL");
  for (uint32_t i = 0; i < m->n_inputs; ++i)
    TRY(place_port(s, i, in[i]));
  for (uint32_t i = 0; i < m->n_outputs; ++i)
    TRY(place_port(s, m->n_inputs + i, out[i]));
  const address at = (address)(uintptr_t)arena;
  if (at % UNIT)
    return fail(s, NIBRT_ERROR_ALIGNMENT, "the arena is not aligned to %d bytes", UNIT);
  s->now[n_ports(s)] = at ? at : s->arena;
  return NIBRT_OK;
}

static address resolve(const nibrt_cuda_session *s, const nibrt_cuda_arg *a) {
  switch (a->place) {
  case NIBRT_CUDA_INPUT:
    return s->now[a->index] + a->offset;
  case NIBRT_CUDA_OUTPUT:
    return s->now[s->model->n_inputs + a->index] + a->offset;
  case NIBRT_CUDA_ARENA:
    return s->now[n_ports(s)] + a->offset;
  default:
    return s->weights + a->offset;
  }
}

static nibrt_status encode_maps(nibrt_cuda_session *s) {
  static const uint32_t every[5] = {1, 1, 1, 1, 1};
  for (uint32_t i = 0; i < s->model->n_maps; ++i) {
    const nibrt_cuda_map *m = &s->model->maps[i];
    char what[32];
    snprintf(what, sizeof what, "tensor map %u", i);
    TRY(check(s,
              s->cu.cuTensorMapEncodeTiled(&s->maps[i], (int)m->type, m->rank,
                                           (void *)(uintptr_t)resolve(s, &m->base), m->dims,
                                           m->strides_bytes, m->box, every, MAP_INTERLEAVE_NONE,
                                           (int)m->swizzle, (int)m->promote, MAP_FILL_ZEROS),
              "encoding", what));
  }
  return NIBRT_OK;
}

/* ---- work into a stream ---- */

static nibrt_status launch(nibrt_cuda_session *s, uint32_t index, stream to) {
  const nibrt_cuda_launch *l = &s->model->launches[index];
  if (!l->function) {
    const address from = resolve(s, &l->args[0]);
    if (l->n_args == 1)
      return check(s, s->cu.cuMemsetD8Async(from, 0, (size_t)l->bytes, to),
                   "clearing device memory", NULL);
    return check(s, s->cu.cuMemcpyDtoDAsync_v2(resolve(s, &l->args[1]), from, (size_t)l->bytes, to),
                 "copying device memory", NULL);
  }
  for (uint32_t i = 0; i < l->n_args; ++i) {
    const int is_map = l->args[i].place == NIBRT_CUDA_MAP;
    s->values[i] = is_map ? 0 : resolve(s, &l->args[i]);
    s->arguments[i] = is_map ? (void *)&s->maps[l->args[i].index] : (void *)&s->values[i];
  }
  const int overlaps = s->options.overlap && l->overlaps && s->cu.cuLaunchKernelEx && index &&
                       s->model->launches[index - 1].function; /* only what a kernel wrote */
  launch_attribute attributes[2];
  unsigned n = 0;
  if (l->cluster)
    attributes[n++] =
        (launch_attribute){.id = LAUNCH_CLUSTER_DIMENSION, .value = {l->cluster, 1, 1}};
  if (overlaps)
    attributes[n++] = (launch_attribute){.id = LAUNCH_BEFORE_THE_LAST_ENDS, .value = {1}};
  const launch_config c = {
      {l->grid[0], l->grid[1], l->grid[2]}, {l->threads, 1, 1}, l->shared_bytes, to, attributes, n};
  const result r =
      n ? s->cu.cuLaunchKernelEx(&c, s->functions[index], s->arguments, NULL)
        : s->cu.cuLaunchKernel(s->functions[index], l->grid[0], l->grid[1], l->grid[2], l->threads,
                               1, 1, l->shared_bytes, to, s->arguments, NULL);
  return check(s, r, "launching kernel", l->function);
}

/* Staged inputs, all launches, staged outputs. */
static nibrt_status enqueue(nibrt_cuda_session *s, stream to) {
  const uint32_t n = s->model->n_inputs, all = n_ports(s);
  TRY(encode_maps(s));
  for (uint32_t i = 0; i < n; ++i)
    if (s->staged[i])
      TRY(check(s,
                s->cu.cuMemcpyHtoDAsync_v2(s->now[i], s->pinned + s->offsets[i],
                                           (size_t)port_bytes(s, i), to),
                "copying an input to the device", NULL));
  for (uint32_t i = 0; i < s->model->n_launches; ++i)
    TRY(launch(s, i, to));
  for (uint32_t i = n; i < all; ++i)
    if (s->staged[i])
      TRY(check(s,
                s->cu.cuMemcpyDtoHAsync_v2(s->pinned + s->offsets[i], s->now[i],
                                           (size_t)port_bytes(s, i), to),
                "copying an output from the device", NULL));
  return NIBRT_OK;
}

static nibrt_status capture(nibrt_cuda_session *s, graph *out) {
  *out = NULL;
  TRY(check(s, s->cu.cuStreamBeginCapture_v2(s->own, CAPTURE_RELAXED), "beginning to capture",
            NULL));
  const nibrt_status status = enqueue(s, s->own);
  const result ended = s->cu.cuStreamEndCapture(s->own, out); /* also after a failure */
  if (status == NIBRT_OK)
    return check(s, ended, "capturing the run as a graph", NULL);
  if (ended == SUCCESS && *out)
    s->cu.cuGraphDestroy(*out);
  return status;
}

/* Makes c->exec run `g`: an update where the driver can, for that is cheaper. */
static nibrt_status instantiate(nibrt_cuda_session *s, captured *c, graph g) {
  if (c->exec && s->cu.cuGraphExecUpdate_v2) {
    update_info info;
    memset(&info, 0, sizeof info);
    if (s->cu.cuGraphExecUpdate_v2(c->exec, g, &info) == SUCCESS)
      return NIBRT_OK;
  }
  if (c->exec) { /* it may still run in a stream of the caller's */
    TRY(check(s, s->cu.cuStreamSynchronize(s->run), "waiting for the run before", NULL));
    s->cu.cuGraphExecDestroy(c->exec);
    c->exec = NULL;
  }
  graph_exec made = NULL;
  TRY(check(s, s->cu.cuGraphInstantiateWithFlags(&made, g, 0), "instantiating the graph", NULL));
  c->exec = made;
  return NIBRT_OK;
}

/* The graph for the addresses of this run: captured before, or captured now in the place that was
 * used longest ago. */
static nibrt_status find_graph(nibrt_cuda_session *s, graph_exec *out) {
  const size_t key_bytes = (n_ports(s) + 1) * sizeof(address);
  captured *oldest = &s->graphs[0];
  for (int i = 0; i < MOST_GRAPHS; ++i) {
    captured *c = &s->graphs[i];
    if (c->exec && memcmp(c->key, s->now, key_bytes) == 0) {
      c->used = s->runs;
      *out = c->exec;
      return NIBRT_OK;
    }
    if (c->used < oldest->used)
      oldest = c;
  }
  graph g = NULL;
  memset(oldest->key, 0, key_bytes); /* no run's, until the graph is whole */
  TRY(capture(s, &g));
  const nibrt_status status = instantiate(s, oldest, g);
  s->cu.cuGraphDestroy(g);
  if (status != NIBRT_OK)
    return status;
  memcpy(oldest->key, s->now, key_bytes);
  oldest->used = s->runs;
  *out = oldest->exec;
  return NIBRT_OK;
}

/* ---- running ---- */

static nibrt_status run_in_context(nibrt_cuda_session *s, const void *const *in, void *const *out,
                                   void *arena) {
  const uint32_t n = s->model->n_inputs, all = n_ports(s);
  TRY(place_all(s, in, out, arena));
  int waits = s->run == s->own;
  for (uint32_t i = 0; i < all; ++i)
    waits |= s->staged[i];
  for (uint32_t i = 0; i < n; ++i)
    if (s->staged[i])
      memcpy(s->pinned + s->offsets[i], in[i], (size_t)port_bytes(s, i));
  ++s->runs;
  if (s->options.no_graph) {
    TRY(enqueue(s, s->run));
  } else {
    graph_exec g = NULL;
    TRY(find_graph(s, &g));
    TRY(check(s, s->cu.cuGraphLaunch(g, s->run), "launching the graph", NULL));
  }
  if (!waits)
    return NIBRT_OK;
  TRY(check(s, s->cu.cuStreamSynchronize(s->run), "running", NULL));
  for (uint32_t i = n; i < all; ++i)
    if (s->staged[i])
      memcpy(out[i - n], s->pinned + s->offsets[i], (size_t)port_bytes(s, i));
  return NIBRT_OK;
}

nibrt_status nibrt_cuda_run(nibrt_cuda_session *s, const void *const *in, void *const *out,
                            void *arena) {
  if (!s)
    return NIBRT_ERROR_NULL_ARGUMENT;
  s->error[0] = 0;
  TRY(enter(s));
  const nibrt_status status = run_in_context(s, in, out, arena);
  leave(s);
  return status;
}
