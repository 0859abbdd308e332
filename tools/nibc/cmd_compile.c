/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nibc compile. */
#include "commands.h"
#include "elf_file.h"
#include "emit/text.h"
#include "explain.h"
#include "file_io.h"
#include "lower.h"
#include "message.h"
#include "report.h"
#include "support.h"
#include "toolchain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is(const char *value, const char *word) { return value && strcmp(value, word) == 0; }

nib_status nibc_compile_model(const nibc_options *o, bool keep_simplified, nibc_session *s) {
  NIB_RETURN_IF_ERROR(nibc_session_open(o, s));
  const bool lowered = nibc_is_lowered(o);
  nib_status status = nibc_session_run(
      s, NIBC_STAGE_IMPORT, lowered ? NIBC_STAGE_SIMPLIFY : NIBC_STAGE_SELECT, keep_simplified);
  if (status == NIB_OK && lowered)
    status = nibc_session_lower(s);
  else if (status == NIB_OK)
    status = nibc_report_check_limits(s);
  if (status != NIB_OK)
    nibc_session_close(s);
  return status;
}

/* ---- files ---- */

/* How --emit turns the C files of a folder into what was asked. */
static const struct {
  const char *word;
  bool compiles;
  nibc_artifact artifact;
} emits[] = {
    {"c", false, NIBC_OBJECT},  {"llvm", true, NIBC_LLVM},  {"asm", true, NIBC_ASM},
    {"obj", true, NIBC_OBJECT}, {"lib", true, NIBC_OBJECT},
};

static void remove_in(const char *dir, const char *file) {
  char *path = file ? nibc_path_join(dir, file) : NULL;
  if (path)
    unlink(path);
  free(path);
}

/* Whether `name` is one of the words of `list`. */
static bool is_listed(const char *list, const char *name) {
  const size_t size = strlen(name);
  for (const char *at = list; at && *at; at += strcspn(at, " "), at += *at == ' ')
    if (strncmp(at, name, size) == 0 && (at[size] == ' ' || !at[size]))
      return true;
  return false;
}

/* Whether one of the objects defines `name`. */
static bool is_defined(const nibc_elf *objects, int n, const char *name) {
  nibc_elf_symbol symbol;
  for (int i = 0; i < n; ++i)
    if (nibc_elf_find(&objects[i], name, &symbol))
      return true;
  return false;
}

/* What a linker has to place and to find, from the objects of `sources`. */
static void measure_link(const char *dir, const char *const *sources, int n, nibc_code_size *size) {
  nibc_elf objects[NIBC_MOST_SOURCES] = {{NULL, 0, false}};
  nib_text undefined;
  nib_text_init(&undefined);
  bool ok = true;
  int64_t sums[3] = {0, 0, 0};
  for (int i = 0; i < n; ++i) {
    char *name = nibc_artifact_name(sources[i], NIBC_OBJECT);
    char *path = name ? nibc_path_join(dir, name) : NULL;
    int64_t code = 0, rodata = 0, data = 0;
    ok = ok && path && nibc_elf_open(path, &objects[i]);
    if (ok)
      nibc_elf_sizes(&objects[i], &code, &rodata, &data);
    sums[0] += code, sums[1] += rodata, sums[2] += data;
    free(path);
    free(name);
  }
  for (int i = 0; i < n && ok; ++i) {
    nibc_elf_symbol symbol;
    for (size_t at = 0; nibc_elf_next_symbol(&objects[i], &at, &symbol);)
      if (symbol.is_undefined && *symbol.name && !is_defined(objects, n, symbol.name) &&
          !is_listed(undefined.data, symbol.name))
        nib_text_printf(&undefined, "%s%s", undefined.size ? " " : "", symbol.name);
  }
  for (int i = 0; i < n; ++i)
    nibc_elf_close(&objects[i]);
  if (ok) {
    size->text_bytes = sums[0], size->rodata_bytes = sums[1], size->data_bytes = sums[2];
    size->undefined = undefined.data;
  } else {
    nib_text_free(&undefined);
  }
}

/* The deepest stack within NAME_run, from clang's -fstack-usage: its own frame, the largest
 * kernel's, and all of the small functions', which call each other in some order. */
static void measure_stack(const nibc_session *s, const char *dir, nibc_code_size *size) {
  char *file = nibc_format("%s.su", s->name), *path = file ? nibc_path_join(dir, file) : NULL;
  char *run = nibc_format("%s_run", s->name), *kernel = nibc_format("%s_k", s->name);
  FILE *usage = path ? fopen(path, "r") : NULL;
  int64_t largest = 0, sum = 0;
  char line[1024];
  while (usage && run && kernel && fgets(line, sizeof line, usage)) {
    char *tab = strchr(line, '\t');
    if (!tab)
      continue;
    *tab = 0;
    const char *colon = strrchr(line, ':'), *name = colon ? colon + 1 : line;
    const int64_t bytes = strtoll(tab + 1, NULL, 10);
    const bool is_kernel = strncmp(name, kernel, strlen(kernel)) == 0 &&
                           name[strlen(kernel)] >= '0' && name[strlen(kernel)] <= '9';
    if (is_kernel && !strstr(name, "_part"))
      largest = bytes > largest ? bytes : largest;
    else if (!is(name, s->name))
      sum += bytes;
  }
  if (usage && run && kernel)
    size->stack_bytes = sum + largest;
  if (usage)
    fclose(usage);
  remove_in(dir, file);
  free(kernel);
  free(run);
  free(path);
  free(file);
}

