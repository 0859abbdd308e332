/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One model on its way through the compiler, by MLIR's C API. */
#include "session.h"
#include "bridge/bridge.h"
#include "emit/text.h"
#include "file_io.h"
#include "import/import.h"
#include "lower.h"
#include "message.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/Pass.h"
#include "pipeline/pass_status.h"
#include "support.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Stages after import: the word of --stop-after and the pass. */
static const struct {
  const char *word, *pass;
} stages[NIBC_STAGE_COUNT] = {
    [NIBC_STAGE_IMPORT] = {"import", NULL},
    [NIBC_STAGE_QUANTIZE] = {"quantize", "nib-quantize"},
    [NIBC_STAGE_SIMPLIFY] = {"simplify", "nib-simplify"},
    [NIBC_STAGE_FUSE] = {"fuse", "nib-fuse"},
    [NIBC_STAGE_PLAN] = {"plan", "nib-plan"},
    [NIBC_STAGE_SELECT] = {"select", "nib-select"},
    [NIBC_STAGE_EMIT] = {"emit", "nib-emit-c"},
};

nibc_stage nibc_stage_find(const char *word) {
  for (int i = 0; i < NIBC_STAGE_COUNT; ++i)
    if (strcmp(stages[i].word, word) == 0)
      return (nibc_stage)i;
  return NIBC_STAGE_IMPORT;
}

static MlirStringRef ref(const char *text) { return mlirStringRefCreateFromCString(text); }

static void append(MlirStringRef piece, void *user) {
  nib_text_printf(user, "%.*s", (int)piece.length, piece.data);
}

/* ---- diagnostics ---- */

/* The source's name and number: loc("conv1"("#3")); else file:line:column. */
static void location_text(MlirLocation location, nib_text *out) {
  if (mlirLocationIsAName(location)) {
    const MlirStringRef name = mlirIdentifierStr(mlirLocationNameGetName(location));
    const MlirLocation child = mlirLocationNameGetChildLoc(location);
    if (mlirLocationIsAName(child)) {
      const MlirStringRef number = mlirIdentifierStr(mlirLocationNameGetName(child));
      if (number.length > 1 && number.data[0] == '#')
        nib_text_printf(out, "operator %.*s ", (int)number.length - 1, number.data + 1);
    }
    nib_text_printf(out, "('%.*s'): ", (int)name.length, name.data);
  } else if (mlirLocationIsAFileLineColRange(location)) {
    if (mlirLocationFileLineColRangeGetStartLine(location) > 0)
      nib_text_printf(out, "%d:%d: ", mlirLocationFileLineColRangeGetStartLine(location),
                      mlirLocationFileLineColRangeGetStartColumn(location));
  } else if (mlirLocationIsAFused(location) && mlirLocationFusedGetNumLocations(location) > 0) {
    MlirLocation *all = malloc(mlirLocationFusedGetNumLocations(location) * sizeof(MlirLocation));
    if (all) {
      mlirLocationFusedGetLocations(location, all);
      location_text(all[0], out);
    }
    free(all);
  }
}

static const char *shown_model(const nibc_session *s) {
  return strcmp(s->options->model, "-") == 0 ? "standard input" : s->options->model;
}

/* A message of MLIR in the words of this tool: options that nibc has not, and the folder that files
 * are made in, are left out. */
static void plain_words(nib_text *message) {
  static const struct {
    const char *theirs, *ours;
  } words[] = {
      {"operation being parsed with an unregistered dialect. If this is intended, please use "
       "-allow-unregistered-dialect with the MLIR tool used",
       "this operation's dialect is not known to nibc"},
      {" in folder '.'", ""},
  };
  for (size_t i = 0; message->data && i < sizeof words / sizeof *words; ++i) {
    char *at = strstr(message->data, words[i].theirs);
    if (!at)
      continue;
    const size_t theirs = strlen(words[i].theirs), ours = strlen(words[i].ours);
    memcpy(at, words[i].ours, ours);
    memmove(at + ours, at + theirs, strlen(at + theirs) + 1);
    message->size -= theirs - ours;
  }
  while (message->data && message->size && message->data[message->size - 1] == ' ')
    message->data[--message->size] = 0;
}

