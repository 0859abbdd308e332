#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles a Llama network with nibc and measures or generates with it. Standard library only.

  llama.py loss MODEL --tokenizer T --text FILE [--at-most LOSS] [--at-least LOSS]
  llama.py generate MODEL --tokenizer T [--prompt TEXT] [--steps N] [--expect FILE]
  llama.py table MODEL --tokenizer T --text FILE FORMAT...

MODEL is a GGUF file or a checkpoint of llama2.c, the tokenizer llama2.c's tokenizer.bin. Options of `nibc
compile` follow after `--`, as in `-- --weight-format=q4_0`.

loss: stories are separated by <|endoftext|>; each begins with the token <s>, and the mean is over all tokens
predicted (nats). Curly quotes count as straight ones.
generate: the likeliest token each time. --expect compares the text with the first fenced block of a Markdown
file that starts with a shell command (the command's line is left out).
"""
import argparse
import array
import ctypes
import json
import math
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

BOS = 1
BYTES = 3  # the token of byte 0


class Tokenizer:
    """Byte-pair encoding as llama2.c does it (run.c, encode and decode)."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        self.pieces, self.scores, at = [], [], 4
        while at < len(data):
            score, size = struct.unpack_from("<fi", data, at)
            self.pieces.append(data[at + 8 : at + 8 + size])
            self.scores.append(score)
            at += 8 + size
        self.ids = {}
        for i, piece in enumerate(self.pieces):
            self.ids.setdefault(piece, i)

    def encode(self, text):
        tokens = [self.ids[b" "]] if text else []
        for character in text:
            piece = character.encode()
            tokens += [self.ids[piece]] if piece in self.ids else [byte + BYTES for byte in piece]
        while True:
            best = None
            for i in range(len(tokens) - 1):
                merged = self.ids.get(self.pieces[tokens[i]] + self.pieces[tokens[i + 1]])
                if merged is not None and (best is None or self.scores[merged] > self.scores[best[1]]):
                    best = (i, merged)
            if best is None:
                return [BOS] + tokens
            tokens[best[0] : best[0] + 2] = [best[1]]

    def decode(self, tokens):
        text = b""
        for before, token in zip(tokens, tokens[1:]):
            piece = self.pieces[token]
            byte = re.fullmatch(rb"<0x([0-9A-F]{2})>", piece)
            piece = bytes([int(byte[1], 16)]) if byte else piece
            text += piece[1:] if before == BOS and piece[:1] == b" " else piece
        return text.decode(errors="replace")


class Model:
    """A network with a window of `window` tokens, compiled and loaded."""

    def __init__(self, args, window, extra=()):
        self.folder = tempfile.TemporaryDirectory()
        out = pathlib.Path(self.folder.name)
        command = [args.nibc, "compile", args.model, "-o", out, "--name=llama", f"--target={args.target}"]
        subprocess.run(command + [f"--dim=seq={window}", *extra, *args.options], check=True, stdout=subprocess.DEVNULL)
        sources = [out / "llama.c", out / "llama_weights.c"]
        subprocess.run([args.cc, "-O2", "-fPIC", "-shared", "-o", out / "llama.so", *sources, "-lm"], check=True)
        header = (out / "llama.h").read_text()
        self.window, self.vocabulary = window, int(re.search(r"float\[\d+x(\d+)\]  logits", header)[1])
        self.run = ctypes.CDLL(out / "llama.so").llama
        arena = int(re.search(r"LLAMA_ARENA_BYTES (\d+)u", header)[1])
        self.memory = ctypes.create_string_buffer(arena + 64)
        address = ctypes.addressof(self.memory)
        self.arena = ctypes.c_void_p((address + 63) // 64 * 64)

    def logits(self, tokens):
        """One row for each token; tokens behind the last do not matter."""
        tokens = array.array("i", list(tokens) + [0] * (self.window - len(tokens)))
        out = (ctypes.c_float * (self.window * self.vocabulary))()
        status = self.run((ctypes.c_int32 * self.window)(*tokens), out, self.arena)
        if status != 0:
            sys.exit(f"the network returned status {status}")
        return [out[i * self.vocabulary : (i + 1) * self.vocabulary] for i in range(self.window)]


def stories(args, tokenizer):
    text = pathlib.Path(args.text).read_text(encoding="utf-8")
    for curly, straight in (("“", '"'), ("”", '"'), ("‘", "'"), ("’", "'")):
        text = text.replace(curly, straight)
    return [tokenizer.encode(story.strip()) for story in text.split("<|endoftext|>") if story.strip()]


def loss(model, token_lists):
    total, count = 0.0, 0
    for tokens in token_lists:
        for row, wanted in zip(model.logits(tokens), tokens[1:]):
            most = max(row)
            total += most + math.log(math.fsum(math.exp(x - most) for x in row)) - row[wanted]
            count += 1
    return total / count, count


def measure(args, tokenizer, extra=()):
    token_lists = stories(args, tokenizer)
    model = Model(args, max(map(len, token_lists)), extra)
    return loss(model, token_lists)


def command_loss(args, tokenizer):
    mean, count = measure(args, tokenizer)
    print(f"{mean:.4f} nats per token over {count} tokens")
    return not args.at_least <= mean <= args.at_most


def expected_text(path):
    return re.search(r"```\n\$ [^\n]*\n(.*?)\n```", pathlib.Path(path).read_text(encoding="utf-8"), re.S)[1]


def generate(model, tokens, steps, draft):
    """The likeliest continuation. Where `draft` guesses it right, one run finds many tokens of it."""
    while len(tokens) <= steps:
        guess = tokens + draft[len(tokens) : steps] if draft[: len(tokens)] == tokens else tokens
        rows = model.logits(guess)
        for position in range(len(tokens) - 1, len(guess)):
            token = max(range(model.vocabulary), key=rows[position].__getitem__)
            if token == BOS:
                return tokens
            tokens.append(token)
            if guess[position + 1 : position + 2] != [token]:
                break
    return tokens


def command_generate(args, tokenizer):
    wanted = expected_text(args.expect) if args.expect else ""
    model = Model(args, args.steps)
    tokens = generate(model, tokenizer.encode(args.prompt), args.steps, tokenizer.encode(wanted))
    text = tokenizer.decode(tokens)
    print(text)
    if not args.expect:
        return False
    if text == wanted:
        print(f"[{len(tokens) - 1} tokens, as expected]")
    return text != wanted


def weights(args, extra):
    """What the compiler reports of the weights that it encoded."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [args.nibc, "compile", args.model, "--dim=seq=1", "--target=c99", "--stop-after=select"]
        command += [f"--report={report}", *extra, *args.options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(report.read_text())["weights"]


def command_table(args, tokenizer):
    print("| weights | loss, nats per token | against f32 | SQNR, dB | bytes of matrices |")
    print("|---|---|---|---|---|")
    first, _ = measure(args, tokenizer)
    print(f"| f32 | {first:.4f} | | | {sum(w['source_bytes'] for w in weights(args, ['--weight-format=f16'])):,} |")
    for form in args.formats:
        extra = [f"--weight-format={form}"]
        mean, _ = measure(args, tokenizer, extra)
        made = weights(args, extra)
        noise = sum(10 ** (-w["sqnr_db"] / 10) for w in made) / len(made)
        size = sum(w["bytes"] for w in made)
        print(f"| {form} | {mean:.4f} | {mean - first:+.4f} | {-10 * math.log10(noise):.1f} | {size:,} |", flush=True)
    return False


def main():
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("loss", "generate", "table"))
    parser.add_argument("model")
    parser.add_argument("formats", nargs="*")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--text")
    parser.add_argument("--at-least", type=float, default=-math.inf)
    parser.add_argument("--at-most", type=float, default=math.inf)
    parser.add_argument("--prompt", default="")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--expect")
    parser.add_argument("--nibc", default="build/bin/nibc")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--target", default="c99")
    args = parser.parse_intermixed_args(words[:split])  # formats may follow options
    args.options = words[split + 1 :]
    commands = {"loss": command_loss, "generate": command_generate, "table": command_table}
    sys.exit(commands[args.command](args, Tokenizer(args.tokenizer)))


if __name__ == "__main__":
    main()
