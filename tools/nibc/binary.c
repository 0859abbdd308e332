/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Compiling to a shared object, the cache of such objects, and loading them.
 *
 * The cache's key is the hash of everything the object depends on: the text of the generated files,
 * the compiler (path, size, date), its flags and nibc's version. An entry is the object with the
 * hash of its bytes behind it: a damaged one is compiled again, not loaded. */
#include "binary.h"
#include "count.h"
#include "cuda.h"
#include "file_io.h"
#include "lower.h"
#include "message.h"
#include "nibrt_abi.h"
#include "riscv.h"
#include "toolchain.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* $XDG_CACHE_HOME/nibble or ~/.cache/nibble, created; NULL without a message if there is none. */
static char *cache_dir(void) {
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  char *dir = xdg && xdg[0] == '/'     ? nibc_path_join(xdg, "nibble")
              : home && home[0] == '/' ? nibc_path_join(home, ".cache/nibble")
                                       : NULL;
  if (!dir)
    return NULL;
  for (char *at = dir + 1;; ++at) {
    const char end = *at;
    if (end && end != '/')
      continue;
    *at = 0;
    const bool made = mkdir(dir, 0777) == 0 || errno == EEXIST;
    *at = end;
    if (!made && access(dir, W_OK)) {
      free(dir);
      return NULL;
    }
    if (!end)
      break;
  }
  if (access(dir, W_OK | X_OK) == 0)
    return dir;
  free(dir);
  return NULL;
}

static int is_source(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return dot && (strcmp(dot, ".c") == 0 || strcmp(dot, ".h") == 0 || strcmp(dot, ".ll") == 0 ||
                 strcmp(dot, ".cu") == 0);
}

static nib_status hash_sources(const char *dir, XXH3_state_t *hash) {
  struct dirent **entries = NULL;
  const int n = scandir(dir, &entries, is_source, alphasort);
  nib_status status = n < 0 ? nibc_fail(NIB_ERROR_IO, "%s: %s", dir, strerror(errno)) : NIB_OK;
  for (int i = 0; i < n; ++i) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    char *path = nibc_path_join(dir, entries[i]->d_name);
    if (status == NIB_OK)
      status = path ? nibc_file_read(path, &bytes, &size)
                    : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
    if (status == NIB_OK) {
      XXH3_128bits_update(hash, entries[i]->d_name, strlen(entries[i]->d_name) + 1);
      XXH3_128bits_update(hash, &size, sizeof size);
      XXH3_128bits_update(hash, bytes, size);
    }
    free(bytes);
    free(path);
    free(entries[i]);
  }
  free(entries);
  return status;
}

/* "<32 hexadecimal digits>.so" */
static nib_status object_name(const char *dir, const nibc_compiler *compiler, const char *flags,
                              bool cuda, char **out_name) {
  XXH3_state_t *hash = XXH3_createState();
  if (!hash)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  struct stat info;
  memset(&info, 0, sizeof info);
  stat(compiler->path, &info);
  const int64_t identity[3] = {info.st_size, info.st_mtim.tv_sec, NIBRT_ABI_VERSION};
  XXH3_128bits_reset(hash);
  XXH3_128bits_update(hash, NIBC_VERSION, sizeof NIBC_VERSION);
  XXH3_128bits_update(hash, compiler->path, strlen(compiler->path) + 1);
  XXH3_128bits_update(hash, identity, sizeof identity);
  XXH3_128bits_update(hash, flags, strlen(flags) + 1);
  char *programs = cuda ? nibc_cuda_identity() : NULL;
  if (programs)
    XXH3_128bits_update(hash, programs, strlen(programs));
  free(programs);
  const nib_status status = hash_sources(dir, hash);
  const XXH128_hash_t digest = XXH3_128bits_digest(hash);
  XXH3_freeState(hash);
  if (status == NIB_OK)
    *out_name = nibc_format("%016llx%016llx.so", (unsigned long long)digest.high64,
                            (unsigned long long)digest.low64);
  return status == NIB_OK && !*out_name ? NIB_ERROR_OUT_OF_MEMORY : status;
}

/* Compiles the sources in `dir` into `dir`/model.so. */
static nib_status compile_shared(const nibc_session *s, const nibc_compiler *compiler,
                                 const char *flags, const char *dir, const char *output) {
  char *names[NIBC_MOST_SOURCES];
  const int n = nibc_session_sources(s, names);
  const char *sources[] = {names[0], names[1], names[2]};
  const double begin = nibc_step_begin(nibc_is_lowered(s->options) ? "compile" : "compile the C");
  const nib_status status =
      names[0] && names[n - 1]
          ? nibc_compiler_run(compiler, NIBC_SHARED, flags, dir, sources, n, output)
          : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  nibc_step_end(begin, status);
  for (int i = 0; i < NIBC_MOST_SOURCES; ++i)
    free(names[i]);
  return status;
}

