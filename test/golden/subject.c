/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "golden/subject.h"

#include "import/import.h"
#include "nibrt_abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Buffers end in bytes that nobody may write. AddressSanitizer finds reads too, if they are exact. */
#if defined(__SANITIZE_ADDRESS__)
#define EXACT_BUFFERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_BUFFERS 1
#endif
#endif
#ifdef EXACT_BUFFERS
enum { GUARD_BYTES = 0, OUTPUT_GUARD_BYTES = 0, GRANULE = 1, GARBAGE = 0xA5 };
#else
enum { GUARD_BYTES = 4096, OUTPUT_GUARD_BYTES = 64, GRANULE = 64, GARBAGE = 0xA5 };
#endif

static void *allocate_aligned(size_t bytes) {
  void *buffer = NULL;
  return posix_memalign(&buffer, 64, bytes) ? NULL : buffer;
}

static void print_message(void *user, nib_severity severity, const char *message) {
  (void)user;
  if (severity != NIB_NOTE)
    fprintf(stderr, "%s\n", message);
}
const nib_diag golden_diag = {print_message, NULL};

unsigned char *golden_read_file(const char *path, size_t *out_size) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  unsigned char *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
  *out_size = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
  if (bytes)
    bytes[*out_size] = 0;
  fclose(file);
  return bytes;
}

nib_graph *golden_import(const char *path, const char *rounding) {
  size_t size = 0;
  unsigned char *bytes = golden_read_file(path, &size);
  nib_graph *g = NULL;
  char name[256];
  golden_stem(path, name, sizeof name);
  const nib_import_options options = {
      .model_name = name, .display_path = path, .rounding = rounding};
  const char *dot = strrchr(path, '.');
  const bool onnx = dot && !strcmp(dot, ".onnx");
  if (bytes && (onnx ? nib_import_onnx : nib_import_tflite)(bytes, size, &options, &g,
                                                            &golden_diag) != NIB_OK)
    g = NULL;
  if (!bytes)
    fprintf(stderr, "cannot read %s\n", path);
  free(bytes);
  return g;
}

void golden_stem(const char *path, char *out, size_t size) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const char *dot = strrchr(name, '.');
  snprintf(out, size, "%.*s", (int)(dot ? (size_t)(dot - name) : strlen(name)), name);
}

static size_t buffer_bytes(const nib_tensor *t) {
  return (nib_tensor_bytes(t) + GRANULE - 1) / GRANULE * GRANULE + OUTPUT_GUARD_BYTES;
}

static void **allocate_all(const nib_graph *g, const int32_t *tensors, int32_t n) {
  void **buffers = calloc((size_t)n + 1, sizeof *buffers);
  for (int32_t i = 0; buffers && i < n; ++i)
    buffers[i] = allocate_aligned(buffer_bytes(&g->tensors[tensors[i]]));
  return buffers;
}

static bool open_buffers(const nib_graph *g, golden_subject *out) {
  *out = (golden_subject){.graph = g};
  out->in = allocate_all(g, g->inputs, g->n_inputs);
  out->out = allocate_all(g, g->outputs, g->n_outputs);
  return out->in && out->out;
}

bool golden_open_reference(const nib_graph *g, golden_subject *out) {
  return open_buffers(g, out) && nib_reference_create(g, &out->reference, &golden_diag) == NIB_OK;
}

/* The number behind `#define NAME_ARENA_BYTES`. */
static bool read_arena_bytes(const char *header, const char *name, size_t *out) {
  char define[300];
  snprintf(define, sizeof define, "#define %s_ARENA_BYTES ", name);
  for (char *c = define + 8; *c; ++c)
    if (*c >= 'a' && *c <= 'z')
      *c = (char)(*c - 'a' + 'A');
  size_t size = 0;
  char *text = (char *)golden_read_file(header, &size);
  const char *at = text ? strstr(text, define) : NULL;
  if (at)
    *out = strtoull(at + strlen(define), NULL, 10);
  free(text);
  return at != NULL;
}

bool golden_open_library(const nib_graph *g, const char *library, const char *name,
                         const char *header, golden_subject *out) {
  char symbol[256];
  if (!open_buffers(g, out))
    return false;
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    fprintf(stderr, "%s\n", dlerror());
    return false;
  }
  snprintf(symbol, sizeof symbol, "%s_run", name);
  *(void **)&out->run = dlsym(handle, symbol);
  if (!out->run || !read_arena_bytes(header, name, &out->arena_bytes)) {
    fprintf(stderr, "%s: no %s, or no arena size in %s\n", library, symbol, header);
    return false;
  }
  out->arena = allocate_aligned(out->arena_bytes + GUARD_BYTES);
  return out->arena != NULL;
}

void golden_close(golden_subject *s) {
  for (int32_t i = 0; s->in && i < s->graph->n_inputs; ++i)
    free(s->in[i]);
  for (int32_t i = 0; s->out && i < s->graph->n_outputs; ++i)
    free(s->out[i]);
  free(s->in);
  free(s->out);
  free(s->arena);
  nib_reference_destroy(s->reference);
  *s = (golden_subject){0};
}

static bool run_reference(golden_subject *s) {
  const nib_graph *g = s->graph;
  if (nib_reference_run(s->reference, (const void *const *)s->in, &golden_diag) != NIB_OK)
    return false;
  for (int32_t i = 0; i < g->n_outputs; ++i)
    memcpy(s->out[i], nib_reference_tensor(s->reference, g->outputs[i]),
           nib_tensor_bytes(&g->tensors[g->outputs[i]]));
  return true;
}

static bool is_garbage(const unsigned char *bytes, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (bytes[i] != GARBAGE)
      return false;
  return true;
}

bool golden_run(golden_subject *s) {
  const nib_graph *g = s->graph;
  if (s->reference)
    return run_reference(s);
  memset(s->arena, GARBAGE, s->arena_bytes + GUARD_BYTES);
  for (int32_t i = 0; i < g->n_outputs; ++i)
    memset(s->out[i], GARBAGE, buffer_bytes(&g->tensors[g->outputs[i]]));
  void *arenas[NIBRT_SPACE_COUNT] = {s->arena};
  const nibrt_status status = s->run(NULL, (const void *const *)s->in, s->out, arenas);
  if (status != NIBRT_OK) {
    fprintf(stderr, "the library returned status %d\n", (int)status);
    return false;
  }
  bool intact = is_garbage(s->arena + s->arena_bytes, GUARD_BYTES);
  for (int32_t i = 0; i < g->n_outputs; ++i) {
    const nib_tensor *t = &g->tensors[g->outputs[i]];
    const size_t bytes = nib_tensor_bytes(t);
    intact &= is_garbage((unsigned char *)s->out[i] + bytes, buffer_bytes(t) - bytes);
  }
  if (!intact)
    fprintf(stderr, "the library wrote behind its arena or its outputs\n");
  return intact;
}
