/**
 * Let slopes judge gradients: every parameter's gradient against slopes of the loss, in
 * float64 on engine js. A slope is the five-point central difference: its own error is O(epsilon^4).
 *
 *   const model = new Model(jsEngine, spec, { T: 5, B: 3, real: "f64" });
 *   model.initialize(1);           // then fill model.tokens and model.head.targets
 *   gradcheck(model);              // [{ name: "lstm.weight_ih_l0", error: 3e-10, ... }, ...]
 */
import { check } from "../core/check.ts";
import type { Model } from "./model.ts";

export interface GradcheckResult {
  readonly name: string;
  /** max |gradient - slope| / max |slope|, over the checked elements of one parameter. */
  readonly error: number;
  /** Flat index of the worst element, with its two values. */
  readonly worst: { readonly index: number; readonly gradient: number; readonly slope: number };
  readonly checked: number;
}

export interface GradcheckOptions {
  /** Step of the difference. */
  readonly epsilon?: number;
  /** Largest number of elements checked per parameter, evenly spread. */
  readonly elements?: number;
}

export function gradcheck(model: Model, { epsilon = 1e-3, elements = 64 }: GradcheckOptions = {}): GradcheckResult[] {
  check(model.arena.real === "f64", 'gradcheck: the model is float32; make it with { real: "f64" } on engine js.');
  const { pass } = model;
  const start = model.carried.map((state) => state.data.slice());
  const restore = () => {
    for (const [s, state] of model.carried.entries()) state.data.set(start[s] as Float64Array);
  };
  const loss = () => {
    restore();
    model.pack();
    const { lossSum, positions } = model.head.evaluate(model.forward(pass), pass);
    return lossSum / positions;
  };
  restore();
  model.clearGradients();
  model.pack();
  model.lossAndGradient(pass);

  const results = model.parameters.map(({ name, value, gradient }) => {
    const stride = Math.max(1, Math.floor(value.length / elements));
    let largest = 0;
    let difference = 0;
    let worst = { index: 0, gradient: 0, slope: 0 };
    let checked = 0;
    for (let index = 0; index < value.length; index += stride) {
      const kept = value.data[index] as number;
      const lossAt = (offset: number) => {
        value.data[index] = kept + offset;
        return loss();
      };
      const near = lossAt(epsilon) - lossAt(-epsilon);
      const far = lossAt(2 * epsilon) - lossAt(-2 * epsilon);
      value.data[index] = kept;
      const slope = (8 * near - far) / (12 * epsilon);
      const here = gradient.data[index] as number;
      largest = Math.max(largest, Math.abs(slope));
      checked++;
      if (Math.abs(here - slope) < difference) continue;
      difference = Math.abs(here - slope);
      worst = { index, gradient: here, slope };
    }
    return { name, error: largest > 0 ? difference / largest : difference, worst, checked };
  });
  restore();
  model.pack();
  return results;
}
