/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The table of options and its parser. */
#include "options.h"
#include "message.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind {
  OPTION_FLAG,
  OPTION_TEXT,
  OPTION_CHOICE, /* one of the words in `choices`, separated by | */
  OPTION_COUNT,  /* an integer of at least 1 */
  OPTION_BYTES,  /* an integer with an optional K or M */
  OPTION_LIST,   /* text, may be repeated */
} option_kind;

enum {
  ON_COMPILE = 1 << NIBC_COMPILE,
  ON_RUN = 1 << NIBC_RUN,
  ON_VERIFY = 1 << NIBC_VERIFY,
  ON_INSPECT = 1 << NIBC_INSPECT,
  ON_TARGETS = 1 << NIBC_TARGETS,
  ON_FORMATS = 1 << NIBC_FORMATS,
  ON_BUILD = ON_COMPILE | ON_RUN | ON_VERIFY, /* run and verify take every option of compile */
  ON_MODEL = ON_BUILD | ON_INSPECT,
  ON_ALL = ON_MODEL | ON_TARGETS | ON_FORMATS,
};

typedef struct option_row {
  const char *name;
  char letter;
  int commands;
  option_kind kind;
  size_t offset;
  const char *value;   /* placeholder in the help; NULL for flags */
  const char *choices; /* OPTION_CHOICE */
  const char *help;
} option_row;

#define AT(field) offsetof(nibc_options, field)

