/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "cuda.h"
#include "cuda/cuda_model.h"
#include "emit/text.h"
#include "file_io.h"
#include "message.h"
#include "toolchain.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- programs ---- */

/* In $PATH, in $CUDA_HOME/bin, or where the toolkit puts itself; NULL if nowhere. */
static char *find_tool(const char *name) {
  char *path = nibc_program_find(name);
  const char *home = getenv("CUDA_HOME");
  for (int i = 0; i < 2 && !path; ++i) {
    const char *folder = i ? "/usr/local/cuda" : home;
    char *candidate = folder && *folder ? nibc_format("%s/bin/%s", folder, name) : NULL;
    path = candidate ? nibc_program_find(candidate) : NULL;
    free(candidate);
  }
  return path;
}

/* $NIBC_PTXAS names another. */
static char *find_assembler(void) {
  const char *chosen = getenv("NIBC_PTXAS");
  return find_tool(chosen && *chosen ? chosen : "ptxas");
}

/* clang-22, else clang, else nvcc; $NIBC_CUDA_CC names another. */
static char *find_compiler(void) {
  static const char *const names[] = {"clang-22", "clang", "nvcc"};
  const char *chosen = getenv("NIBC_CUDA_CC");
  if (chosen && *chosen)
    return find_tool(chosen);
  char *path = NULL;
  for (size_t i = 0; !path && i < sizeof names / sizeof *names; ++i)
    path = find_tool(names[i]);
  return path;
}

static bool is_nvcc(const char *path) {
  const char *slash = strrchr(path, '/');
  return strncmp(slash ? slash + 1 : path, "nvcc", 4) == 0;
}

char *nibc_cuda_identity(void) {
  char *programs[] = {find_compiler(), find_assembler()};
  nib_text t;
  nib_text_init(&t);
  for (int i = 0; i < 2; ++i) {
    struct stat info = {0};
    if (programs[i])
      stat(programs[i], &info);
    nib_text_printf(&t, "%s %lld %lld;", programs[i] ? programs[i] : "", (long long)info.st_size,
                    (long long)info.st_mtim.tv_sec);
    free(programs[i]);
  }
  return t.data;
}

/* ---- NAME.cu to NAME.ptx ---- */

/* The oldest version of PTX that has all instructions of a target: the older it is, the older a
 * driver takes it. */
static const struct {
  const char *target;
  int ptx;
} versions[] = {{"sm_80", 80},  {"sm_86", 80},  {"sm_89", 84},
                {"sm_90a", 84}, {"sm_100", 86}, {"sm_120", 87}};

static int ptx_version(const char *target) {
  for (size_t i = 0; i < sizeof versions / sizeof *versions; ++i)
    if (strcmp(versions[i].target, target) == 0)
      return versions[i].ptx;
  return 80;
}

static nib_status run(const char *dir, const char *const *argv, const char *what,
                      char **out_messages) {
  const nib_status status = nibc_program_run(dir, argv, out_messages);
  if (status == NIB_OK)
    return NIB_OK;
  if (*out_messages)
    fprintf(stderr, "%s", *out_messages);
  free(*out_messages);
  *out_messages = NULL;
  return nibc_fail(status, "%s failed on %s", argv[0], what);
}

static nib_status make_ptx(const nibc_session *s, const char *dir, const char *source,
                           const char *output) {
  char *compiler = find_compiler();
  if (!compiler)
    return nibc_fail(
        NIB_ERROR_IO,
        "no compiler for CUDA found (%s); install clang-22, or name one in NIBC_CUDA_CC",
        getenv("NIBC_CUDA_CC") ? getenv("NIBC_CUDA_CC") : "clang-22, clang, nvcc");
  const char *target = s->target.cpu;
  char *arch = nibc_format(is_nvcc(compiler) ? "-arch=%s" : "--cuda-gpu-arch=%s", target);
  char *version = nibc_format("--cuda-feature=+ptx%d", ptx_version(target));
  const char *const by_clang[] = {compiler,
                                  "-x",
                                  "cuda",
                                  "--cuda-device-only",
                                  "-nocudainc",
                                  "-nocudalib",
                                  arch,
                                  version,
                                  "-O3",
                                  "-ffp-contract=off",
                                  "-Wno-unknown-cuda-version",
                                  "-S",
                                  source,
                                  "-o",
                                  output,
                                  NULL};
  const char *const by_nvcc[] = {compiler, "-ptx", arch,   "-O3", "-fmad=false",
                                 source,   "-o",   output, NULL};
  char *messages = NULL;
  nib_status status =
      arch && version ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  const double begin = nibc_step_begin("compile the CUDA C");
  if (status == NIB_OK)
    status = run(dir, is_nvcc(compiler) ? by_nvcc : by_clang, "the generated CUDA C", &messages);
  nibc_step_end(begin, status);
  free(messages);
  free(arch);
  free(version);
  free(compiler);
  return status;
}