static MlirLogicalResult on_diagnostic(MlirDiagnostic diagnostic, void *user) {
  static const nib_severity severities[] = {NIB_ERROR, NIB_WARNING, NIB_NOTE, NIB_NOTE};
  const nibc_session *s = user;
  const nib_severity severity = severities[mlirDiagnosticGetSeverity(diagnostic)];
  if (severity == NIB_NOTE && !nibc_is_verbose())
    return mlirLogicalResultSuccess();
  nib_text text;
  nib_text_init(&text);
  nib_text_printf(&text, "%s: ", shown_model(s));
  location_text(mlirDiagnosticGetLocation(diagnostic), &text);
  mlirDiagnosticPrint(diagnostic, append, &text);
  plain_words(&text);
  if (text.data)
    nibc_say(severity, text.data);
  nib_text_free(&text);
  return mlirLogicalResultSuccess();
}

/* ---- the model file ---- */

typedef enum model_kind {
  KIND_TFLITE,
  KIND_ONNX,
  KIND_GGUF,
  KIND_LLAMA2C,
  KIND_MLIR,
  KIND_UNKNOWN
} model_kind;

/* What each kind of file is imported by; MLIR is parsed. */
static const struct {
  nib_status (*import)(const uint8_t *, size_t, const nib_import_options *, nib_graph **,
                       const nib_diag *);
  bool has_dims;       /* some dimensions may be bound by --dim */
  bool names_no_model; /* its messages do not begin with the file */
} importers[KIND_UNKNOWN] = {
    [KIND_TFLITE] = {nib_import_tflite, false, false},
    [KIND_ONNX] = {nib_import_onnx, true, true},
    [KIND_GGUF] = {nib_import_gguf, true, false},
    [KIND_LLAMA2C] = {nib_import_llama2c, true, false},
};

static bool has_suffix(const char *text, const char *suffix) {
  const size_t a = strlen(text), b = strlen(suffix);
  return a >= b && strcmp(text + a - b, suffix) == 0;
}

static bool is_bytecode(const uint8_t *bytes, size_t size) {
  return size >= 4 && memcmp(bytes, "ML\xefR", 4) == 0;
}

static bool starts_with(const uint8_t *bytes, size_t size, const char *word) {
  const size_t n = strlen(word);
  return size >= n && memcmp(bytes, word, n) == 0;
}

/* Whether text begins as a module does: after space and comments an operation, its results, an
 * alias or metadata. */
static bool begins_as_mlir(const uint8_t *bytes, size_t size) {
  static const char *const beginnings[] = {"module", "func", "builtin.", "nib.", "ml_program.",
                                           "\"",     "#",    "!",        "%",    "{-#"};
  for (;;) {
    while (size && strchr(" \t\r\n", bytes[0]) && bytes[0])
      ++bytes, --size;
    if (!starts_with(bytes, size, "//"))
      break;
    while (size && bytes[0] != '\n')
      ++bytes, --size;
  }
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; ++i)
    if (starts_with(bytes, size, beginnings[i]))
      return true;
  return false;
}

/* By extension; standard input and other names by content. */
static model_kind kind_of(const char *path, const uint8_t *bytes, size_t size) {
  if (has_suffix(path, ".tflite"))
    return KIND_TFLITE;
  if (has_suffix(path, ".onnx"))
    return KIND_ONNX;
  if (has_suffix(path, ".gguf") || starts_with(bytes, size, "GGUF"))
    return KIND_GGUF;
  if (starts_with(bytes, size, "24ka"))
    return KIND_LLAMA2C;
  if (has_suffix(path, ".mlir") || has_suffix(path, ".mlirbc"))
    return KIND_MLIR;
  if (size >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0)
    return KIND_TFLITE;
  if (is_bytecode(bytes, size))
    return KIND_MLIR;
  size_t printable = 0;
  const size_t look = size < 512 ? size : 512;
  for (size_t i = 0; i < look; ++i)
    printable += (bytes[i] && strchr("\n\r\t", bytes[i])) || (bytes[i] >= 32 && bytes[i] != 127);
  if (look && printable == look)
    return begins_as_mlir(bytes, size) ? KIND_MLIR : KIND_UNKNOWN;
  if (size && (bytes[0] & 7) <= 2 && bytes[0] >> 3 && bytes[0] >> 3 < 32)
    return KIND_ONNX; // a protobuf field of ModelProto
  return KIND_UNKNOWN;
}

