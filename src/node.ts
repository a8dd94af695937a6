/** `gatesieve/node`: runs with folders, checkpoints and texts, for Node. Nets and training are in `gatesieve`. */
import "./runs/native-addon.ts";
import "./runs/wasm-threads.ts";

export {
  type ConfigSources,
  DEFAULT_MAX_STEPS,
  loadConfig,
  parseConfig,
  type RunConfig,
  runConfigSchema,
} from "./runs/config.ts";
export { dataFolder, dataSetFolders, getDataSet, hasDataSet } from "./runs/data.ts";
export { type DataPackage, type DataSet, dataSets } from "./runs/data-sets.ts";
export { exportFolder, type RunWeights, weightsOfRun } from "./runs/export.ts";
export { loadConfigFrom, modelPath } from "./runs/from.ts";
export { type Imported, type ImportOptions, importModel } from "./runs/import.ts";
export { type MemoryPlan, planMemory } from "./runs/memory.ts";
export { checkOnnx, exportOnnx, type OnnxCheck } from "./runs/onnx.ts";
export { checkOnnxParts, exportOnnxParts } from "./runs/onnx-parts.ts";
export { type Interval, interval95, isNonInferior, relativeDifferences } from "./runs/paired.ts";
export { paretoFront } from "./runs/pareto.ts";
export {
  createRun,
  evaluateRun,
  type OpenedModel,
  type OpenOptions,
  openModel,
  Run,
  type RunInfo,
  type RunOptions,
  resumeRun,
} from "./runs/run.ts";
export {
  findRun,
  listRuns,
  type RunStatus,
  type RunSummary,
  readEvents,
  readRun,
  readTelemetry,
} from "./runs/store.ts";
export { TensorBoardLog } from "./runs/tensorboard.ts";
export { builtinTexts, DEFAULT_TEXT, type LoadedText, loadText, loadTexts, type TextSettings } from "./runs/text.ts";
