/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The texts of `nibc help`. Option lines come from the table in options.c. */
#include "options.h"

#include <string.h>

typedef struct command_text {
  const char *name, *summary, *usage, *text;
} command_text;

static const command_text commands[NIBC_COMMAND_COUNT] = {
    [NIBC_COMPILE] =
        {"compile", "turn a model into C, an object or a library",
         "nibc compile MODEL -o DIR [options]",
         "Writes DIR/NAME.h, DIR/NAME.c, DIR/NAME_weights.c, DIR/nibrt_abi.h and an example\n"
         "DIR/NAME_main.c; `cc *.c -lm` in DIR builds the example. With --emit:\n"
         "  c      C11 sources (default)\n"
         "  llvm   NAME.ll, NAME_weights.ll and the headers, through clang\n"
         "  asm    NAME.s, NAME_weights.s and the headers\n"
         "  obj    NAME.o, NAME_weights.o and the headers\n"
         "  lib    libNAME.a and the headers\n"
         "  mlir   the IR: to standard output, or to DIR/NAME.mlir with -o\n"
         "With a CUDA target c and lib have the compiled kernels inside; nibrt_cuda.c, which "
         "finds\n"
         "the driver, is beside them (cc *.c -ldl -lm):\n"
         "  cuda   kernels as NAME.cu, and the C of the host\n"
         "  ptx    the same with NAME.ptx\n"
         "  cubin  the same with NAME.cubin (needs ptxas)\n"
         "Either all files are written or none. Prints a line per kernel, the arena with its\n"
         "lower bounds, and the size of weights and code.\n"
         "\n"
         "Examples:\n"
         "  nibc compile kws.tflite -o out\n"
         "  nibc compile kws.tflite -o out --target=x86-64-v4+avx512vnni --emit=lib\n"
         "  nibc compile kws.tflite -o out --target=sm_90a\n"
         "  nibc compile net.onnx --dim batch=1 -o out --max-arena=64K --report=net.json\n"
         "  nibc compile net.onnx --stop-after=simplify | less\n"
         "  nibc compile net.mlir --pass-pipeline='builtin.module(nib-simplify)' --emit=mlir\n"},
    [NIBC_RUN] =
        {"run", "compile a model and run it here on .npy files",
         "nibc run MODEL --input X.npy … [--output Y.npy …] [options]",
         "Compiles for this processor (or --target), loads the result and runs it. Prints the\n"
         "median, minimum and maximum time of the network alone, after one run that is not\n"
         "timed. An array of the model's exact shape, or one-dimensional with the exact element\n"
         "count, is one run; an extra leading dimension, or N in place of a leading 1, is a batch\n"
         "of N runs. Compiled objects are kept in $XDG_CACHE_HOME/nibble (~/.cache/nibble), named\n"
         "by the hash of what was compiled.\n"
         "\n"
         "Examples:\n"
         "  nibc run kws.tflite --input clips.npy --output scores.npy\n"
         "  nibc run kws.tflite --input clip.npy --repeat 1000 --json\n"},
    [NIBC_VERIFY] =
        {"verify", "compare the compiled model with the portable reference",
         "nibc verify MODEL [--input X.npy …] [--expect Y.npy …] [--test-data DIR] [options]",
         "Runs the compiled model and the reference evaluator on the same inputs; integers must\n"
         "be equal, floats within 1e-5 of the largest reference value (computed in double);\n"
         "with --precision=f16 or bf16 within 1/32 or 1/8 of that of f32.\n"
         "--expect compares with a file as well. For ONNX networks with quantize/dequantize\n"
         "pairs, the network in float as written is run too; more than one step of difference\n"
         "is an error. Where codes are made of reals that the network computes, these may be\n"
         "rounded to either of two codes: if results differ, every kernel is judged by itself,\n"
         "on the inputs that it had. Exit status 3 says that results differ.\n"
         "\n"
         "Examples:\n"
         "  nibc verify kws.tflite --input clips.npy\n"
         "  nibc verify kws.tflite --input clips.npy --expect golden.npy --target=c99\n"
         "  nibc verify net.onnx --test-data test_data_set_0 --per-layer\n"},
    [NIBC_INSPECT] =
        {"inspect", "show what is in a model", "nibc inspect MODEL [options]",
         "Lists operators and tensors with their formats and ranges, multiply-accumulates, bytes,\n"
         "and every operator that is not supported (exit status 4 if there are any).\n"
         "\n"
         "Example:\n"
         "  nibc inspect kws.tflite\n"},
    [NIBC_TARGETS] = {"targets", "list targets and features", "nibc targets",
                      "A target is NAME{(+|,)[+|-]feature}: a name of the table, then features to\n"
                      "add or to take away.\n"
                      "\n"
                      "Examples:\n"
                      "  --target=x86-64-v4+avx512vnni\n"
                      "  --target=native,-avx512vnni\n"},
    [NIBC_FORMATS] =
        {"formats", "list number formats, or show one with its values",
         "nibc formats [NAME] [options]",
         "Without NAME, a line for each format: bits for each element (of a block, with its\n"
         "scales), range, special values and source. With NAME, also a format that is spelled\n"
         "with parameters: where its bits lie, the value of each code (up to 8 bits), and how\n"
         "many numbers there are in each octave.\n"
         "\n"
         "Examples:\n"
         "  nibc formats\n"
         "  nibc formats f8E4M3FN\n"
         "  nibc formats q4_k\n"
         "  nibc formats 'e2m2:block=16,scale=e8m0'\n"},
};

static const char exit_statuses[] =
    "Exit status:\n"
    "  0  done\n"
    "  1  the input or the compilation failed\n"
    "  2  wrong usage\n"
    "  3  results differ\n"
    "  4  operators, types or options that are not supported (all of them are listed)\n"
    "  5  a stated limit is exceeded (--max-arena, --no-fallback)\n";

const char *nibc_command_name(nibc_command_id command) { return commands[command].name; }

nibc_command_id nibc_command_find(const char *name) {
  for (int i = 0; i < NIBC_COMMAND_COUNT; ++i)
    if (strcmp(commands[i].name, name) == 0)
      return (nibc_command_id)i;
  return NIBC_COMMAND_COUNT;
}

void nibc_help_general(FILE *to) {
  fprintf(to, "nibc compiles networks (TFLite, ONNX, GGUF, llama2.c, MLIR) to C.\n\n"
              "Usage: nibc COMMAND …\n\n"
              "Commands:\n");
  for (int i = 0; i < NIBC_COMMAND_COUNT; ++i)
    fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
  fprintf(to, "  %-9s %s\n", "help", "explain a command: nibc help compile");
  fprintf(to,
          "\n"
          "Options may be written --name=value or --name value. A MODEL is a .tflite, .onnx or\n"
          ".mlir file; - reads standard input. `nibc --version` prints the version.\n\n"
          "Example:\n"
          "  nibc compile kws.tflite -o out\n\n%s",
          exit_statuses);
}

void nibc_help_command(FILE *to, nibc_command_id command) {
  const command_text *c = &commands[command];
  fprintf(to, "nibc %s: %s\n\nUsage: %s\n\n%s\nOptions:\n", c->name, c->summary, c->usage, c->text);
  nibc_help_options(to, command);
  fprintf(to, "\n%s", exit_statuses);
}
