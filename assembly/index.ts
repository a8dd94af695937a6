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
  chooseLines,
  clear,
  columnForm,
  columnProduct,
  columnProductTN,
  compressIndex,
  compressSweep,
  dropout,
  gatherRows,
  gruBackward,
  gruForward,
  gruHidden,
  lookupGradient,
  lstmBackward,
  lstmForward,
  packPanels,
  packTransposedPanels,
  product,
  productTN,
  rmsprop,
  scatterRows,
  serve,
  setRows,
  sgd,
  softmaxCrossEntropy,
  sparseProduct,
  sparseProductTN,
  sumSquares,
  sumSquaresOfRows,
  transpose,
} from "./parallel";
export { packRows } from "./gemm";
export { squaredError } from "./loss";
export { abandon, leadTeam, setLeave } from "./team";
