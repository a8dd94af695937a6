/** Public names for ONNX graphs alone: the sub-path gatesieve/onnx, apart since most pages do not want them. */
export { type OnnxFeed, OnnxSession } from "./formats/onnx-session.ts";
export type { OnnxArray } from "./formats/onnx-tensor.ts";
