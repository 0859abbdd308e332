// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The operations of the `nib` dialect: one for each row of codegen/graph/ops.def, and the kernel.
#ifndef NIB_OPS_TD
#define NIB_OPS_TD

include "NibDialect.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

def Nib_ConstantOp : Nib_Operator<"constant"> {
  let summary = "A constant tensor";
  let description = [{
    `value` holds the bytes of the result in the storage type of its elements, row-major. Large
    values are resources. The type after `as` is the result's where it is not `value`'s own: a
    quantized tensor, or `i1`, which is stored as one byte for each element.

    ```mlir
    %w = nib.constant dense_resource<conv1_w> : tensor<8x3x3x1xi8>
    %q = nib.constant dense<[1, -2]> : tensor<2xi8> as tensor<2x!quant.uniform<i8:f32, 0.5>>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let assemblyFormat = "$value custom<ConstantType>(ref($value), type($result)) attr-dict";
}

//===----------------------------------------------------------------------===//
// Operators with a filter
//===----------------------------------------------------------------------===//

def Nib_Conv2DOp : Nib_Filter<"conv2d", [{
    oilist(`strides` custom<Ints>($strides) | `dilations` custom<Ints>($dilations) |
           `pads` custom<Ints>($pads) | `groups` $groups | `activation` $activation |
           `clamp` custom<Ints>($clamp) | `rounding` $rounding)}]> {
  let summary = "Two-dimensional convolution";
  let description = [{
    `y = act(requant(conv(x - zx, w - zw) + bias))`. The input is NHWC, the filter
    `[O, KH, KW, I / groups]`, the bias `[O]`: i32 at the scale `sx * sw` (i64 where activations are
    i16), or f32. With `scales`, `[O]` or `[1]` of f32, the filter is plain `i8` and each output
    channel has its own scale; otherwise a quantized filter has the scale of its type. A result of
    plain i32 or i64 is the accumulator itself.

    `pads` is `[top, left, bottom, right]`, `clamp` the range of the result's codes.

    ```mlir
    %y = nib.conv2d %x, %w bias %b scales %s strides [2, 2] pads [0, 0, 1, 1] activation "relu"
           rounding "tflite-double"
         : (tensor<1x8x8x3x!quant.uniform<i8:f32, 0.5:3>>, tensor<4x3x3x3xi8>, tensor<4xi32>,
            tensor<4xf32>) -> tensor<1x4x4x4x!quant.uniform<i8:f32, 0.25:-128>>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$filter, Optional<Nib_Tensor>:$bias,
      Optional<Nib_Tensor>:$filter_scales, Nib_Ints:$strides, Nib_Ints:$dilations, Nib_Ints:$pads,
      Nib_Int:$groups, Nib_String:$activation, Nib_Ints:$clamp, Nib_String:$rounding);
}

def Nib_DepthwiseConv2DOp : Nib_Filter<"depthwise_conv2d", [{
    oilist(`strides` custom<Ints>($strides) | `dilations` custom<Ints>($dilations) |
           `pads` custom<Ints>($pads) | `activation` $activation |
           `clamp` custom<Ints>($clamp) | `rounding` $rounding)}]> {
  let summary = "Convolution of each channel with its own filters";
  let description = [{
    As `nib.conv2d`, but channel `c` of the input gives the output channels `c * m … c * m + m - 1`
    alone. The filter is `[1, KH, KW, C * m]`.

    ```mlir
    %y = nib.depthwise_conv2d %x, %w pads [1, 1, 1, 1]
         : (tensor<1x5x5x4xf32>, tensor<1x3x3x4xf32>) -> tensor<1x5x5x4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$filter, Optional<Nib_Tensor>:$bias,
      Optional<Nib_Tensor>:$filter_scales, Nib_Ints:$strides, Nib_Ints:$dilations, Nib_Ints:$pads,
      Nib_String:$activation, Nib_Ints:$clamp, Nib_String:$rounding);
}

def Nib_TransposeConv2DOp : Nib_Filter<"transpose_conv2d", [{
    oilist(`strides` custom<Ints>($strides) | `pads` custom<Ints>($pads) |
           `activation` $activation | `clamp` custom<Ints>($clamp) | `rounding` $rounding)}]> {
  let summary = "Transposed convolution";
  let description = [{
    Every input pixel adds its filter-weighted copy to the output, `strides` apart; `pads` are cut
    off the result. The filter is `[O, KH, KW, I]`; bias and scales as in `nib.conv2d`.

    ```mlir
    %y = nib.transpose_conv2d %x, %w strides [2, 2]
         : (tensor<1x3x3x4xf32>, tensor<2x2x2x4xf32>) -> tensor<1x6x6x2xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$filter, Optional<Nib_Tensor>:$bias,
      Optional<Nib_Tensor>:$filter_scales, Nib_Ints:$strides, Nib_Ints:$pads,
      Nib_String:$activation, Nib_Ints:$clamp, Nib_String:$rounding);
}

def Nib_FullyConnectedOp : Nib_Filter<"fully_connected", [{
    oilist(`activation` $activation | `clamp` custom<Ints>($clamp) | `rounding` $rounding |
           `decode` $decode)}]> {
  let summary = "A dense layer";
  let description = [{
    Each row of `I` inputs times the filter `[O, I]`; bias and scales as in `nib.conv2d`. With
    `decode "operand"` and inputs of f16 or bf16 each weight is rounded to their type before it is
    multiplied; by default (`"exact"`) it is the f32 number that its format means.

    ```mlir
    %y = nib.fully_connected %x, %w bias %b
         : (tensor<1x16xf32>, tensor<10x16xf32>, tensor<10xf32>) -> tensor<1x10xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$filter, Optional<Nib_Tensor>:$bias,
      Optional<Nib_Tensor>:$filter_scales, Nib_String:$activation, Nib_Ints:$clamp,
      Nib_String:$rounding, Nib_String:$decode);
}

def Nib_MatMulOp : Nib_Binary<"matmul", "(`rounding` $rounding^)?"> {
  let summary = "Matrix product";
  let description = [{
    `[…, M, K]` times `[…, K, N]`; the leading dimensions broadcast as in numpy.

    ```mlir
    %y = nib.matmul %a, %b : (tensor<2x3x4xf32>, tensor<4x5xf32>) -> tensor<2x3x5xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$lhs, Nib_Tensor:$rhs, Nib_String:$rounding);
}

//===----------------------------------------------------------------------===//
// Pooling and reduction
//===----------------------------------------------------------------------===//

def Nib_AvgPool2DOp : Nib_Unary<"avg_pool2d", [{
    oilist(`kernel` custom<Ints>($kernel) | `strides` custom<Ints>($strides) |
           `pads` custom<Ints>($pads) | `count_include_pad` $count_include_pad |
           `activation` $activation | `clamp` custom<Ints>($clamp) | `rounding` $rounding)}]> {
  let summary = "Average over windows";
  let description = [{
    `kernel` is `[h, w]`. Padding is not counted unless `count_include_pad` is 1.

    ```mlir
    %y = nib.avg_pool2d %x kernel [2, 2] strides [2, 2]
         : (tensor<1x4x4x3xf32>) -> tensor<1x2x2x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$kernel, Nib_Ints:$strides, Nib_Ints:$pads,
      Nib_Int:$count_include_pad, Nib_String:$activation, Nib_Ints:$clamp, Nib_String:$rounding);
}

def Nib_MaxPool2DOp : Nib_Unary<"max_pool2d", [{
    oilist(`kernel` custom<Ints>($kernel) | `strides` custom<Ints>($strides) |
           `pads` custom<Ints>($pads) | `activation` $activation |
           `clamp` custom<Ints>($clamp))}]> {
  let summary = "Maximum over windows";
  let description = [{
    Input and result have one element type: a maximum needs no arithmetic.

    ```mlir
    %y = nib.max_pool2d %x kernel [3, 3] strides [2, 2] pads [0, 0, 1, 1]
         : (tensor<1x4x4x3xf32>) -> tensor<1x2x2x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$kernel, Nib_Ints:$strides, Nib_Ints:$pads,
      Nib_String:$activation, Nib_Ints:$clamp);
}

def Nib_MeanOp : Nib_Unary<"mean",
    "oilist(`axes` custom<Ints>($axes) | `keep_dims` $keep_dims | `rounding` $rounding)"> {
  let summary = "Mean over dimensions";
  let description = [{
    The reduced dimensions `axes` remain as 1 if `keep_dims` is 1.

    ```mlir
    %y = nib.mean %x axes [1, 2] : (tensor<1x4x4x3xf32>) -> tensor<1x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$axes, Nib_Int:$keep_dims,
      Nib_String:$rounding);
}

def Nib_ReduceOp : Nib_Unary<"reduce",
    "oilist(`reduction` $reduction | `axes` custom<Ints>($axes) | `keep_dims` $keep_dims)"> {
  let summary = "Sum, product, minimum or maximum over dimensions";
  let description = [{
    `reduction` is "add" (without it), "mul", "min" or "max", `axes` all dimensions where absent;
    they remain as 1 if `keep_dims` is 1. Integers wrap.

    ```mlir
    %y = nib.reduce %x reduction "max" axes [1] : (tensor<2x5xf32>) -> tensor<2xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$axes, Nib_Int:$keep_dims,
      Nib_String:$reduction);
}

def Nib_CumulateOp : Nib_Unary<"cumulate", "oilist(`reduction` $reduction | `axis` $axis)"> {
  let summary = "Running sum, product, minimum or maximum along a dimension";
  let description = [{
    ```mlir
    %y = nib.cumulate %x reduction "add" axis 1 : (tensor<2x5xf32>) -> tensor<2x5xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Int:$axis, Nib_String:$reduction);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

class Nib_Arithmetic<string mnemonic> : Nib_Binary<mnemonic,
    "oilist(`activation` $activation | `clamp` custom<Ints>($clamp) | `rounding` $rounding)"> {
  let arguments = (ins Nib_Tensor:$lhs, Nib_Tensor:$rhs, Nib_String:$activation, Nib_Ints:$clamp,
      Nib_String:$rounding);
}

def Nib_AddOp : Nib_Arithmetic<"add"> {
  let summary = "Sum of two tensors";
  let description = [{
    Operands broadcast as in numpy and may have different scales.

    ```mlir
    %y = nib.add %a, %b activation "relu" : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    ```
  }];
}

def Nib_SubOp : Nib_Arithmetic<"sub"> {
  let summary = "Difference of two tensors";
  let description = [{
    ```mlir
    %y = nib.sub %a, %b : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
}

def Nib_MulOp : Nib_Arithmetic<"mul"> {
  let summary = "Elementwise product of two tensors";
  let description = [{
    ```mlir
    %y = nib.mul %a, %b clamp [-100, 100]
         : (tensor<4x!quant.uniform<i8:f32, 0.5>>, tensor<4x!quant.uniform<i8:f32, 0.5>>)
         -> tensor<4x!quant.uniform<i8:f32, 0.25>>
    ```
  }];
}

def Nib_DivOp : Nib_Binary<"div", "(`activation` $activation^)?"> {
  let summary = "Elementwise quotient of two tensors";
  let description = [{
    ```mlir
    %y = nib.div %a, %b : (tensor<2x3xf32>, tensor<1xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$lhs, Nib_Tensor:$rhs, Nib_String:$activation);
}

def Nib_ReluOp : Nib_Unary<"relu", "(`rounding` $rounding^)?"> {
  let summary = "max(x, 0)";
  let description = [{
    Quantized: rescaled to the result's scale where it is another one.

    ```mlir
    %y = nib.relu %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_String:$rounding);
  let hasFolder = 1;
}

def Nib_ClampOp : Nib_Unary<"clamp", "oilist(`min` $min | `max` $max | `rounding` $rounding)"> {
  let summary = "min(max(x, min), max)";
  let description = [{
    The bounds are in real units; a bound that is absent does not limit.

    ```mlir
    %y = nib.clamp %x min 0.0 max 6.0 : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Float:$min, Nib_Float:$max, Nib_String:$rounding);
  let hasCanonicalizeMethod = 1;
}

def Nib_LeakyReluOp : Nib_Unary<"leaky_relu", "oilist(`alpha` $alpha | `rounding` $rounding)"> {
  let summary = "x where positive, alpha * x elsewhere";
  let description = [{
    ```mlir
    %y = nib.leaky_relu %x alpha 0.1 : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Float:$alpha, Nib_String:$rounding);
}

def Nib_SigmoidOp : Nib_Unary<"sigmoid", "(`rounding` $rounding^)?"> {
  let summary = "1 / (1 + exp(-x))";
  let description = [{
    ```mlir
    %y = nib.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_String:$rounding);
}

def Nib_TanhOp : Nib_Unary<"tanh", "(`rounding` $rounding^)?"> {
  let summary = "Hyperbolic tangent";
  let description = [{
    ```mlir
    %y = nib.tanh %x : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_String:$rounding);
}

// A function of one real number, element by element: a row of codegen/params/functions.def.
class Nib_Function<string mnemonic, string text> : Nib_Unary<mnemonic, "(`rounding` $rounding^)?"> {
  let summary = text;
  let description = "```mlir\n%y = nib." # mnemonic #
                    " %x : (tensor<4xf32>) -> tensor<4xf32>\n```\n";
  let arguments = (ins Nib_Tensor:$input, Nib_String:$rounding);
}

def Nib_AbsOp : Nib_Function<"abs", "The absolute value">;
def Nib_NegOp : Nib_Function<"neg", "-x">;
def Nib_SignOp : Nib_Function<"sign", "1, 0 or -1: the sign of x">;
def Nib_CeilOp : Nib_Function<"ceil", "x rounded up to an integer">;
def Nib_FloorOp : Nib_Function<"floor", "x rounded down to an integer">;
def Nib_RoundOp : Nib_Function<"round", "x rounded to the nearest integer, ties to even">;
def Nib_SqrtOp : Nib_Function<"sqrt", "Square root">;
def Nib_RsqrtOp : Nib_Function<"rsqrt", "1 / sqrt(x)">;
def Nib_ReciprocalOp : Nib_Function<"reciprocal", "1 / x">;
def Nib_ExpOp : Nib_Function<"exp", "e to the power of x">;
def Nib_Expm1Op : Nib_Function<"expm1", "exp(x) - 1, accurate near 0">;
def Nib_LogOp : Nib_Function<"log", "Natural logarithm">;
def Nib_Log1pOp : Nib_Function<"log1p", "log(1 + x), accurate near 0">;
def Nib_SinOp : Nib_Function<"sin", "Sine">;
def Nib_CosOp : Nib_Function<"cos", "Cosine">;
def Nib_TanOp : Nib_Function<"tan", "Tangent">;
def Nib_AsinOp : Nib_Function<"asin", "Arc sine">;
def Nib_AcosOp : Nib_Function<"acos", "Arc cosine">;
def Nib_AtanOp : Nib_Function<"atan", "Arc tangent">;
def Nib_SinhOp : Nib_Function<"sinh", "Hyperbolic sine">;
def Nib_CoshOp : Nib_Function<"cosh", "Hyperbolic cosine">;
def Nib_AsinhOp : Nib_Function<"asinh", "Inverse hyperbolic sine">;
def Nib_AcoshOp : Nib_Function<"acosh", "Inverse hyperbolic cosine">;
def Nib_AtanhOp : Nib_Function<"atanh", "Inverse hyperbolic tangent">;
def Nib_ErfOp : Nib_Function<"erf", "Error function">;
def Nib_SoftplusOp : Nib_Function<"softplus", "log(1 + exp(x))">;
def Nib_SoftsignOp : Nib_Function<"softsign", "x / (1 + |x|)">;
def Nib_GeluOp : Nib_Function<"gelu", "x times the normal distribution function of x">;
def Nib_GeluTanhOp : Nib_Function<"gelu_tanh", "GELU by its approximation with tanh">;
def Nib_SiluOp : Nib_Function<"silu", "x * sigmoid(x)">;
def Nib_MishOp : Nib_Function<"mish", "x * tanh(softplus(x))">;
def Nib_HardSwishOp : Nib_Function<"hard_swish", "x * min(max(x + 3, 0), 6) / 6">;

// Two operands of one plain type: a row of codegen/params/binary.def.
class Nib_PlainBinary<string mnemonic, string text, string element, string result>
    : Nib_Binary<mnemonic, ""> {
  let summary = text;
  let description = "```mlir\n%y = nib." # mnemonic # " %a, %b : (tensor<2x3x" # element #
                    ">, tensor<3x" # element # ">) -> tensor<2x3x" # result # ">\n```\n";
  let arguments = (ins Nib_Tensor:$lhs, Nib_Tensor:$rhs);
}

def Nib_PowOp : Nib_PlainBinary<"pow", "lhs to the power of rhs", "f32", "f32">;
def Nib_ModOp : Nib_PlainBinary<"mod", "Remainder with the sign of rhs", "f32", "f32">;
def Nib_FmodOp : Nib_PlainBinary<"fmod", "Remainder with the sign of lhs", "f32", "f32">;
def Nib_MaximumOp : Nib_PlainBinary<"maximum", "The larger of two; NaN if either is", "f32", "f32">;
def Nib_MinimumOp : Nib_PlainBinary<"minimum", "The smaller of two; NaN if either is", "f32", "f32">;
def Nib_BitAndOp : Nib_PlainBinary<"bit_and", "Bitwise and; the logical one of i1", "i32", "i32">;
def Nib_BitOrOp : Nib_PlainBinary<"bit_or", "Bitwise or; the logical one of i1", "i32", "i32">;
def Nib_BitXorOp : Nib_PlainBinary<"bit_xor", "Bitwise exclusive or; the logical one of i1", "i32", "i32">;
def Nib_ShiftLeftOp : Nib_PlainBinary<"shift_left", "lhs shifted left by rhs bits", "i32", "i32">;
def Nib_ShiftRightOp : Nib_PlainBinary<"shift_right", "lhs shifted right by rhs bits, keeping the sign of signed types", "i32", "i32">;
def Nib_EqualOp : Nib_PlainBinary<"equal", "lhs == rhs", "f32", "i1">;
def Nib_LessOp : Nib_PlainBinary<"less", "lhs < rhs", "f32", "i1">;
def Nib_LessEqualOp : Nib_PlainBinary<"less_equal", "lhs <= rhs", "f32", "i1">;

def Nib_WhereOp : Nib_Operator<"where"> {
  let summary = "One of two tensors, element by element";
  let description = [{
    `condition ? lhs : rhs`, all three broadcast.

    ```mlir
    %y = nib.where %c, %a, %b : (tensor<2x1xi1>, tensor<3xf32>, tensor<f32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$condition, Nib_Tensor:$lhs, Nib_Tensor:$rhs);
  let assemblyFormat =
      "$condition `,` $lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

def Nib_SoftmaxOp : Nib_Unary<"softmax",
    "oilist(`axis` $axis | `beta` $beta | `rounding` $rounding)"> {
  let summary = "exp(beta * x), normalized along a dimension";
  let description = [{
    `axis` defaults to the last dimension, `beta` to 1.

    ```mlir
    %y = nib.softmax %x axis 1 beta 1.0 : (tensor<1x10xf32>) -> tensor<1x10xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Int:$axis, Nib_Float:$beta, Nib_String:$rounding);
}

def Nib_LookupOp : Nib_Operator<"lookup"> {
  let summary = "A table of 256 results";
  let description = [{
    `y[i] = table[x[i] - min]`, `min` being the lowest code of the input's 8-bit format. The table
    has the storage type of the result.

    ```mlir
    %y = nib.lookup %x, %t : (tensor<4xi8>, tensor<256xi8>) -> tensor<4xi8>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$table);
  let assemblyFormat = "$input `,` $table attr-dict `:` functional-type(operands, results)";
}

def Nib_MultiThresholdOp : Nib_Operator<"multi_threshold"> {
  let summary = "Codes by thresholds of each channel";
  let description = [{
    The code of `x` is `lo` plus the count of its channel's thresholds that are not above `x`, or
    `hi` minus that count where the channel's step is -1. The channel is the last dimension; one row
    of thresholds serves all. `lo` and `hi` are the result's range, or `clamp`; there are `hi - lo`
    thresholds, in ascending order. Batch normalization and quantization of integer accumulators are
    such a function, exactly.

    ```mlir
    %y = nib.multi_threshold %x, %t steps %s
         : (tensor<1x4xi32>, tensor<4x3xi32>, tensor<4xi8>)
           -> tensor<1x4x!quant.uniform<u2:f32, 1.0>>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$thresholds, Optional<Nib_Tensor>:$steps,
      Nib_Ints:$clamp);
  let assemblyFormat = [{
    $input `,` $thresholds (`steps` $steps^)? (`clamp` custom<Ints>($clamp)^)? attr-dict `:`
    functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

def Nib_PadOp : Nib_Unary<"pad", [{
    oilist(`low` custom<Ints>($low) | `high` custom<Ints>($high) | `pad_value` $pad_value)}]> {
  let summary = "A border of constants";
  let description = [{
    `low` and `high` count the elements added before and after each dimension. `pad_value` is in
    codes of the input, or real for a float input; without it the border is real zero.

    ```mlir
    %y = nib.pad %x low [0, 1] high [0, 2] : (tensor<2x3xf32>) -> tensor<2x6xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$low, Nib_Ints:$high, Nib_Float:$pad_value);
  let hasFolder = 1;
}

def Nib_ReshapeOp : Nib_Unary<"reshape", ""> {
  let summary = "The same elements in another shape";
  let description = [{
    ```mlir
    %y = nib.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Nib_TransposeOp : Nib_Unary<"transpose", "(`perm` custom<Ints>($perm)^)?"> {
  let summary = "Dimensions in another order";
  let description = [{
    Dimension `i` of the result is dimension `perm[i]` of the input.

    ```mlir
    %y = nib.transpose %x perm [0, 3, 1, 2] : (tensor<1x4x5x3xf32>) -> tensor<1x3x4x5xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$perm);
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Nib_ConcatOp : Nib_Operator<"concat"> {
  let summary = "Tensors one after the other along a dimension";
  let description = [{
    ```mlir
    %y = nib.concat %a, %b axis 1 : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
    ```
  }];
  let arguments = (ins Variadic<Nib_Tensor>:$inputs, Nib_Int:$axis);
  let assemblyFormat = "$inputs (`axis` $axis^)? attr-dict `:` functional-type(operands, results)";
}

def Nib_SliceOp : Nib_Unary<"slice",
    "oilist(`begin` custom<Ints>($begin) | `sizes` custom<Ints>($sizes))"> {
  let summary = "A box out of a tensor";
  let description = [{
    ```mlir
    %y = nib.slice %x begin [0, 1] sizes [2, 2] : (tensor<2x4xf32>) -> tensor<2x2xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$begin, Nib_Ints:$sizes);
  let hasFolder = 1;
}

def Nib_StridedSliceOp : Nib_Unary<"strided_slice",
    "oilist(`begin` custom<Ints>($begin) | `steps` custom<Ints>($steps))"> {
  let summary = "Every n-th element of each dimension";
  let description = [{
    Element `i` of a dimension is `begin + i * step` of the input; a step may be negative. The
    result's shape says how many there are.

    ```mlir
    %y = nib.strided_slice %x begin [3] steps [-1] : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Ints:$begin, Nib_Ints:$steps);
  let hasFolder = 1;
}

def Nib_BroadcastOp : Nib_Unary<"broadcast", ""> {
  let summary = "Dimensions of size 1, or none, repeated";
  let description = [{
    The shapes meet at the last dimension, as in numpy.

    ```mlir
    %y = nib.broadcast %x : (tensor<3x1xf32>) -> tensor<2x3x4xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
}

def Nib_GatherOp : Nib_Operator<"gather"> {
  let summary = "Slices at indices along a dimension";
  let description = [{
    The indices, i32 or i64, replace dimension `axis` of the input; the first `batch_dims`
    dimensions of both go together. A negative index counts from the end; an index beyond an end
    names the element at that end.

    ```mlir
    %y = nib.gather %x, %i axis 1 : (tensor<2x5x3xf32>, tensor<4xi64>) -> tensor<2x4x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$indices, Nib_Int:$axis, Nib_Int:$batch_dims);
  let assemblyFormat = [{
    $input `,` $indices oilist(`axis` $axis | `batch_dims` $batch_dims) attr-dict `:`
    functional-type(operands, results)
  }];
}

def Nib_GatherNdOp : Nib_Operator<"gather_nd"> {
  let summary = "Slices at tuples of indices";
  let description = [{
    The last dimension of the indices holds tuples that name places in as many dimensions of the
    input, behind the `batch_dims` that both share. Indices count as those of `gather`.

    ```mlir
    %y = nib.gather_nd %x, %i : (tensor<4x5x3xf32>, tensor<7x2xi64>) -> tensor<7x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$indices, Nib_Int:$batch_dims);
  let assemblyFormat = [{
    $input `,` $indices (`batch_dims` $batch_dims^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

def Nib_GatherElementsOp : Nib_Operator<"gather_elements"> {
  let summary = "For each index the element there along a dimension";
  let description = [{
    `y[i, j] = x[indices[i, j], j]` for axis 0. Indices count as those of `gather`.

    ```mlir
    %y = nib.gather_elements %x, %i axis 1 : (tensor<2x5xf32>, tensor<2x3xi64>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$indices, Nib_Int:$axis);
  let assemblyFormat = [{
    $input `,` $indices (`axis` $axis^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Nib_ScatterNdOp : Nib_Operator<"scatter_nd"> {
  let summary = "A tensor with slices stored at tuples of indices";
  let description = [{
    The tuples are those of `gather_nd`. An index beyond the ends stores nothing. `reduction`
    combines an update with what is there (`add`, `mul`, `min`, `max`), in the order of the updates.

    ```mlir
    %y = nib.scatter_nd %x, %i, %u reduction "add"
         : (tensor<4x3xf32>, tensor<2x1xi64>, tensor<2x3xf32>) -> tensor<4x3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$indices, Nib_Tensor:$updates,
      Nib_String:$reduction);
  let assemblyFormat = [{
    $input `,` $indices `,` $updates (`reduction` $reduction^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

def Nib_ScatterElementsOp : Nib_Operator<"scatter_elements"> {
  let summary = "A tensor with elements stored at indices along a dimension";
  let description = [{
    `y[indices[i, j], j] = updates[i, j]` for axis 0, other elements are the input's. `reduction`
    and indices as for `scatter_nd`.

    ```mlir
    %y = nib.scatter_elements %x, %i, %u axis 1
         : (tensor<2x5xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<2x5xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Tensor:$indices, Nib_Tensor:$updates, Nib_Int:$axis,
      Nib_String:$reduction);
  let assemblyFormat = [{
    $input `,` $indices `,` $updates oilist(`axis` $axis | `reduction` $reduction) attr-dict `:`
    functional-type(operands, results)
  }];
}

def Nib_TopKOp : Nib_Unary<"top_k", "oilist(`axis` $axis | `largest` $largest)"> {
  let summary = "Indices of the largest elements along a dimension";
  let description = [{
    As many as the result has along `axis` (by default the last dimension), in descending order, or
    with `largest` 0 the smallest in ascending order. Among equal elements the lower index comes
    first. `gather_elements` gets the elements.

    ```mlir
    %i = nib.top_k %x axis 1 : (tensor<2x5xf32>) -> tensor<2x3xi64>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Int:$axis, Nib_Int:$largest);
}

def Nib_SqueezeOp : Nib_Unary<"squeeze", ""> {
  let summary = "Dimensions of size 1 dropped";
  let description = [{
    ```mlir
    %y = nib.squeeze %x : (tensor<1x3x1xf32>) -> tensor<3xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
  let hasFolder = 1;
}

def Nib_ExpandDimsOp : Nib_Unary<"expand_dims", ""> {
  let summary = "Dimensions of size 1 added";
  let description = [{
    ```mlir
    %y = nib.expand_dims %x : (tensor<3xf32>) -> tensor<1x3x1xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
  let hasFolder = 1;
}

def Nib_SCastOp : Nib_Unary<"scast", ""> {
  let summary = "The same codes under another scale and zero point";
  let description = [{
    Between plain integers and quantized types of one width, as `quant.scast`: no bit changes and
    nothing is computed.

    ```mlir
    %y = nib.scast %x : (tensor<4xi8>) -> tensor<4x!quant.uniform<i8:f32, 1.0:3>>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

def Nib_CastOp : Nib_Unary<"cast", "(`saturate` $saturate^)? (`mode` $mode^)?"> {
  let summary = "The same numbers in another format";
  let description = [{
    Reals become the nearest number of the result's format, ties to even or as `mode` says
    ("nearest-even", "nearest-away", "toward-zero", "up", "down"); what is too large becomes
    infinity or NaN, or with `saturate 1` the largest number. Reals become integers toward zero,
    saturated, or below 8 bits the low bits of that; integers of fewer bits keep the low ones.
    `saturate 1` saturates those too. Everything but 0 is true. Reals become codebooks, bipolar
    numbers and blocks, saturated, and back: blocks as their source encodes them, or with `mode`
    rounded so by the scale of the format's rule.

    ```mlir
    %y = nib.cast %x : (tensor<4xf32>) -> tensor<4xf16>
    %z = nib.cast %x saturate 1 : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
    %e = nib.cast %x saturate 1 mode "up" : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
    %q = nib.cast %r : (tensor<2x64xf32>) -> tensor<2x64x!nib.format<"q8_0">>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Nib_Int:$saturate, Nib_String:$mode);
}

def Nib_QuantizeOp : Nib_Operator<"quantize", [AttrSizedOperandSegments]> {
  let summary = "Real numbers to codes";
  let description = [{
    `saturate(round(x / scale) + zero_point)`, rounded as `rounding` says. The scale is the result
    type's; a plain result takes it from `scales` (and `zero_points`): one entry, one for each index
    of dimension `axis` (1), or, with the rank of the input, one for each block. To minifloats it is
    `x / scale + zero_point` to nearest even, saturating but for `saturate 0`.

    ```mlir
    %y = nib.quantize %x rounding "nearest-even"
         : (tensor<4xf32>) -> tensor<4x!quant.uniform<i8:f32, 0.5:3>>
    %b = nib.quantize %m scales %s zero_points %z
         : (tensor<2x8xf32>, tensor<2x2xf32>, tensor<2x2xi4>) -> tensor<2x8xi4>
    %f = nib.quantize %m scales %r axis 0 : (tensor<2x8xf32>, tensor<2xf32>) -> tensor<2x8xf8E4M3FN>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Optional<Nib_Tensor>:$scales,
      Optional<Nib_Tensor>:$zero_points, Nib_String:$rounding, Nib_Int:$axis, Nib_Int:$saturate);
  let assemblyFormat = [{
    $input (`scales` $scales^)? (`zero_points` $zero_points^)? (`rounding` $rounding^)?
    (`axis` $axis^)? (`saturate` $saturate^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Nib_DequantizeOp : Nib_Operator<"dequantize", [AttrSizedOperandSegments]> {
  let summary = "Codes to real numbers";
  let description = [{
    `(code - zero_point) * scale`. The scale is the input type's; a plain input takes it from
    `scales` (and `zero_points`): one entry, one for each index of dimension `axis` (1), or, with
    the rank of the input, one for each block. Codes may be minifloats, zero points reals.

    ```mlir
    %y = nib.dequantize %x : (tensor<4x!quant.uniform<i8:f32, 0.5:3>>) -> tensor<4xf32>
    %w = nib.dequantize %c scales %s axis 0 : (tensor<2x3xi8>, tensor<2xf32>) -> tensor<2x3xf32>
    %b = nib.dequantize %q scales %t : (tensor<2x8xi4>, tensor<2x2xf16>) -> tensor<2x8xf16>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Optional<Nib_Tensor>:$scales,
      Optional<Nib_Tensor>:$zero_points, Nib_Int:$axis);
  let assemblyFormat = [{
    $input (`scales` $scales^)? (`zero_points` $zero_points^)? (`axis` $axis^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

def Nib_RequantizeOp : Nib_Operator<"requantize", [AttrSizedOperandSegments]> {
  let summary = "Codes at one scale to codes at another";
  let description = [{
    A quantized input keeps its real value as far as the result's scale can tell it. A plain i32
    input is an accumulator whose scale, for each index of dimension `axis` (the last by default),
    is in `scales`.

    With `multipliers` (i32) and `shifts` (i8, 1 to 62), one or one for each index of `axis`, the
    arithmetic is given and no scale matters: `round((x - zx) * multiplier / 2^shift) + zy`,
    saturated. Input and result may then be plain integers; an i64 input takes multipliers below
    2^15.

    ```mlir
    %y = nib.requantize %x rounding "tflite-double"
         : (tensor<4x!quant.uniform<i8:f32, 0.5:3>>) -> tensor<4x!quant.uniform<i8:f32, 0.25>>
    %z = nib.requantize %acc multipliers %m shifts %s rounding "tosa-double" axis 1
         : (tensor<2x3xi32>, tensor<3xi32>, tensor<3xi8>) -> tensor<2x3x!quant.uniform<i8:f32, 1.0:5>>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input, Optional<Nib_Tensor>:$scales,
      Optional<Nib_Tensor>:$multipliers, Optional<Nib_Tensor>:$shifts, Nib_String:$rounding,
      Nib_Int:$axis);
  let assemblyFormat = [{
    $input (`scales` $scales^)? (`multipliers` $multipliers^)? (`shifts` $shifts^)?
    oilist(`rounding` $rounding | `axis` $axis) attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Nib_BitcastOp : Nib_Unary<"bitcast", ""> {
  let summary = "The same bytes as elements of another format";
  let description = [{
    ```mlir
    %y = nib.bitcast %x : (tensor<4xf32>) -> tensor<4xi32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
}

def Nib_PackOp : Nib_Unary<"pack", ""> {
  let summary = "A tensor as the bytes of its packed layout";
  let description = [{
    Codes one after the other, low bits first; ternary numbers five to a byte, in base 3.

    ```mlir
    %y = nib.pack %x : (tensor<5xi3>) -> tensor<2xui8>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
}

def Nib_UnpackOp : Nib_Unary<"unpack", ""> {
  let summary = "A tensor from the bytes of its packed layout";
  let description = [{
    ```mlir
    %y = nib.unpack %x : (tensor<2xui8>) -> tensor<5xi3>
    ```
  }];
  let arguments = (ins Nib_Tensor:$input);
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def Nib_KernelOp : Op<Nib_Dialect, "kernel",
    [RecursiveMemoryEffects, SingleBlock,
     DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "Operators that run as one loop nest";
  let description = [{
    The region holds the operators of one generated function, in order; it refers to values outside
    freely, and only the result of its last operator leaves it. `nib-fuse` makes kernels; `nib-plan`
    puts them in the order they run in, with their places in the arena; `nib-select` gives each a
    schedule, a vocabulary (an instruction set) and a tile, and with `nib.threads` cuts it into `parts`
    where that pays.

    ```mlir
    %y = nib.kernel "conv1" schedule "conv" vocab "c99" tile [4, 4, 0, 0, 0] {
      %0 = nib.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
      %1 = nib.relu %0 : (tensor<6xf32>) -> tensor<6xf32>
      nib.yield %1 : tensor<6xf32>
    } : tensor<6xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, Nib_String:$schedule, Nib_String:$vocab, Nib_Ints:$tile,
      Nib_Int:$parts, Nib_Float:$predicted_ns, Nib_Int:$scratch_bytes, Nib_Int:$scratch_offset,
      Nib_Int:$arena_offset);
  let results = (outs Nib_Tensor:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name oilist(`schedule` $schedule | `vocab` $vocab | `tile` custom<Ints>($tile) |
                 `parts` $parts | `predicted_ns` $predicted_ns | `scratch_bytes` $scratch_bytes |
                 `scratch_offset` $scratch_offset | `arena_offset` $arena_offset)
                 attr-dict-with-keyword $body `:` type($result)
  }];
  let hasRegionVerifier = 1;
}

def Nib_YieldOp : Op<Nib_Dialect, "yield", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "The result of a kernel";
  let description = [{
    ```mlir
    nib.yield %y : tensor<6xf32>
    ```
  }];
  let arguments = (ins Nib_Tensor:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

#endif