/* ---- NAME.ptx to NAME.cubin, and what ptxas says ---- */

static nibc_cuda_kernel *add_kernel(nibc_cuda_build *b, const char *name, size_t size) {
  nibc_cuda_kernel *grown = realloc(b->kernels, ((size_t)b->n + 1) * sizeof *grown);
  if (!grown)
    return NULL;
  b->kernels = grown;
  nibc_cuda_kernel *k = &grown[b->n++];
  memset(k, 0, sizeof *k);
  snprintf(k->name, sizeof k->name, "%.*s", (int)size, name);
  return k;
}

/* The number before `word` in a line: "32 registers". 0 if there is none. */
static int64_t number_before(const char *line, size_t size, const char *word) {
  const size_t n = strlen(word);
  for (size_t i = 1; i + n <= size; ++i) {
    if (line[i] != ' ' || strncmp(line + i, word, n) != 0)
      continue;
    size_t first = i;
    while (first > 0 && line[first - 1] >= '0' && line[first - 1] <= '9')
      --first;
    return first < i ? strtoll(line + first, NULL, 10) : 0;
  }
  return 0;
}

static bool is_note(const char *line, size_t size) {
  static const char *const notes[] = {"C7508", "C7517", "C7519", "Potential Performance Loss"};
  for (size_t k = 0; k < sizeof notes / sizeof *notes; ++k) {
    const size_t n = strlen(notes[k]);
    for (size_t i = 0; i + n <= size; ++i)
      if (strncmp(line + i, notes[k], n) == 0)
        return true;
  }
  return false;
}

__attribute__((format(printf, 2, 3))) static nib_status complain(const nibc_session *s,
                                                                 const char *format, ...) {
  char text[1024];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (s->options->no_fallback)
    return nibc_fail(NIB_ERROR_LIMIT, "%s", text);
  nibc_warn("%s", text);
  return NIB_OK;
}

/* Reads the output of ptxas -v. */
static nib_status read_properties(const nibc_session *s, const char *text, nibc_cuda_build *b) {
  static const char entry[] = "Compiling entry function '";
  nibc_cuda_kernel *k = NULL;
  nib_status status = NIB_OK;
  for (const char *line = text; *line;) {
    const size_t size = strcspn(line, "\n");
    const char *at = strstr(line, entry);
    if (at && at < line + size) {
      at += sizeof entry - 1;
      k = add_kernel(b, at, strcspn(at, "'\n"));
    } else if (is_note(line, size)) {
      const nib_status noted = complain(s, "%.*s", (int)size, line);
      status = noted != NIB_OK ? noted : status;
    } else if (k) {
      k->spill_bytes += number_before(line, size, " bytes spill stores") +
                        number_before(line, size, " bytes spill loads");
      const int64_t registers = number_before(line, size, " registers");
      k->registers = registers ? (int32_t)registers : k->registers;
      k->shared_bytes += number_before(line, size, " bytes smem");
    }
    line += size + (line[size] == '\n');
  }
  for (int i = 0; i < b->n; ++i)
    if (b->kernels[i].spill_bytes) {
      const nib_status spilled =
          complain(s, "kernel %s spills: %lld bytes of registers go through memory",
                   b->kernels[i].name, (long long)b->kernels[i].spill_bytes);
      status = spilled != NIB_OK ? spilled : status;
    }
  return status;
}