static const option_row options[] = {
    {"input", 'i', ON_RUN | ON_VERIFY, OPTION_LIST, AT(inputs), "X.npy", NULL,
     "input data; repeat in the model's order"},
    {"output", 0, ON_RUN, OPTION_LIST, AT(outputs), "Y.npy", NULL,
     "where to write an output; repeat in the model's order"},
    {"repeat", 0, ON_RUN, OPTION_COUNT, AT(repeat), "N", NULL,
     "run each input N times (default 1)"},
    {"count", 0, ON_RUN, OPTION_FLAG, AT(count), NULL, NULL,
     "RISC-V: count the first run's instructions, per kernel, without an operating system"},
    {"vlen", 0, ON_RUN | ON_VERIFY, OPTION_COUNT, AT(vlen), "BITS", NULL,
     "RISC-V: vector length of the emulated processor (default: the target's, or 128)"},
    {"json", 0, ON_RUN, OPTION_FLAG, AT(json), NULL, NULL,
     "end with one line of JSON: median_us, min_us, max_us, runs; or what --count counts"},
    {"json", 0, ON_FORMATS, OPTION_FLAG, AT(json), NULL, NULL, "print JSON"},
    {"expect", 0, ON_VERIFY, OPTION_LIST, AT(expects), "Y.npy", NULL,
     "the output to compare with; repeat in the model's order"},
    {"test-data", 0, ON_VERIFY, OPTION_TEXT, AT(test_data), "DIR", NULL,
     "an ONNX test_data_set folder: input_N.pb and output_N.pb"},
    {"per-layer", 0, ON_VERIFY, OPTION_FLAG, AT(per_layer), NULL, NULL,
     "compare every intermediate tensor, name the first that differs"},
    {"output-dir", 'o', ON_BUILD, OPTION_TEXT, AT(out_dir), "DIR", NULL,
     "folder to write to, created if absent"},
    {"name", 0, ON_MODEL, OPTION_TEXT, AT(name), "NAME", NULL,
     "prefix of files and symbols (default: the model's file name)"},
    {"target", 0, ON_BUILD, OPTION_TEXT, AT(target), "T", NULL,
     "processor or GPU: NAME{(+|,)[+|-]feature}, see `nibc targets` (default native)"},
    {"emit", 0, ON_BUILD, OPTION_CHOICE, AT(emit), "KIND", "c|llvm|asm|obj|lib|mlir|cuda|ptx|cubin",
     "what to write (default c); mlir prints the IR; the last three are for CUDA targets"},
    {"codegen", 0, ON_BUILD, OPTION_CHOICE, AT(codegen), "BY", "c|mlir",
     "generated C (default), or the reference lowering through linalg to LLVM"},
    {"stop-after", 0, ON_BUILD, OPTION_CHOICE, AT(stop_after), "STAGE",
     "import|quantize|simplify|fuse|plan|select", "print the IR after this stage and stop"},
    {"rounding", 0, ON_MODEL, OPTION_TEXT, AT(rounding), "MODE", NULL,
     "rounding of the integer arithmetic (default: what the model's format defines)"},
    {"precision", 0, ON_BUILD, OPTION_CHOICE, AT(precision), "P", "f32|f16|bf16|int8",
     "arithmetic to use (default: the model's own)"},
    {"dim", 0, ON_MODEL, OPTION_LIST, AT(dims), "NAME=N", NULL,
     "value of a symbolic dimension; repeatable"},
    {"threads", 0, ON_BUILD, OPTION_COUNT, AT(threads), "N", NULL, "threads that kernels may be cut for (default 1)"},
    {"max-arena", 0, ON_BUILD, OPTION_BYTES, AT(max_arena_bytes), "BYTES", NULL,
     "fail with status 5 if the arena exceeds this (K, M allowed)"},
    {"no-fallback", 0, ON_BUILD, OPTION_FLAG, AT(no_fallback), NULL, NULL,
     "fail with status 5 if an operator does not run as asked, or not in vector code"},
    {"integer-only", 0, ON_BUILD, OPTION_FLAG, AT(integer_only), NULL, NULL,
     "fail with status 4 if anything computes in float; no float instruction in the code"},
    {"size", 0, ON_BUILD, OPTION_FLAG, AT(size), NULL, NULL, "prefer small code to fast code"},
    {"weights", 0, ON_BUILD, OPTION_CHOICE, AT(weights), "FORM", "words|bytes",
     "how constants are written in C (default words: 64-bit hexadecimal)"},
    {"weight-format", 0, ON_BUILD, OPTION_LIST, AT(weight_formats), "[NAME=]FORMAT", NULL,
     "format of constant weights, of all or of those called NAME (* and ? allowed); repeatable"},
    {"weight-scale", 0, ON_BUILD, OPTION_CHOICE, AT(weight_scale), "HOW", "source|absmax|mse",
     "scales of encoded weights: as the format's source does (default), or of least squared error"},
    {"activation-format", 0, ON_BUILD, OPTION_TEXT, AT(activation_format), "FORMAT", NULL,
     "cast activations of dense layers with weights in blocks to a format of blocks, such as q8_0"},
    {"decode-weights", 0, ON_BUILD, OPTION_CHOICE, AT(decode_weights), "HOW", "exact|operand",
     "multiply weights of few bits as they are (default), or rounded to the type of f16 or bf16 activations"},
    {"accumulate", 0, ON_BUILD, OPTION_LIST, AT(accumulate), "[NAME=]FORMAT", NULL,
     "with --precision=f16, sum products in f16 (default) or f32, of all layers or of those called NAME; repeatable"},
    {"cost-model", 0, ON_BUILD, OPTION_TEXT, AT(cost_model), "MODEL", NULL,
     "what decides between candidates (default analytic)"},
    {"unroll", 0, ON_BUILD, OPTION_COUNT, AT(unroll), "N", NULL,
     "steps of products between two ends of their loop (default: by target; 1 with --size)"},
    {"prefer", 0, ON_BUILD, OPTION_LIST, AT(prefer), "FORM", NULL,
     "form that kernels take where they can, SCHEDULE[/VOCABULARY][:TILE] as --explain says them, * for any number; repeatable, best first"},
    {"report", 0, ON_BUILD, OPTION_TEXT, AT(report), "FILE.json", NULL,
     "write what was asked and what was done, per operator"},
    {"explain", 0, ON_BUILD, OPTION_FLAG, AT(explain), NULL, NULL,
     "say for each kernel what was weighed and why the choice won; in --report as well"},
    {"dry-run", 0, ON_BUILD, OPTION_FLAG, AT(dry_run), NULL, NULL,
     "do everything but write and run"},
    {"no-cache", 0, ON_RUN | ON_VERIFY, OPTION_FLAG, AT(no_cache), NULL, NULL,
     "neither read nor write the cache of compiled objects"},
    {"pass-pipeline", 0, ON_COMPILE, OPTION_TEXT, AT(pass_pipeline), "P", NULL,
     "run these passes instead of the standard ones, as in mlir-opt"},
    {"mlir-print-ir-after-all", 0, ON_BUILD, OPTION_FLAG, AT(print_ir_after_all), NULL, NULL,
     "print the IR after each pass, to stderr"},
    {"mlir-timing", 0, ON_BUILD, OPTION_FLAG, AT(timing), NULL, NULL,
     "print the time of each pass, to stderr"},
    {"color", 0, ON_ALL, OPTION_CHOICE, AT(color), "WHEN", "auto|always|never",
     "colour messages (default auto: on a terminal)"},
    {"verbose", 'v', ON_MODEL, OPTION_FLAG, AT(verbose), NULL, NULL, "say what is being done"},
    {"help", 'h', ON_ALL, OPTION_FLAG, AT(help), NULL, NULL, "this text"},
};
enum { OPTION_COUNT_ = sizeof options / sizeof options[0] };

