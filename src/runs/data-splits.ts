/** Examples of one's own into train, valid and test: by a column, by files, or 80/10/10 in an order that is always the same. */
import { UsageError } from "../core/check.ts";
import { holdBack } from "../tasks/splits.ts";
import { SPLITS, type Split } from "../tasks/task.ts";

export type Parts<T> = Record<Split, T[]>;

const NAMES: Readonly<Record<string, Split>> = {
  train: "train",
  training: "train",
  valid: "valid",
  validation: "valid",
  val: "valid",
  dev: "valid",
  test: "test",
};

/** An example, and the split it says it is of, if it says so. */
export interface Placed<T> {
  readonly example: T;
  readonly split: string | undefined;
  readonly where: string;
}

/**
 * Where one example names its split all must. Without names a tenth of each class goes to valid and to test (of fewer
 * than five examples of a class none does). The draw does not depend on a run's seed: runs are to be compared.
 */
export function splitExamples<T>(placed: readonly Placed<T>[], classOf: (example: T) => string): Parts<T> {
  const parts: Parts<T> = { train: [], valid: [], test: [] };
  if (placed.some(({ split }) => split !== undefined)) {
    for (const { example, split, where } of placed) {
      const known = NAMES[(split ?? "").trim().toLowerCase()];
      if (known === undefined)
        throw new UsageError(
          `${where}: split is ${JSON.stringify(split ?? "")}, expected train, valid or test, as other rows have.`,
        );
      parts[known].push(example);
    }
    return parts;
  }
  const part = holdBack(
    placed.map(({ example }) => classOf(example)),
    10,
    2,
  );
  for (const [index, { example }] of placed.entries()) parts[SPLITS[part[index] as number] as Split].push(example);
  return parts;
}