static void measure(const char *dir, const char *const *sources, int n, nibc_code_size *size) {
  int64_t text[2] = {0, 0}, data[2] = {0, 0};
  bool ok = true;
  for (int i = 0; i < n; ++i) {
    char *name = nibc_artifact_name(sources[i], NIBC_OBJECT);
    char *path = name ? nibc_path_join(dir, name) : NULL;
    ok = ok && path && nibc_object_size(path, &text[i], &data[i]);
    free(path);
    free(name);
  }
  if (ok) {
    size->code_bytes = text[0] + data[0] + text[1];
    size->weights_bytes = data[1];
  }
}

/* Compiles the sources in `dir` as --emit asks; removes what was not asked for. */
static nib_status compile_files(const nibc_session *s, const char *dir, const char *emit,
                                bool measure_only, nibc_code_size *size) {
  nibc_artifact artifact = NIBC_OBJECT;
  for (size_t i = 0; i < sizeof emits / sizeof *emits; ++i)
    if (is(emit, emits[i].word))
      artifact = emits[i].artifact;
  nibc_compiler compiler;
  NIB_RETURN_IF_ERROR(nibc_compiler_find(&compiler));
  char *flags = nibc_compiler_flags(&s->target, s->options->size);
  char *names[NIBC_MOST_SOURCES];
  const int n = nibc_session_sources(s, names);
  char *example = nibc_format("%s_main.c", s->name), *archive = nibc_format("lib%s.a", s->name);
  const char *sources[] = {names[0], names[1], names[2]};
  nib_status status = flags && names[0] && names[n - 1] && example && archive
                          ? NIB_OK
                          : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  if (status == NIB_OK && nib_target_is_riscv(&s->target) && !compiler.is_clang)
    status = nibc_fail(NIB_ERROR_IO, "code for %s is compiled by clang-22, not by %s", s->target.spec,
                       compiler.path);
  const bool riscv =
      nib_target_is_riscv(&s->target) && artifact == NIBC_OBJECT && compiler.is_clang && flags;
  if (riscv) {
    char *more = nibc_format("%s -fstack-usage", flags);
    free(flags);
    flags = more;
    status = flags ? status : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  }
  const double begin = nibc_step_begin(nibc_is_lowered(s->options) ? "compile" : "compile the C");
  if (status == NIB_OK)
    status = nibc_compiler_run(&compiler, artifact, flags, dir, sources, n, NULL);
  nibc_step_end(begin, status);
  if (status == NIB_OK && artifact == NIBC_OBJECT && size)
    measure(dir, sources, n, size);
  if (status == NIB_OK && riscv) {
    nibc_code_size unused = NIBC_NOT_MEASURED;
    measure_link(dir, sources, n, size ? size : &unused);
    measure_stack(s, dir, size ? size : &unused);
    free(unused.undefined);
    char *weights = nibc_format("%s_weights.su", s->name);
    remove_in(dir, weights);
    free(weights);
  }
  if (status == NIB_OK && !measure_only && is(emit, "lib"))
    status = nibc_archive(&compiler, dir, archive, sources, n);
  for (int i = 0; status == NIB_OK && i < n; ++i) {
    char *object = measure_only ? nibc_artifact_name(sources[i], NIBC_OBJECT) : NULL;
    remove_in(dir, measure_only ? object : sources[i]);
    free(object);
  }
  if (status == NIB_OK && !measure_only)
    remove_in(dir, example);
  free(flags);
  for (int i = 0; i < NIBC_MOST_SOURCES; ++i)
    free(names[i]);
  free(example);
  free(archive);
  nibc_compiler_free(&compiler);
  return status;
}

/* The same for a CUDA target: kernels become what --emit asks, the host's part stays C or becomes a
 * library. */
static nib_status make_cuda_files(const nibc_session *s, const char *dir, const char *emit,
                                  nibc_code_size *size) {
  if (is(emit, "cuda"))
    return NIB_OK;
  const nibc_cuda_step last = is(emit, "ptx")     ? NIBC_CUDA_PTX
                              : is(emit, "cubin") ? NIBC_CUDA_CUBIN
                                                  : NIBC_CUDA_IMAGE;
  NIB_RETURN_IF_ERROR(nibc_cuda_compile(s, dir, last, &size->cuda));
  char *source = nibc_format("%s.cu", s->name);
  if (source && !is(emit, "c"))
    remove_in(dir, source);
  free(source);
  size->code_bytes = size->cuda.cubin_bytes >= 0 ? size->cuda.cubin_bytes : size->cuda.ptx_bytes;
  return is(emit, "lib") ? compile_files(s, dir, emit, false, NULL) : NIB_OK;
}

