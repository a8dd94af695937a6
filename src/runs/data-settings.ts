/** The settings of tasks on data: the part of `task` in a configuration that readers of data look at. */
import type { Order } from "../tasks/inputs.ts";

export const MISSING_CHOICES = ["error", "previous", "drop"] as const;
export const TAGSETS = ["base", "raw"] as const;
export const LANGUAGES = ["en-es", "es-en"] as const;
export const TEXT_TOKENIZERS = ["characters", "words", "spaces"] as const;

export interface DataSettings {
  readonly name: string;
  /** A built-in set by name, a file or a folder. */
  readonly data?: string | undefined;
  readonly validData?: string | undefined;
  readonly testData?: string | undefined;
  readonly labelColumn?: string | undefined;
  readonly textColumn?: string | undefined;
  readonly sequenceColumn?: string | undefined;
  /** With commas between. */
  readonly columns?: string | undefined;
  readonly missing?: (typeof MISSING_CHOICES)[number] | undefined;
  readonly tokenizer?: (typeof TEXT_TOKENIZERS)[number] | undefined;
  readonly order?: Order | undefined;
  /** With commas between. */
  readonly target?: string | undefined;
  readonly horizon?: number | undefined;
  readonly period?: number | undefined;
  readonly targetData?: string | undefined;
  readonly validTargetData?: string | undefined;
  readonly testTargetData?: string | undefined;
  readonly languages?: (typeof LANGUAGES)[number] | undefined;
  readonly tokenizerFile?: string | undefined;
  readonly tagset?: (typeof TAGSETS)[number] | undefined;
}