enum { MAX_NAME = 100 }; /* what the emitter takes */

/* The name of generated symbols: letters, digits and _, not starting with a digit. A file's name
 * that is too long is cut; one that was given is not. */
static char *make_name(const nibc_options *o) {
  const char *from = o->name;
  if (!from) {
    const char *slash = strrchr(o->model, '/');
    from = slash ? slash + 1 : o->model;
  }
  if (strcmp(from, "-") == 0)
    from = "model";
  char *name = nibc_format("%s%s", isdigit((unsigned char)from[0]) ? "_" : "", from);
  if (!name)
    return NULL;
  char *dot = o->name ? NULL : strrchr(name, '.');
  if (dot && dot != name)
    *dot = 0;
  for (char *c = name; *c; ++c)
    if (!isalnum((unsigned char)*c) || (unsigned char)*c > 127)
      *c = '_';
  if (!o->name && strlen(name) > MAX_NAME)
    name[MAX_NAME] = 0;
  return name;
}

static nib_status keep(nibc_session *s, nib_graph *graph) {
  if (s->n_owned == (int)(sizeof s->owned / sizeof s->owned[0])) {
    nib_graph_destroy(graph);
    return nibc_fail(NIB_ERROR_INTERNAL, "too many graphs");
  }
  s->owned[s->n_owned++] = graph;
  return NIB_OK;
}

/* MLIR's parser calls itself for each nesting and for each sign of an affine expression; this is
 * far more than any network has and far less than the stack. */
enum { MAX_NESTING = 256, BYTECODE_ALIGNMENT = 64 };

/* Whether brackets (not arrows and comparisons), outside strings and comments, or signs in a row go
 * beyond MAX_NESTING. */
static bool nests_too_deeply(const uint8_t *bytes, size_t size) {
  int depth = 0, signs = 0;
  for (size_t i = 0; i < size; ++i) {
    const uint8_t c = bytes[i];
    if (c == '"') {
      while (++i < size && bytes[i] != '"' && bytes[i] != '\n')
        i += bytes[i] == '\\';
    } else if (c == '/' && i + 1 < size && bytes[i + 1] == '/') {
      while (i < size && bytes[i] != '\n')
        ++i;
    } else if (strchr("([{<", c) && c) {
      ++depth;
    } else if ((strchr(")]}", c) && c) ||
               (c == '>' && bytes[i + 1] != '=' && !(i > 0 && bytes[i - 1] == '-'))) {
      depth -= depth > 0;
    }
    signs = c == '-' ? signs + 1 : c == ' ' || c == '\t' || c == '\n' || c == '\r' ? signs : 0;
    if (depth > MAX_NESTING || signs > MAX_NESTING)
      return true;
  }
  return false;
}

static nib_status parse_module(nibc_session *s, const uint8_t *bytes, size_t size) {
  if (!is_bytecode(bytes, size) && nests_too_deeply(bytes, size))
    return nibc_fail(NIB_ERROR_INVALID_INPUT, "%s: brackets nest deeper than %d levels",
                     shown_model(s), MAX_NESTING);
  // Sections of bytecode are aligned within the file: so must be the file.
  char *aligned =
      aligned_alloc(BYTECODE_ALIGNMENT, (size / BYTECODE_ALIGNMENT + 1) * BYTECODE_ALIGNMENT);
  if (!aligned)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", shown_model(s));
  memcpy(aligned, bytes, size);
  aligned[size] = 0;
  s->module = mlirModuleCreateParse(s->context, mlirStringRefCreate(aligned, size));
  free(aligned);
  if (mlirModuleIsNull(s->module))
    return nibc_error_count()
               ? NIB_ERROR_INVALID_INPUT
               : nibc_fail(NIB_ERROR_INVALID_INPUT, "%s: not a module of MLIR", shown_model(s));
  if (!nibModuleConvert(s->module)) {
    nib_pass_status_take();
    return NIB_ERROR_UNSUPPORTED;
  }
  s->imported = nibc_session_graph(s);
  return s->imported ? NIB_OK : NIB_ERROR_INVALID_INPUT;
}

/* Messages of an importer that does not say the file, with it before them. */
typedef struct named_diag {
  const nibc_session *session;
  const nib_diag *to;
} named_diag;