/* Everything that goes into the output folder, made in the folder `dir`. */
static nib_status make_files(nibc_session *s, const char *dir, nibc_code_size *size) {
  const nibc_options *o = s->options;
  const char *emit = o->emit ? o->emit : nibc_is_lowered(o) ? "llvm" : "c";
  NIB_RETURN_IF_ERROR(nibc_session_emit(s, dir));
  if (nib_target_is_cuda(&s->target))
    return make_cuda_files(s, dir, emit, size);
  if (nibc_is_lowered(o) && is(emit, "llvm"))
    return NIB_OK;
  if (strcmp(emit, "c") != 0)
    return compile_files(s, dir, emit, false, size);
  return o->verbose || o->report ? compile_files(s, dir, "obj", true, size) : NIB_OK;
}

nib_status nibc_write_files(nibc_session *s, FILE *table) {
  const nibc_options *o = s->options;
  nibc_code_size size = NIBC_NOT_MEASURED;
  const bool to_dir = o->out_dir && !o->dry_run;
  char *created = NULL, *temporary = NULL;
  nib_status status = to_dir ? nibc_dir_create(o->out_dir, &created) : NIB_OK;
  if (status == NIB_OK)
    status = nibc_dir_temporary(to_dir ? o->out_dir : NULL, &temporary);
  if (status == NIB_OK)
    status = make_files(s, temporary, &size);
  if (status == NIB_OK && o->report && !o->dry_run)
    status = nibc_report_write(o->report, s, &size);
  if (status == NIB_OK && to_dir)
    status = nibc_dir_move_files(temporary, o->out_dir);
  nibc_dir_remove(temporary);
  if (status != NIB_OK && created)
    nibc_dir_abandon(o->out_dir, created);
  free(temporary);
  free(created);
  if (status == NIB_OK && o->explain && table && !nibc_is_lowered(o))
    status = nibc_explain_print(table, s, &size.cuda);
  if (status == NIB_OK && table)
    nibc_report_print(table, s, &size);
  nibc_cuda_build_free(&size.cuda);
  free(size.undefined);
  return status;
}

/* ---- IR ---- */

static nib_status write_ir(nibc_session *s) {
  const nibc_options *o = s->options;
  if (o->dry_run)
    return NIB_OK;
  char *text = NULL, *file = NULL, *path = NULL, *created = NULL;
  size_t size = 0;
  nib_status status = nibc_session_print(s, &text, &size);
  if (status == NIB_OK && !o->out_dir) {
    /* A reader that has gone needs no message: see main.c. */
    if ((fwrite(text, 1, size, stdout) != size || fflush(stdout)) && errno != EPIPE)
      status = nibc_fail(NIB_ERROR_IO, "standard output: %s", strerror(errno));
  } else if (status == NIB_OK) {
    status = nibc_dir_create(o->out_dir, &created);
    file = nibc_format("%s.mlir", s->name);
    path = file ? nibc_path_join(o->out_dir, file) : NULL;
    if (status == NIB_OK)
      status = path ? nibc_file_write(path, text, size) : NIB_ERROR_OUT_OF_MEMORY;
    if (status != NIB_OK && created)
      nibc_dir_abandon(o->out_dir, created);
  }
  free(created);
  free(path);
  free(file);
  free(text);
  return status;
}

static nib_status compile_to_ir(const nibc_options *o) {
  nibc_session session;
  NIB_RETURN_IF_ERROR(nibc_session_open(o, &session));
  nib_status status = NIB_OK;
  if (o->pass_pipeline) {
    status = nibc_session_run_text(&session, o->pass_pipeline);
  } else {
    const bool lowered = nibc_is_lowered(o) && !o->stop_after;
    const nibc_stage last = o->stop_after ? nibc_stage_find(o->stop_after)
                            : lowered     ? NIBC_STAGE_SIMPLIFY
                                          : NIBC_STAGE_SELECT;
    status = nibc_session_run(&session, NIBC_STAGE_IMPORT, last, false);
    if (status == NIB_OK && lowered)
      status = nibc_session_lower(&session);
    if (status == NIB_OK && session.planned && !lowered)
      status = nibc_report_check_limits(&session);
    if (status == NIB_OK && o->report && session.planned && last == NIBC_STAGE_SELECT &&
        !o->dry_run)
      status = nibc_report_write(o->report, &session, &NIBC_NOT_MEASURED);
  }
  if (status == NIB_OK)
    status = write_ir(&session);
  nibc_session_close(&session);
  return status;
}

nib_status nibc_command_compile(const nibc_options *o) {
  NIB_RETURN_IF_ERROR(nibc_check_options(o));
  if (is(o->emit, "mlir") || o->stop_after || o->pass_pipeline)
    return compile_to_ir(o);
  if (!o->out_dir && !o->dry_run) {
    nibc_error("where to? Name a folder with -o DIR");
    nibc_hint("nibc compile %s -o out", o->model);
    return NIB_ERROR_INVALID_USAGE;
  }
  nibc_session session;
  NIB_RETURN_IF_ERROR(nibc_compile_model(o, false, &session));
  const nib_status status = nibc_write_files(&session, stdout);
  nibc_session_close(&session);
  return status;
}