/* Where the cache keeps the object; NULL when there is no cache. */
static nib_status cache_path(const nibc_session *s, const nibc_compiler *compiler,
                             const char *flags, const char *dir, char **out_path) {
  *out_path = NULL;
  char *cache = s->options->no_cache || s->options->dry_run ? NULL : cache_dir();
  char *name = NULL;
  const nib_status status = cache ? object_name(dir, compiler, flags, nib_target_is_cuda(&s->target), &name) : NIB_OK;
  if (name)
    *out_path = nibc_path_join(cache, name);
  free(name);
  free(cache);
  return status;
}

static bool is_intact(const char *path) {
  uint8_t *bytes = NULL;
  size_t size = 0;
  if (access(path, R_OK) || nibc_file_read(path, &bytes, &size) != NIB_OK)
    return false;
  XXH128_canonical_t hash;
  bool intact = size > sizeof hash;
  if (intact) {
    XXH128_canonicalFromHash(&hash, XXH3_128bits(bytes, size - sizeof hash));
    intact = memcmp(bytes + size - sizeof hash, &hash, sizeof hash) == 0;
  }
  free(bytes);
  return intact;
}

/* Puts a copy of `object` into the cache; a cache that cannot be written is passed over. */
static void store(const char *object, const char *path) {
  uint8_t *bytes = NULL, *entry = NULL;
  size_t size = 0;
  XXH128_canonical_t hash;
  if (nibc_file_read(object, &bytes, &size) == NIB_OK &&
      (entry = realloc(bytes, size + sizeof hash))) {
    bytes = entry;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(bytes, size));
    memcpy(bytes + size, &hash, sizeof hash);
    const int failure = nibc_file_replace(path, bytes, size + sizeof hash);
    if (failure && nibc_is_verbose())
      nibc_warn("the compiled object is not cached: %s: %s", path, strerror(failure));
  }
  free(bytes);
}

enum { BINDING = RTLD_NOW | RTLD_LOCAL };

/* Compiles and loads the object, and puts it into the cache as `cached` (NULL: no cache). */
static nib_status make_object(const nibc_session *s, const nibc_compiler *compiler,
                              const char *flags, nibc_binary *b, const char *cached) {
  char *path = nibc_path_join(b->kept, "model.so");
  if (!path)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  nibc_cuda_build build;
  nib_status status = NIB_OK;
  if (nib_target_is_cuda(&s->target)) {
    status = nibc_cuda_compile(s, b->kept, NIBC_CUDA_IMAGE, &build);
    nibc_cuda_build_free(&build);
  }
  if (status == NIB_OK)
    status = compile_shared(s, compiler, flags, b->kept, "model.so");
  if (status == NIB_OK && cached)
    store(path, cached);
  if (status == NIB_OK && !(b->handle = dlopen(path, BINDING)))
    status = nibc_fail(NIB_ERROR_IO, "cannot load the compiled model: %s", dlerror());
  free(path);
  return status;
}

static void *find(const nibc_binary *b, const char *format, const char *name) {
  char symbol[256];
  snprintf(symbol, sizeof symbol, format, name);
  void *address = dlsym(b->handle, symbol);
  if (!address)
    nibc_error("the compiled model has no symbol %s", symbol);
  return address;
}

static void say(void *user, const char *text) {
  (void)user;
  nibc_error("%s", text);
}

/* A session of the model's own runtime, which is in the object. */
static nib_status open_device(const nibc_session *s, nibc_binary *b) {
  nibrt_status (*open)(const nibrt_cuda_model *, const nibrt_cuda_options *, nibrt_cuda_session **);
  void *const model = find(b, "%s_cuda", s->name);
  void *const addresses[] = {find(b, "nibrt_cuda_open%s", ""), find(b, "nibrt_cuda_close%s", "")};
  if (!model || !addresses[0] || !addresses[1])
    return NIB_ERROR_INTERNAL;
  memcpy(&open, &addresses[0], sizeof open);
  memcpy(&b->close_device, &addresses[1], sizeof b->close_device);
  const nibrt_cuda_options options = {.size = sizeof options, .message = say};
  if (open(model, &options, &b->device) == NIBRT_OK)
    return NIB_OK;
  return nibc_error_count() ? NIB_ERROR_IO : nibc_fail(NIB_ERROR_IO, "the device cannot be opened");
}