static void emit_named(void *user, nib_severity severity, const char *message) {
  const named_diag *d = user;
  char *text = nibc_format("%s: %s", shown_model(d->session), message);
  d->to->emit(d->to->user, severity, text ? text : message);
  free(text);
}

static nib_status import_bytes(nibc_session *s, const uint8_t *bytes, size_t size, bool list_only,
                               const nib_diag *diag) {
  const nibc_options *o = s->options;
  const bool standard = strcmp(o->model, "-") == 0;
  const model_kind kind = kind_of(o->model, bytes, size);
  if (kind == KIND_UNKNOWN)
    return nibc_fail(NIB_ERROR_INVALID_INPUT,
                     "%s: neither TFLite, ONNX, GGUF, a checkpoint of llama2.c nor MLIR",
                     shown_model(s));
  if (!importers[kind].has_dims && o->dims.n)
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     "%s: --dim %s: the model has no such dimension; all of its dimensions are "
                     "numbers",
                     shown_model(s), o->dims.items[0]);
  if (kind == KIND_MLIR)
    return parse_module(s, bytes, size);

  nib_dim_binding dims[NIBC_MAX_LIST];
  char *names[NIBC_MAX_LIST] = {NULL};
  for (int i = 0; i < o->dims.n; ++i) {
    const char *equal = strchr(o->dims.items[i], '=');
    names[i] = nibc_format("%.*s", (int)(equal - o->dims.items[i]), o->dims.items[i]);
    dims[i] = (nib_dim_binding){names[i] ? names[i] : "", strtoll(equal + 1, NULL, 10)};
  }
  const char *slash = strrchr(o->model, '/');
  char *base = standard ? NULL
               : slash  ? nibc_format("%.*s", (int)(slash - o->model) + 1, o->model)
                        : nibc_format(".");
  const nib_import_options import = {
      .model_name = s->name,
      .display_path = shown_model(s),
      .base_dir = base,
      .rounding = o->rounding,
      .dims = dims,
      .n_dims = (size_t)o->dims.n,
      .inputs = s->test_data.inputs,
      .n_inputs = (size_t)s->test_data.n,
      .list_only = list_only,
  };
  named_diag named = {s, diag};
  const nib_diag naming = {emit_named, &named};
  const nib_status status = importers[kind].import(bytes, size, &import, &s->imported,
                                                   importers[kind].names_no_model ? &naming : diag);
  for (int i = 0; i < o->dims.n; ++i)
    free(names[i]);
  free(base);
  if (s->imported)
    NIB_RETURN_IF_ERROR(keep(s, s->imported));
  return status;
}

nib_status nibc_session_import(nibc_session *s, bool list_only, const nib_diag *diag) {
  const double begin = nibc_step_begin("import");
  uint8_t *bytes = NULL;
  size_t size = 0;
  nib_status status = nibc_file_read(s->options->model, &bytes, &size);
  if (status == NIB_OK && s->options->test_data)
    status = nibc_test_data_read(s->options->test_data, &s->test_data);
  if (status == NIB_OK)
    status = import_bytes(s, bytes, size, list_only, diag);
  free(bytes);
  nibc_step_end(begin, status);
  return status;
}

/* ---- life ---- */

static void make_context(nibc_session *s) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  nibRegisterEverything(registry);
  if (nibc_is_lowered(s->options))
    nibRegisterLowering(registry);
  s->context = mlirContextCreateWithRegistry(registry, /*threadingEnabled=*/false);
  mlirDialectRegistryDestroy(registry);
  mlirContextLoadAllAvailableDialects(s->context);
  mlirContextAttachDiagnosticHandler(s->context, on_diagnostic, s, NULL);
}

nib_status nibc_session_begin(const nibc_options *options, nibc_session *s) {
  memset(s, 0, sizeof *s);
  s->options = options;
  if (options->command != NIBC_INSPECT)
    NIB_RETURN_IF_ERROR(
        nib_target_parse(options->target ? options->target : "native", &s->target, nibc_diag()));
  s->name = make_name(options);
  if (!s->name || !s->name[0])
    return nibc_fail(NIB_ERROR_INVALID_USAGE, "--name is empty");
  if (strlen(s->name) > MAX_NAME)
    return nibc_fail(NIB_ERROR_INVALID_USAGE, "--name: at most %d characters", MAX_NAME);
  if (strcmp(s->name, "nibrt_abi") == 0 || strcmp(s->name, "nibrt_cuda") == 0)
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     "the name '%s' is taken by the runtime's header; choose another with "
                     "--name",
                     s->name);
  make_context(s);
  return NIB_OK;
}

