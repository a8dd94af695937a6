/** What commands that take a configuration are given: a text or a configuration file, and settings. */
import { UsageError } from "../core/check.ts";

export const INPUT_ARGUMENT = "a text or a file of data, or a configuration (.yaml, .json); and settings as key=value";

export interface Inputs {
  readonly file: string | undefined;
  /** "train.maxSteps=100" */
  readonly settings: string[];
}

export function sortInputs(inputs: readonly string[]): Inputs {
  const isSetting = (input: string) => /^[A-Za-z][\w.]*=/.test(input);
  const [file, second] = inputs.filter((input) => !isSetting(input));
  if (second !== undefined)
    throw new UsageError(`got two inputs, "${file}" and "${second}"; give one file, and settings as key=value.`);
  return { file, settings: inputs.filter(isSetting) };
}
