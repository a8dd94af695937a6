/** What the native addon offers: the door of native/addon.cpp, and the kernels of native/kernels.h behind it. */
export interface NativeAddon {
  /** Instruction sets this processor runs, best first. */
  isas(): string[];
  /** Those of them with products on bf16 operands. */
  bf16(): string[];
  /** Bytes of scratch memory: per thread, and of all threads together. */
  readonly threadBytes: number;
  readonly sharedBytes: number;
  /**
   * The kernels over addresses in `bytes`, which the caller keeps alive. `scratch`: address of the scratch
   * memory; `large`: so many bytes from the beginning on are better kept in large pages.
   */
  bind(bytes: Uint8Array, isa: string, threads: number, scratch: number, large: number): NativeCalls;
}

/** Kernels of native/kernels.h: addresses, sizes and numbers in their order. */
export type NativeCalls = Record<KernelName, (...args: number[]) => number>;
type KernelName =
  | "packPanels"
  | "packTransposedPanels"
  | "packTransposedPairs"
  | "packPairRows"
  | "packRows"
  | "transpose"
  | "product"
  | "productPairs"
  | "productTN"
  | "liveProduct"
  | "liveProductNN"
  | "liveProductTN"
  | "maskRows"
  | "compress"
  | "sparseProduct"
  | "sparseProductTN"
  | "fewProduct"
  | "fewProductTN"
  | "columnProduct"
  | "columnProductTN"
  | "lstmForward"
  | "lstmBackward"
  | "lstmRestate"
  | "lstmForwardLoop"
  | "lstmBackwardLoop"
  | "gruForward"
  | "gruBackward"
  | "gruHidden"
  | "gruForwardLoop"
  | "gruBackwardLoop"
  | "rnnForward"
  | "rnnBackward"
  | "rnnForwardLoop"
  | "rnnBackwardLoop"
  | "mingruForward"
  | "mingruBackward"
  | "mingruForwardLoop"
  | "mingruBackwardLoop"
  | "addInto"
  | "addColumnSums"
  | "setRows"
  | "gatherRows"
  | "scatterRows"
  | "lookupGradient"
  | "dropout"
  | "softmaxCrossEntropy"
  | "squaredError"
  | "relu"
  | "reluGradient"
  | "gelu"
  | "multiply"
  | "tanhOf"
  | "tanhGradient"
  | "softmaxRows"
  | "softmaxGradientRows"
  | "layerNorm"
  | "layerNormGradient"
  | "attention"
  | "attentionGradient"
  | "clear"
  | "sumSquares"
  | "sumSquaresOfRows"
  | "sgd"
  | "rmsprop"
  | "adam";