nib_status nibc_session_open(const nibc_options *options, nibc_session *s) {
  nib_status status = nibc_session_begin(options, s);
  if (status == NIB_OK)
    status = nibc_session_import(s, false, nibc_diag());
  if (status == NIB_OK)
    status = nibc_check_graph(options, s->imported);
  if (status == NIB_OK)
    s->imported->integer_only |= options->integer_only;
  if (status == NIB_OK && (mlirModuleIsNull(s->module) || options->integer_only))
    status = nibc_session_set_graph(s, s->imported);
  if (status != NIB_OK)
    nibc_session_close(s);
  return status;
}

void nibc_session_close(nibc_session *s) {
  for (int i = 0; i < s->n_owned; ++i)
    nib_graph_destroy(s->owned[i]);
  if (!mlirModuleIsNull(s->module))
    mlirModuleDestroy(s->module);
  if (!mlirContextIsNull(s->context))
    mlirContextDestroy(s->context);
  free(s->name);
  nibc_test_data_free(&s->test_data);
  memset(s, 0, sizeof *s);
}

nib_status nibc_session_set_graph(nibc_session *s, const nib_graph *graph) {
  const MlirModule module = nibModuleFromGraph(s->context, graph);
  if (mlirModuleIsNull(module))
    return nibc_error_count() ? NIB_ERROR_INVALID_INPUT
                              : nibc_fail(NIB_ERROR_INTERNAL, "the graph has no form in IR");
  if (!mlirModuleIsNull(s->module))
    mlirModuleDestroy(s->module);
  s->module = module;
  return NIB_OK;
}

nib_graph *nibc_session_graph(nibc_session *s) {
  nib_graph *graph = nibGraphFromModule(s->module);
  if (!graph) {
    if (!nibc_error_count())
      nibc_error("%s: the module has no graph", s->options->model);
    return NULL;
  }
  return keep(s, graph) == NIB_OK ? graph : NULL;
}

const nib_graph *nibc_session_source(const nibc_session *s) {
  return s->quantized ? s->quantized : s->imported;
}

/* free(); "" of none. */
static char *join(const nibc_list *list) {
  nib_text t;
  nib_text_init(&t);
  for (int i = 0; i < list->n; ++i)
    nib_text_printf(&t, "%s%s", i ? ";" : "", list->items[i]);
  if (t.failed)
    nibc_error("out of memory");
  return t.failed ? NULL : t.data;
}

char *nibc_weight_formats(const nibc_options *o) { return join(&o->weight_formats); }

char *nibc_preferred_forms(const nibc_options *o) { return join(&o->prefer); }

bool nibc_has_narrow_floats(const nibc_options *o) {
  return o->precision && (strcmp(o->precision, "f16") == 0 || strcmp(o->precision, "bf16") == 0);
}

void nibc_session_drop_graph(nibc_session *s, nib_graph *graph) {
  for (int i = 0; graph && i < s->n_owned; ++i)
    if (s->owned[i] == graph) {
      s->owned[i] = s->owned[--s->n_owned];
      nib_graph_destroy(graph);
      return;
    }
}

/* ---- passes ---- */

