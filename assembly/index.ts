/**
 * Kernels of engine `wasm`: AssemblyScript with 128-bit SIMD.
 *
 * The module imports its memory, has no data of its own and no heap: every function works on byte
 * addresses it is given, strides are in bytes. All planning is done by src/kernels/wasm.ts. Shapes
 * and meanings are those of src/kernels/kernels.ts.
 *
 * On V8 a basic block's loads are scheduled before its arithmetic, so loops keep accumulators plus
 * loads of one block within 15 registers; see lab/README.md.
 */
export {
  adam,
  addColumnSums,
  addInto,
  attention,
  attentionGradient,
  chooseLines,
  clear,
  columnForm,
  columnProduct,
  columnProductTN,
  compressIndex,
  compressSweep,
  dropout,
  gatherRows,
  gelu,
  gruBackward,
  gruForward,
  gruHidden,
  layerNorm,
  layerNormGradient,
  liveProduct,
  liveProductNN,
  liveProductTN,
  lookupGradient,
  lstmBackward,
  lstmForward,
  maskRows,
  mingruBackward,
  mingruForward,
  multiply,
  packPanels,
  packTransposedPanels,
  product,
  productTN,
  relu,
  reluGradient,
  rmsprop,
  rnnBackward,
  rnnForward,
  scatterRows,
  serve,
  setRows,
  sgd,
  softmaxCrossEntropy,
  softmaxGradientRows,
  softmaxRows,
  sparseProduct,
  sparseProductTN,
  sumSquares,
  sumSquaresOfRows,
  tanhGradient,
  tanhOf,
  transpose,
} from "./parallel";
export { packRows } from "./gemm";
export { squaredError } from "./loss";
export { abandon, leadTeam, setLeave } from "./team";