static nib_status make_cubin(const nibc_session *s, const char *assembler, const char *dir,
                             const char *source, const char *output, nibc_cuda_build *b) {
  char *arch = nibc_format("-arch=%s", s->target.cpu), *messages = NULL;
  const char *const argv[] = {assembler, "-v", arch, "-O3", source, "-o", output, NULL};
  nib_status status = arch ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  const double begin = nibc_step_begin("assemble");
  if (status == NIB_OK)
    status = run(dir, argv, "the PTX of the model", &messages);
  nibc_step_end(begin, status);
  if (status == NIB_OK && messages)
    status = read_properties(s, messages, b);
  free(messages);
  free(arch);
  return status;
}

/* The cubin and, for devices to come, the PTX in one file. What is compiled for one device alone
 * (sm_90a) needs no such thing, and without `fatbinary` the cubin does: *out_made is then false. */
static nib_status make_fatbin(const nibc_session *s, const char *dir, const char *ptx,
                              const char *cubin, const char *output, bool *out_made) {
  const char *target = s->target.cpu;
  char *tool = target[strlen(target) - 1] == 'a' ? NULL : find_tool("fatbinary");
  *out_made = tool != NULL;
  if (!tool)
    return NIB_OK;
  char *create = nibc_format("--create=%s", output), *messages = NULL;
  char *elf = nibc_format("--image3=kind=elf,sm=%s,file=%s", target + 3, cubin);
  char *text = nibc_format("--image3=kind=ptx,sm=%s,file=%s", target + 3, ptx);
  const char *const argv[] = {tool, "--64", create, elf, text, NULL};
  const nib_status status = create && elf && text
                                ? run(dir, argv, "the cubin of the model", &messages)
                                : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  free(messages);
  free(text);
  free(elf);
  free(create);
  free(tool);
  return status;
}

const nibc_cuda_kernel *nibc_cuda_find(const nibc_session *s, int32_t index,
                                       const nibc_cuda_build *b) {
  char symbol[256];
  nib_model_kernel_symbol(s->planned, s->name, index, symbol, sizeof symbol);
  for (int i = 0; i < b->n; ++i)
    if (strcmp(b->kernels[i].name, symbol) == 0)
      return &b->kernels[i];
  return NULL;
}

nib_status nibc_cuda_launch(const nibc_session *s, int32_t index, nib_launch *out) {
  const nib_model_options options = {
      .name = s->name, .target = &s->target, .size = s->options->size};
  nib_constants *constants = nib_constants_create(s->name, NIB_WEIGHTS_BLOB);
  nib_text text;
  nib_text_init(&text);
  const nib_status status = constants ? nib_cuda_kernel_write(s->planned, &options, index,
                                                              constants, &text, out, nibc_diag())
                                      : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  nib_text_free(&text);
  nib_constants_destroy(constants);
  return status;
}

void nibc_cuda_build_free(nibc_cuda_build *b) {
  free(b->kernels);
  *b = (nibc_cuda_build){.ptx_bytes = -1, .cubin_bytes = -1};
}

/* ---- the image in C ---- */

static void write_image(const nibc_session *s, const char *kind, const uint8_t *bytes, size_t size,
                        nib_text *t) {
  const size_t words = (size + 8) / 8; /* with at least one zero behind */
  nib_text_printf(t,
                  "\n/* The kernels of %s.cu: %s. */\nextern const uint64_t %s_image[%zu];\n"
                  "_Alignas(64) const uint64_t %s_image[%zu] = {",
                  s->name, kind, s->name, words, s->name, words);
  for (size_t w = 0; w < words; ++w) {
    uint64_t word = 0;
    for (size_t i = 0; i < 8 && w * 8 + i < size; ++i)
      word |= (uint64_t)bytes[w * 8 + i] << i * 8;
    nib_text_printf(t, "%s0x%llx,", w % 6 ? " " : "\n  ", (unsigned long long)word);
  }
  nib_text_printf(t, "\n};\n");
}

/* Appends the bytes of `image` to NAME_weights.c. */
static nib_status embed(const nibc_session *s, const char *dir, const char *image,
                        const char *kind) {
  char *name = nibc_format("%s_weights.c", s->name), *from = nibc_path_join(dir, image);
  char *to = name ? nibc_path_join(dir, name) : NULL;
  uint8_t *bytes = NULL;
  size_t size = 0;
  nib_text t;
  nib_text_init(&t);
  nib_status status = from && to ? nibc_file_read(from, &bytes, &size)
                                 : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  if (status == NIB_OK) {
    write_image(s, kind, bytes, size, &t);
    FILE *file = t.failed ? NULL : fopen(to, "ab");
    const bool written = file && fwrite(t.data, 1, t.size, file) == t.size;
    if (!file || fclose(file) || !written)
      status = nibc_fail(NIB_ERROR_IO, "%s: the kernels cannot be written", to);
  }
  nib_text_free(&t);
  free(bytes);
  free(from);
  free(to);
  free(name);
  return status;
}

