/**
 * The public library: names only. Everything here runs in Node and in a page.
 * Folders, checkpoints and run stores are at "gatesieve/node".
 */

// ---- errors and numbers
export type { Arena, Tensor } from "./core/arena.ts";
export { GatesieveError, UsageError } from "./core/check.ts";
export { RandomStream } from "./core/random.ts";
// ---- from arrays to a trained model, in one call
export {
  type Classified,
  Classifier,
  type ClassifierData,
  type ClassifierEstimator,
  type ClassifierFitOptions,
  type ClassifierOptions,
  classifier,
  type Label,
  type Labelled,
  type Position,
} from "./estimators/classifier.ts";
export type { Stream } from "./estimators/examples.ts";
export {
  type AnomalyOptions,
  type Forecast,
  Forecaster,
  type ForecasterData,
  type ForecasterEstimator,
  type ForecasterFitOptions,
  forecaster,
  type SeriesRow,
} from "./estimators/forecaster.ts";
export {
  type Expected,
  LanguageModel,
  type LanguageModelEstimator,
  type LanguageModelFitOptions,
  type LanguageModelOptions,
  LanguageStream,
  languageModel,
  type TextData,
} from "./estimators/language-model.ts";
export { type LoadOptions, loadModel } from "./estimators/load.ts";
export { gru, lstm, minGru, type NetOptions, type NetSpec, recurrent, rnn } from "./estimators/nets.ts";
export type { FitOptions, LearnOptions, Listeners } from "./estimators/options.ts";
export type { FitReport } from "./estimators/report.ts";
export { ModelStream } from "./estimators/stream.ts";
export {
  type Tagged,
  Tagger,
  type TaggerData,
  type TaggerEstimator,
  type TaggerFitOptions,
  type TaggerOptions,
  type TagResult,
  tagger,
} from "./estimators/tagger.ts";
export { type SaveOptions, TrainedModel } from "./estimators/trained.ts";
// ---- engines
export { chooseEngine, type EngineChoice, engineNames, loadEngine, registerEngine } from "./kernels/engines.ts";
export type { CellKernel, CellStep, Engine, EngineName, Kernels } from "./kernels/kernels.ts";
export { registerTeamWorkers, serveTeam, type TeamMessage, type TeamWorker } from "./kernels/wasm-team.ts";
// ---- models
export type { Cell } from "./nn/cell.ts";
export { registerCell } from "./nn/cells.ts";
export { type GradcheckOptions, type GradcheckResult, gradcheck } from "./nn/gradcheck.ts";
export { Model, type ModelShape, type ModelSpec } from "./nn/model.ts";
export type { DropSite, Parameter, Pass } from "./nn/module.ts";
export { NETS, type NetName, nets } from "./nn/nets.ts";
export { SparseBackward, type SparseBackwardOptions } from "./nn/sparse-backward.ts";
export { type Combinator, combinators } from "./sparse/combinators.ts";
// ---- what is dropped
export { type MacShares, macShares, type ProductMacs } from "./sparse/macs.ts";
export type { SiteObservation, Sparsity } from "./sparse/observation.ts";
export { OPTIONS, type OptionSpec, type PolicyOptions } from "./sparse/options.ts";
export { DEFAULT_POLICY, parsePolicy, policies } from "./sparse/policies.ts";
export type { Policy, PolicyContext, PolicyEntry, SitePolicy } from "./sparse/policy.ts";
export type { Bias, DropRule, Paths, RuleKind } from "./sparse/rule.ts";
export type { Site } from "./sparse/site.ts";
export type { SiteStatistics } from "./sparse/statistics.ts";
// ---- tasks
export type { RowScore } from "./tasks/anomalies.ts";
export { BLEU_SIGNATURE, type BleuScore, bleu, CHRF_SIGNATURE, chrF } from "./tasks/bleu.ts";
export { Bpe, type BpeData, trainBpe } from "./tasks/bpe.ts";
export { type CaptionedPicture, type CaptioningOptions, captioningTask, type Picture } from "./tasks/captioning.ts";
export { type CharacterOptions, characterTask, decode, encode } from "./tasks/character.ts";
export type { SequenceInput } from "./tasks/inputs.ts";
export type {
  BatchBuffers,
  BatchCursor,
  BatchShape,
  InputSpec,
  OutputSpec,
  SourceBuffers,
  SourceSpec,
  Split,
  Task,
  TextForm,
  WritingForm,
} from "./tasks/task.ts";
export { createTask, TASKS, type TaskName, type TaskOptions } from "./tasks/tasks.ts";
export { type ParallelPair, type TranslationOptions, translationTask } from "./tasks/translation.ts";
export { type WordOptions, wordTask } from "./tasks/word.ts";
export { joinWords, TOKENIZERS, type Tokenizer, wordsOf } from "./tasks/words.ts";
// ---- training
export { type Evaluation, evaluate } from "./train/evaluate.ts";
export type {
  EndEvent,
  GroupTelemetry,
  LayerTelemetry,
  SiteTelemetry,
  StepEvent,
  TelemetryEvent,
  Timing,
  TrainEvent,
  ValidationEvent,
} from "./train/events.ts";
export { OPTIMIZERS, type OptimizerName, type OptimizerOptions } from "./train/optimizers.ts";
export { type Fidelity, fidelityProbe } from "./train/probe.ts";
export { type SampleOptions, sampleText } from "./train/sample.ts";
export { epochDecay, SCHEDULES, type Schedule, type ScheduleName } from "./train/schedules.ts";
export { Stepper, type StepperOptions, type StepperStates } from "./train/stepper.ts";
export { CURVE_SPARSITIES, MILESTONES, type TelemetryOptions, TIME_BANDS } from "./train/telemetry.ts";
export { NonFiniteError, type StepReport, Trainer, type TrainerOptions } from "./train/trainer.ts";
export { Training, type TrainingOptions, type TrainingState, train } from "./train/training.ts";
export { type WritingOptions, type Written, writeAll } from "./train/write.ts";
