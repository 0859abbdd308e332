// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Generated C through libclang's C API. The weights stay extern: parsing them would take longest.
#include "emit/check_c.h"

#include <clang-c/Index.h>
#include <stdio.h>
#include <string.h>

/* What is parsed: NAME.c, or the kernels of a CUDA target. */
typedef struct check_unit {
  const nib_graph *graph;
  const nib_model_text *model;
  const nib_text *text;
  bool has_kernels;
  const char *language; /* in messages */
} check_unit;

/* Kernel whose function holds `line`, or -1. */
static int32_t kernel_at(const check_unit *u, unsigned line) {
  int32_t found = -1;
  for (int32_t i = 0; u->has_kernels && i < u->model->n_kernels; ++i)
    if ((unsigned)u->model->kernel_lines[i] <= line)
      found = i;
  return found;
}

/* The text of one line, for the message. */
static void copy_line(const nib_text *t, unsigned line, char *out, size_t size) {
  const char *at = t->data;
  for (unsigned i = 1; i < line && at; ++i) {
    at = strchr(at, '\n');
    at = at ? at + 1 : NULL;
  }
  snprintf(out, size, "%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");
}

static nib_status report(const check_unit *u, CXDiagnostic d, const nib_diag *diag) {
  const nib_graph *g = u->graph;
  CXString text = clang_getDiagnosticSpelling(d);
  unsigned line = 0;
  char source[160];
  clang_getExpansionLocation(clang_getDiagnosticLocation(d), NULL, &line, NULL, NULL);
  copy_line(u->text, line, source, sizeof source);
  const int32_t k = kernel_at(u, line);
  const nib_node *n = k >= 0 ? &g->nodes[g->kernels[k].nodes[0]] : NULL;
  if (n)
    nib_diag_error(diag, NIB_ERROR_INTERNAL,
                   "generated %s of kernel %d '%s' (%s '%s', operator %d), line %u: %s: %s",
                   u->language, k, g->kernels[k].name ? g->kernels[k].name : "",
                   nib_op_get(n->op)->mnemonic, n->name, n->source_index, line,
                   clang_getCString(text), source);
  else
    nib_diag_error(diag, NIB_ERROR_INTERNAL, "generated %s, line %u: %s: %s", u->language, line,
                   clang_getCString(text), source);
  clang_disposeString(text);
  return NIB_ERROR_INTERNAL;
}

static nib_status parse(const check_unit *u, const char *name, const char *const *args, int n_args,
                        struct CXUnsavedFile *files, unsigned n_files, const nib_diag *diag) {
  CXIndex index = clang_createIndex(0, 0);
  CXTranslationUnit unit = NULL;
  const enum CXErrorCode code = clang_parseTranslationUnit2(
      index, name, args, n_args, files, n_files, CXTranslationUnit_KeepGoing, &unit);
  nib_status status =
      code == CXError_Success && unit
          ? NIB_OK
          : nib_diag_error(diag, NIB_ERROR_INTERNAL,
                           "libclang cannot parse the generated %s (code %d)", u->language, code);
  for (unsigned i = 0; unit && i < clang_getNumDiagnostics(unit); ++i) {
    CXDiagnostic d = clang_getDiagnostic(unit, i);
    if (clang_getDiagnosticSeverity(d) >= CXDiagnostic_Warning)
      status = report(u, d, diag);
    clang_disposeDiagnostic(d);
  }
  if (unit)
    clang_disposeTranslationUnit(unit);
  clang_disposeIndex(index);
  return status;
}

/* NAME.cu, as `clang -x cuda` reads it without an SDK. */
static nib_status check_kernels(const nib_graph *g, const nib_model_options *o,
                                const nib_model_text *m, const nib_diag *diag) {
  char name[160], arch[64];
  snprintf(name, sizeof name, "/nibble/%s.cu", o->name);
  snprintf(arch, sizeof arch, "--cuda-gpu-arch=%s", o->target->cpu);
  struct CXUnsavedFile file = {name, m->device.data, (unsigned long)m->device.size};
  const char *const args[] = {"-x",
                              "cuda",
                              "--cuda-device-only",
                              "-nocudainc",
                              "-nocudalib",
                              arch,
                              "-Wall",
                              "-Wextra",
                              "-Wno-unknown-cuda-version",
                              "-Wno-unused-parameter",
                              "-Wno-unused-function"};
  const check_unit u = {g, m, &m->device, true, "CUDA C"};
  return parse(&u, name, args, sizeof args / sizeof *args, &file, 1, diag);
}

nib_status nib_check_c(const nib_graph *g, const nib_model_options *o, const nib_model_text *m,
                       const nib_diag *diag) {
  const bool cuda = nib_target_is_cuda(o->target);
  char source_name[160], header_name[160], triple[160], march[300] = "-march=", abi[32];
  // An #include of an unsaved file is found only beside an absolute source name.
  snprintf(source_name, sizeof source_name, "/nibble/%s.c", o->name);
  snprintf(header_name, sizeof header_name, "/nibble/%s.h", o->name);
  const char *runtime = nib_model_cuda_header();
  struct CXUnsavedFile files[] = {
      {source_name, m->source.data, (unsigned long)m->source.size},
      {header_name, m->header.data, (unsigned long)m->header.size},
      {"/nibble/nibrt_abi.h", m->abi, (unsigned long)strlen(m->abi)},
      {"/nibble/nibrt_cuda.h", runtime, (unsigned long)strlen(runtime)},
  };
  const char *args[12] = {"-std=c11", "-Wall", "-Wextra", "-pedantic"};
  int n_args = 4;
  if (o->target && o->target->triple && !cuda) {
    snprintf(triple, sizeof triple, "--target=%s", o->target->triple);
    args[n_args++] = triple;
  }
  if (nib_target_is_riscv(o->target)) {
    nib_target_march(o->target, march + strlen(march), sizeof march - strlen(march));
    snprintf(abi, sizeof abi, "-mabi=%s", nib_target_abi(o->target));
    args[n_args++] = march;
    args[n_args++] = abi;
    args[n_args++] = "-menable-experimental-extensions";
  }
  const check_unit u = {g, m, &m->source, !cuda, "C"};
  const nib_status status = parse(&u, source_name, args, n_args, files, cuda ? 4 : 3, diag);
  return status == NIB_OK && cuda ? check_kernels(g, o, m, diag) : status;
}