/* "nib-select{target=… …}": the options of `stage`, as Passes.td names them. */
static void pass_text(const nibc_session *s, nibc_stage stage, const char *out_dir, nib_text *t) {
  enum { COST = 1, SIZE = 2, ARENA = 4, FALLBACK = 8, FILES = 16, FORMATS = 32, THREADS = 64,
         FORMS = 128 };
  static const int takes[NIBC_STAGE_COUNT] = {
      [NIBC_STAGE_QUANTIZE] = FALLBACK | FORMATS,
      [NIBC_STAGE_SIMPLIFY] = FALLBACK,
      [NIBC_STAGE_FUSE] = COST | SIZE | THREADS | FORMS,
      [NIBC_STAGE_PLAN] = ARENA | SIZE | FORMS,
      [NIBC_STAGE_SELECT] = COST | SIZE | ARENA | FALLBACK | FORMS,
      [NIBC_STAGE_EMIT] = SIZE | FILES,
  };
  const nibc_options *o = s->options;
  nib_text_printf(t, "%s{target=%s", stages[stage].pass, s->target.spec);
  if (o->rounding)
    nib_text_printf(t, " rounding=%s", o->rounding);
  if (takes[stage] & COST)
    nib_text_printf(t, " cost-model=%s", o->cost_model ? o->cost_model : "analytic");
  if (takes[stage] & SIZE && o->size)
    nib_text_printf(t, " size=true");
  if (takes[stage] & THREADS && o->threads > 1)
    nib_text_printf(t, " threads=%lld", (long long)o->threads);
  if (takes[stage] & ARENA && o->max_arena_bytes >= 0)
    nib_text_printf(t, " max-arena=%lld", (long long)o->max_arena_bytes);
  if (takes[stage] & FALLBACK && o->no_fallback)
    nib_text_printf(t, " no-fallback=true");
  if (takes[stage] & FILES)
    nib_text_printf(t, " name=%s out=%s weights=%s", s->name, out_dir,
                    o->weights ? o->weights : "words");
  if (takes[stage] & FILES && o->unroll > 0)
    nib_text_printf(t, " unroll=%lld", (long long)o->unroll);
  char *formats = takes[stage] & FORMATS ? nibc_weight_formats(o) : NULL;
  if (formats)
    nib_text_printf(t, " weight-formats=%s weight-scale=%s", formats,
                    o->weight_scale ? o->weight_scale : "source");
  free(formats);
  if (takes[stage] & FORMATS && o->activation_format)
    nib_text_printf(t, " activation-format=%s", o->activation_format);
  if (takes[stage] & FORMATS && o->decode_weights)
    nib_text_printf(t, " decode-weights=%s", o->decode_weights);
  if (takes[stage] & FORMATS && nibc_has_narrow_floats(o))
    nib_text_printf(t, " precision=%s", o->precision);
  char *sums = takes[stage] & FORMATS ? join(&o->accumulate) : NULL;
  if (sums)
    nib_text_printf(t, " accumulate=%s", sums);
  free(sums);
  char *forms = takes[stage] & FORMS && o->prefer.n ? nibc_preferred_forms(o) : NULL;
  if (forms)
    nib_text_printf(t, " prefer=%s", forms);
  free(forms);
  nib_text_printf(t, "}");
}

static nib_status pipeline_failed(const char *what) {
  const nib_status noted = nib_pass_status_take();
  if (!nibc_error_count())
    nibc_error("%s failed", what);
  return noted != NIB_OK ? noted : NIB_ERROR_INVALID_INPUT;
}

/* Runs "builtin.module(...)" on the module. */
static nib_status run_passes(nibc_session *s, const char *pipeline, const char *what,
                             nib_status if_malformed) {
  const nibc_options *o = s->options;
  MlirPassManager manager = mlirPassManagerCreate(s->context);
  mlirPassManagerEnableVerifier(manager, true);
  if (o->print_ir_after_all) {
    MlirOpPrintingFlags flags = mlirOpPrintingFlagsCreate();
    mlirOpPrintingFlagsElideLargeElementsAttrs(flags, 16);
    mlirOpPrintingFlagsElideLargeResourceString(flags, 64);
    mlirPassManagerEnableIRPrinting(manager, false, true, true, false, false, flags, ref(""));
    mlirOpPrintingFlagsDestroy(flags);
  }
  if (o->timing)
    mlirPassManagerEnableTiming(manager);
  nib_text message;
  nib_text_init(&message);
  nib_status status = NIB_OK;
  nib_pass_status_take();
  if (mlirLogicalResultIsFailure(mlirParsePassPipeline(mlirPassManagerGetAsOpPassManager(manager),
                                                       ref(pipeline), append, &message)))
    status = nibc_fail(if_malformed, "pass pipeline '%s': %s", pipeline,
                       message.data ? message.data : "not understood");
  else if (mlirLogicalResultIsFailure(
               mlirPassManagerRunOnOp(manager, mlirModuleGetOperation(s->module))))
    status = pipeline_failed(what);
  nib_text_free(&message);
  mlirPassManagerDestroy(manager);
  return status;
}