/* Edits (insert, delete, replace) from one word to another, at most 64 letters. */
static int edit_distance(const char *a, const char *b) {
  int row[65];
  const int m = (int)strlen(a), n = (int)strlen(b);
  if (m > 64 || n > 64)
    return 64;
  for (int j = 0; j <= n; ++j)
    row[j] = j;
  for (int i = 1; i <= m; ++i) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= n; ++j) {
      const int replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      const int shorter = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
      row[j] = replaced < shorter ? replaced : shorter;
    }
  }
  return row[n];
}

static bool unknown_option(nibc_command_id command, const char *word, const char *name) {
  const char *best = NULL;
  int best_distance = 4;
  for (int i = 0; i < OPTION_COUNT_; ++i) {
    const int distance = edit_distance(name, options[i].name);
    if ((options[i].commands >> command & 1) && distance < best_distance) {
      best_distance = distance;
      best = options[i].name;
    }
  }
  nibc_error("unknown option '%s' of 'nibc %s'", word, nibc_command_name(command));
  if (best)
    nibc_hint("did you mean --%s?", best);
  else
    nibc_hint("'nibc help %s' lists its options", nibc_command_name(command));
  return false;
}

static bool is_choice(const char *choices, const char *value) {
  const size_t size = strlen(value);
  for (const char *at = choices; size; ++at) {
    const size_t n = strcspn(at, "|");
    if (n == size && memcmp(at, value, n) == 0)
      return true;
    at += n;
    if (!*at)
      return false;
  }
  return false;
}

static bool parse_integer(const char *text, bool suffix_allowed, int64_t *out_value) {
  char *end = NULL;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  int64_t scale = 1;
  if (end != text && suffix_allowed && (*end == 'K' || *end == 'M'))
    scale = *end++ == 'K' ? 1024 : 1024 * 1024;
  if (errno || end == text || *end || text[0] == ' ' || value > INT64_MAX / scale)
    return false;
  *out_value = value * scale;
  return value >= 0;
}

static bool store(const option_row *row, const char *value, nibc_options *o) {
  void *field = (char *)o + row->offset;
  int64_t number = 0;
  switch (row->kind) {
  case OPTION_FLAG:
    *(bool *)field = true;
    return true;
  case OPTION_CHOICE:
    if (!is_choice(row->choices, value)) {
      nibc_error("--%s: '%s' is none of %s", row->name, value, row->choices);
      return false;
    }
    *(const char **)field = value;
    return true;
  case OPTION_TEXT:
    if (!*value) {
      nibc_error("--%s needs a value (%s)", row->name, row->value);
      return false;
    }
    *(const char **)field = value;
    return true;
  case OPTION_COUNT:
  case OPTION_BYTES:
    if (!parse_integer(value, row->kind == OPTION_BYTES, &number) ||
        (row->kind == OPTION_COUNT && (number < 1 || number > 1000000000))) {
      nibc_error("--%s: '%s' is not a %s", row->name, value,
                 row->kind == OPTION_COUNT ? "positive number" : "number of bytes");
      return false;
    }
    *(int64_t *)field = number;
    return true;
  case OPTION_LIST: {
    nibc_list *list = field;
    if (list->n == NIBC_MAX_LIST) {
      nibc_error("--%s: more than %d", row->name, NIBC_MAX_LIST);
      return false;
    }
    list->items[list->n++] = value;
    return true;
  }
  }
  return false;
}