static int64_t file_bytes(const char *dir, const char *file) {
  char *path = nibc_path_join(dir, file);
  struct stat info;
  const bool there = path && stat(path, &info) == 0;
  free(path);
  return there ? (int64_t)info.st_size : -1;
}

static void remove_file(const char *dir, const char *file) {
  char *path = nibc_path_join(dir, file);
  if (path)
    unlink(path);
  free(path);
}

/* The files on the way. */
typedef struct names {
  char *source, *ptx, *cubin, *fatbin;
} names;

static nib_status embed_image(const nibc_session *s, const char *dir, const names *n,
                              bool has_cubin) {
  bool is_fatbin = false;
  if (has_cubin)
    NIB_RETURN_IF_ERROR(make_fatbin(s, dir, n->ptx, n->cubin, n->fatbin, &is_fatbin));
  const nib_status status = is_fatbin
                                ? embed(s, dir, n->fatbin, "a cubin, and PTX for later devices")
                            : has_cubin ? embed(s, dir, n->cubin, "a cubin")
                                        : embed(s, dir, n->ptx, "PTX, which the driver compiles");
  if (is_fatbin)
    remove_file(dir, n->fatbin);
  return status;
}

static nib_status build(const nibc_session *s, const char *dir, nibc_cuda_step last, const names *n,
                        nibc_cuda_build *b) {
  NIB_RETURN_IF_ERROR(make_ptx(s, dir, n->source, n->ptx));
  b->ptx_bytes = file_bytes(dir, n->ptx);
  char *assembler = find_assembler();
  if (!assembler && last == NIBC_CUDA_CUBIN)
    return nibc_fail(
        NIB_ERROR_IO,
        "--emit=cubin needs ptxas of the CUDA toolkit, which is neither in PATH nor in "
        "CUDA_HOME; --emit=ptx does not");
  nib_status status = NIB_OK;
  if (assembler) {
    status = make_cubin(s, assembler, dir, n->ptx, n->cubin, b);
    b->cubin_bytes = status == NIB_OK ? file_bytes(dir, n->cubin) : -1;
  }
  if (status == NIB_OK && last == NIBC_CUDA_IMAGE)
    status = embed_image(s, dir, n, assembler != NULL);
  if (last != NIBC_CUDA_PTX)
    remove_file(dir, n->ptx);
  if (assembler && last != NIBC_CUDA_CUBIN)
    remove_file(dir, n->cubin);
  free(assembler);
  return status;
}

nib_status nibc_cuda_compile(const nibc_session *s, const char *dir, nibc_cuda_step last,
                             nibc_cuda_build *out) {
  *out = (nibc_cuda_build){.ptx_bytes = -1, .cubin_bytes = -1};
  const names n = {nibc_format("%s.cu", s->name), nibc_format("%s.ptx", s->name),
                   nibc_format("%s.cubin", s->name), nibc_format("%s.fatbin", s->name)};
  const nib_status status = n.source && n.ptx && n.cubin && n.fatbin
                                ? build(s, dir, last, &n, out)
                                : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  free(n.source);
  free(n.ptx);
  free(n.cubin);
  free(n.fatbin);
  if (status != NIB_OK)
    nibc_cuda_build_free(out);
  return status;
}

/* ---- running ---- */

bool nibc_cuda_has_driver(void) {
  void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver)
    dlclose(driver);
  return driver != NULL;
}

nib_status nibc_cuda_check_driver(const nibc_session *s) {
  if (nibc_cuda_has_driver())
    return NIB_OK;
  const nib_status status =
      nibc_fail(NIB_ERROR_IO, "no CUDA driver to run %s on: %s", s->target.spec, dlerror());
  nibc_hint("'nibc compile --target=%s' needs none", s->target.spec);
  return status;
}