static nib_status run_stages(nibc_session *s, nibc_stage first, nibc_stage last,
                             const char *out_dir) {
  nib_text pipeline;
  nib_text_init(&pipeline);
  nib_text_printf(&pipeline, "builtin.module(");
  for (int i = first; i <= (int)last; ++i) {
    nib_text_printf(&pipeline, i > (int)first ? "," : "");
    pass_text(s, (nibc_stage)i, out_dir, &pipeline);
  }
  nib_text_printf(&pipeline, ")");
  nib_status status =
      pipeline.failed ? nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory") : NIB_OK;
  if (status == NIB_OK) {
    const double begin = nibc_step_begin(first == last ? stages[first].word : "passes");
    status = run_passes(s, pipeline.data, stages[last].word, NIB_ERROR_INTERNAL);
    nibc_step_end(begin, status);
  }
  nib_text_free(&pipeline);
  return status;
}

nib_status nibc_session_run(nibc_session *s, nibc_stage from, nibc_stage to, bool keep_simplified) {
  const bool together = s->options->timing && !keep_simplified;
  nibc_stage first = (nibc_stage)(from + 1);
  while (first <= to) {
    const nibc_stage last = together ? to : first;
    NIB_RETURN_IF_ERROR(run_stages(s, first, last, NULL));
    if (last == NIBC_STAGE_QUANTIZE &&
        (s->options->weight_formats.n || s->options->activation_format) &&
        !(s->quantized = nibc_session_graph(s)))
      return NIB_ERROR_INTERNAL;
    if (last == NIBC_STAGE_SIMPLIFY && keep_simplified && !(s->simplified = nibc_session_graph(s)))
      return NIB_ERROR_INTERNAL;
    first = (nibc_stage)(last + 1);
  }
  const bool last = nibc_is_lowered(s->options) && to == NIBC_STAGE_SIMPLIFY;
  if ((to >= NIBC_STAGE_PLAN || last) && !(s->planned = nibc_session_graph(s)))
    return NIB_ERROR_INTERNAL;
  return NIB_OK;
}

nib_status nibc_session_run_text(nibc_session *s, const char *pipeline) {
  return run_passes(s, pipeline, "the pass pipeline", NIB_ERROR_INVALID_USAGE);
}

int nibc_session_sources(const nibc_session *s, char *out_names[NIBC_MOST_SOURCES]) {
  const bool lowered = nibc_is_lowered(s->options), cuda = nib_target_is_cuda(&s->target);
  const int n = lowered ? 1 : cuda ? 3 : 2;
  out_names[0] = nibc_format(lowered ? "%s.ll" : "%s.c", s->name);
  out_names[1] = n > 1 ? nibc_format("%s_weights.c", s->name) : NULL;
  out_names[2] = n > 2 ? nibc_format("nibrt_cuda.c") : NULL;
  return n;
}

/* The pass takes the folder as text inside a pipeline, whose grammar not every path survives: it
 * writes to the current folder, which is changed for the time of the pass. */
nib_status nibc_session_emit(nibc_session *s, const char *dir) {
  if (nibc_is_lowered(s->options))
    return nibc_lowered_write(s, dir);
  const int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (home < 0 || chdir(dir)) {
    const nib_status status = nibc_fail(NIB_ERROR_IO, "%s: %s", dir, strerror(errno));
    if (home >= 0)
      close(home);
    return status;
  }
  nib_status status = run_stages(s, NIBC_STAGE_EMIT, NIBC_STAGE_EMIT, ".");
  if (fchdir(home) && status == NIB_OK)
    status = nibc_fail(NIB_ERROR_IO, "cannot return to the working folder: %s", strerror(errno));
  close(home);
  return status;
}

nib_status nibc_session_print(nibc_session *s, char **out_text, size_t *out_size) {
  nib_text text;
  nib_text_init(&text);
  MlirOpPrintingFlags flags = mlirOpPrintingFlagsCreate();
  mlirOpPrintingFlagsEnableDebugInfo(flags, true, false);
  mlirOperationPrintWithFlags(mlirModuleGetOperation(s->module), flags, append, &text);
  mlirOpPrintingFlagsDestroy(flags);
  if (text.failed || !text.data) {
    nib_text_free(&text);
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  }
  *out_text = text.data;
  *out_size = text.size;
  return NIB_OK;
}