/* The row of a word that starts with '-', and its value if that is part of the word. */
static const option_row *find_option(nibc_command_id command, const char *word,
                                     const char **out_value) {
  *out_value = NULL;
  char name[64] = "";
  if (word[1] == '-') {
    const size_t size = strcspn(word + 2, "=");
    if (size >= sizeof name)
      return NULL;
    memcpy(name, word + 2, size);
    if (word[2 + size] == '=')
      *out_value = word + 3 + size;
  }
  for (int i = 0; i < OPTION_COUNT_; ++i) {
    const option_row *row = &options[i];
    if (!(row->commands >> command & 1))
      continue;
    if (word[1] == '-' ? strcmp(row->name, name) == 0 : row->letter && row->letter == word[1]) {
      if (word[1] != '-' && word[2])
        *out_value = word[2] == '=' ? word + 3 : word + 2;
      return row;
    }
  }
  unknown_option(command, word, word[1] == '-' ? name : word + 1);
  return NULL;
}

static bool check_dims(const nibc_options *o) {
  for (int i = 0; i < o->dims.n; ++i) {
    const char *equal = strchr(o->dims.items[i], '=');
    int64_t value = 0;
    if (!equal || equal == o->dims.items[i] || !parse_integer(equal + 1, false, &value) ||
        value < 1) {
      nibc_error("--dim: '%s' is not NAME=N with N at least 1", o->dims.items[i]);
      return false;
    }
  }
  return true;
}

bool nibc_options_parse(nibc_command_id command, int argc, char **argv, nibc_options *o) {
  memset(o, 0, sizeof *o);
  o->command = command;
  o->threads = 1;
  o->repeat = 1;
  o->max_arena_bytes = -1;
  bool only_operands = false;
  for (int i = 0; i < argc; ++i) {
    const char *word = argv[i];
    if (only_operands || word[0] != '-' || word[1] == 0) {
      if (o->model || command == NIBC_TARGETS) {
        nibc_error("'%s': %s", word,
                   !o->model                 ? "'nibc targets' takes no argument"
                   : command == NIBC_FORMATS ? "only one format is allowed"
                                             : "only one model is allowed");
        nibc_hint("'nibc help %s' shows the usage", nibc_command_name(command));
        return false;
      }
      o->model = word;
      continue;
    }
    if (strcmp(word, "--") == 0) {
      only_operands = true;
      continue;
    }
    const char *value = NULL;
    const option_row *row = find_option(command, word, &value);
    if (!row)
      return false;
    if (row->kind == OPTION_FLAG && value) {
      nibc_error("--%s takes no value", row->name);
      return false;
    }
    if (row->kind != OPTION_FLAG && !value) {
      if (i + 1 >= argc) {
        nibc_error("--%s needs a value (%s)", row->name, row->value);
        return false;
      }
      value = argv[++i];
    }
    if (!store(row, value, o))
      return false;
  }
  return check_dims(o);
}

void nibc_help_options(FILE *to, nibc_command_id command) {
  for (int i = 0; i < OPTION_COUNT_; ++i) {
    const option_row *row = &options[i];
    if (!(row->commands >> command & 1))
      continue;
    char left[96], letter[8] = "";
    if (row->letter)
      snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->value ? "=" : "",
             row->value ? row->value : "");
    fprintf(to, "  %-26s %s\n", left, row->help);
    if (row->choices)
      fprintf(to, "  %-26s %s\n", "", row->choices);
  }
}
