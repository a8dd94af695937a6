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
export { packPanels, packTransposedPanels, product, productTN, transpose } from "./gemm";
export { compressSweep, compressIndex, sparseProduct, sparseProductTN } from "./sparse";
export { lstmForward, lstmBackward } from "./lstm";
export {
  addInto,
  addColumnSums,
  dropout,
  gatherRows,
  lookupGradient,
  scatterRows,
  setRows,
} from "./rows";
export { softmaxCrossEntropy, squaredError } from "./loss";
export { adam, rmsprop, sgd, sumSquares } from "./update";