static nib_status prepare(const nibc_session *s, nibc_binary *b) {
  void *address = find(b, "%s_run", s->name);
  if (!address)
    return NIB_ERROR_INTERNAL;
  memcpy(&b->run, &address, sizeof address);
  if (nib_target_is_cuda(&s->target))
    return open_device(s, b);
  const size_t bytes = s->planned->arena_bytes > 0 ? (size_t)s->planned->arena_bytes : 1;
  const size_t unit = NIBRT_ARENA_ALIGNMENT;
  b->arena = aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
  const int64_t threads = s->options->threads;
  if (threads > 1 && !(b->pool = nibrt_pool_create((uint32_t)threads)))
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "%lld threads cannot be started", (long long)threads);
  return b->arena ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory for the arena");
}

/* Whether code for the target can run on this machine; a message if not. */
static nib_status check_runs_here(const nibc_session *s) {
  if (nib_target_is_cuda(&s->target))
    return nibc_cuda_check_driver(s);
  if (nib_target_runs_here(&s->target))
    return NIB_OK;
  return nibc_fail(NIB_ERROR_INVALID_INPUT,
                   "this processor cannot run code for '%s' (see `nibc targets`)", s->target.spec);
}

/* A program in an emulator; it is not cached. */
static nib_status load_emulated(nibc_session *s, nibc_binary *b) {
  char *emulator = nibc_riscv_emulator(s), *plugin = NULL;
  nib_text command;
  nib_text_init(&command);
  nib_status status = emulator ? nibc_dir_temporary(NULL, &b->kept) : NIB_ERROR_IO;
  if (status == NIB_OK)
    status = nibc_session_emit(s, b->kept);
  if (status == NIB_OK)
    status = nibc_riscv_link(s, b->kept);
  if (status == NIB_OK && s->options->count)
    status = nibc_count_plan(s, b->kept, &plugin);
  if (status == NIB_OK && !s->options->dry_run) {
    nibc_riscv_command(s, emulator, b->kept, plugin, &command);
    status = command.failed ? nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory")
                            : nibc_emulator_start(s, command.data, &b->emulator);
  }
  nib_text_free(&command);
  free(plugin);
  free(emulator);
  if (status != NIB_OK)
    nibc_binary_unload(b);
  return status;
}

nib_status nibc_binary_load(nibc_session *s, nibc_binary *b) {
  memset(b, 0, sizeof *b);
  if (nib_target_is_riscv(&s->target))
    return load_emulated(s, b);
  NIB_RETURN_IF_ERROR(check_runs_here(s));
  nibc_compiler compiler;
  NIB_RETURN_IF_ERROR(nibc_compiler_find(&compiler));
  char *flags = nibc_compiler_flags(&s->target, s->options->size), *path = NULL;
  nib_status status = flags ? nibc_dir_temporary(NULL, &b->kept) : NIB_ERROR_OUT_OF_MEMORY;
  if (status == NIB_OK)
    status = nibc_session_emit(s, b->kept);
  if (status == NIB_OK)
    status = cache_path(s, &compiler, flags, b->kept, &path);
  if (status == NIB_OK && path && is_intact(path) && (b->handle = dlopen(path, BINDING))) {
    if (nibc_is_verbose())
      nibc_say(NIB_NOTE, "compiled object found in the cache");
  } else if (status == NIB_OK) {
    status = make_object(s, &compiler, flags, b, path);
  }
  if (status == NIB_OK)
    status = prepare(s, b);
  free(path);
  free(flags);
  nibc_compiler_free(&compiler);
  if (status != NIB_OK)
    nibc_binary_unload(b);
  return status;
}

nib_status nibc_binary_run(const nibc_binary *b, const void *const *in, void *const *out) {
  if (b->emulator)
    return nibc_emulator_run(b->emulator, in, out, NULL, NULL);
  void *arenas[NIBRT_SPACE_COUNT] = {b->arena};
  nibrt_exec exec = {.size = sizeof exec, .version = NIBRT_ABI_VERSION};
  if (b->pool)
    nibrt_pool_exec(b->pool, &exec);
  exec.device = b->device;
  const nibrt_status result =
      b->run(b->pool || b->device ? &exec : NULL, in, out, b->device ? NULL : arenas);
  return result == NIBRT_OK
             ? NIB_OK
             : nibc_fail(NIB_ERROR_INTERNAL, "the compiled model returned error %d", (int)result);
}

void nibc_binary_unload(nibc_binary *b) {
  if (b->device)
    b->close_device(b->device);
  nibc_emulator_stop(b->emulator);
  nibrt_pool_destroy(b->pool);
  if (b->handle)
    dlclose(b->handle);
  free(b->arena);
  nibc_dir_remove(b->kept);
  free(b->kept);
  memset(b, 0, sizeof *b);
}
