/**
 * Layers of TensorFlow.js whose time loop, forward and backward, runs on an engine of ours. Each is a subclass of the layer
 * that it replaces, and changes nothing but `call`: options, weights with their names, layout and initial values, shapes,
 * masks, states and what is saved are TensorFlow.js' own.
 */
import { check, UsageError } from "../core/check.ts";
import type { Engine } from "../kernels/kernels.ts";
import { type GateActivation, hardSigmoid, logistic } from "../nn/cells/gates.ts";
import { parsePolicy } from "../sparse/policies.ts";
import type { Policy } from "../sparse/policy.ts";
import { type Positions, positions } from "./positions.ts";
import { type CallData, type LayerCall, LayerRunner, type LayerTelemetry } from "./runner.ts";
import type { CallArguments, KerasCell, KerasRnn, RnnClass, Tensor, Tf } from "./tensorflow.ts";

export interface LayerDefaults {
  readonly engine: Engine;
  readonly policy: string | Policy;
  readonly seed: number;
  readonly maxSteps: number;
}

/** A layer of ours: one of TensorFlow.js, and what it has seen. */
export interface GatesieveLayer extends KerasRnn {
  readonly policy: Policy;
  telemetry(): LayerTelemetry;
  clearTelemetry(): void;
}

export type GatesieveClass = (new (args: Record<string, unknown>) => GatesieveLayer) & { className: string };

/** Names under which models with our layers are saved. */
export const CLASS_NAMES = { lstm: "GatesieveLSTM", gru: "GatesieveGRU" } as const;
/** TensorFlow.js' own. */
export const PLAIN_NAMES = { lstm: "LSTM", gru: "GRU" } as const;
const GATES: Readonly<Record<string, GateActivation>> = { sigmoid: logistic, hardSigmoid };

export function defineLayer(tf: Tf, kind: "lstm" | "gru", Base: RnnClass, defaults: LayerDefaults): GatesieveClass {
  return class extends Base {
    static className: string = CLASS_NAMES[kind];
    readonly policy: Policy;
    #runner: LayerRunner | undefined;
    #maxSteps: number;

    constructor({ policy, maxSteps, ...args }: Record<string, unknown>) {
      check(
        args.units !== undefined,
        `${kind}: units is missing; give the size of the state, as in ${kind}({ units: 128 }).`,
      );
      super(args);
      checkOptions(kind, this.cell);
      const chosen = (policy ?? defaults.policy) as string | Policy;
      this.policy = typeof chosen === "string" ? parsePolicy(chosen) : chosen;
      this.#maxSteps = (maxSteps as number | undefined) ?? defaults.maxSteps;
    }

    override call(inputs: Tensor | Tensor[], { mask, training, initialState }: CallArguments): Tensor | Tensor[] {
      return tf.tidy(() => {
        let x = Array.isArray(inputs) ? (inputs[0] as Tensor) : inputs;
        if (x.dtype !== "float32") x = tf.cast(x, "float32");
        const { dropout } = this.cell;
        const [B, T, I] = x.shape as [number, number, number];
        // One mask for all of time, as TensorFlow.js' cells draw it.
        if (dropout > 0 && training) x = tf.dropout(x, dropout, [B, 1, I]);
        const held = this.stateful ? (this.states as Tensor[]) : undefined;
        const start = initialState ?? held;
        checkStates(this.name, start, kind, B, this.cell.units);

        const where = positions(T, B, this.goBackwards, mask ? tf.cast(mask, "int32").dataSync() : undefined);
        const sequences = this.returnSequences;
        const wanted = this.returnState || this.stateful;
        const state = wanted && kind === "lstm";
        // States of the batch before are numbers: no gradient flows into a batch that is over.
        const outputs = this.#run(x, start, { where, sequences, state, trained: initialState != null });
        const steps = sequences ? T : 1;
        const at = (s: number) => tf.reshape(tf.slice(outputs, [0, s, 0], [B, 1, -1]), [B, this.cell.units]);
        const last = !sequences && !state ? tf.reshape(outputs, [B, this.cell.units]) : at(steps - 1);
        const y = sequences ? (state ? tf.slice(outputs, 0, [B, T, -1]) : outputs) : last;
        if (!wanted) return y;
        const states = state ? [last, at(steps)] : [last];
        if (this.stateful) this.resetStates(states, training);
        return this.returnState ? [y, ...states] : y;
      });
    }

    /** Outputs (B, S, H) of RecurrentNet.forward, as a function with a gradient. */
    #run(x: Tensor, start: Tensor[] | undefined, how: Run): Tensor {
      const { kernel, recurrentKernel, bias } = this.cell;
      const weights = [kernel.read(), recurrentKernel.read(), ...(bias ? [bias.read()] : [])];
      const runner = this.#made();
      const call: LayerCall = {
        ...how,
        inputSize: x.shape[2] as number,
        stateGradients: how.trained || this.returnState,
        weightIds: weights.map(({ dataId }) => dataId),
      };
      const constants = how.trained ? undefined : start;
      const tensors = [x, ...weights, ...(how.trained ? (start as Tensor[]) : [])];
      const floats = (tensor: Tensor | undefined) => tensor?.dataSync() as Float32Array;
      const data = (all: readonly Tensor[]): CallData => ({
        x: () => floats(all[0]),
        weights: () => ({ kernel: floats(all[1]), recurrent: floats(all[2]), bias: bias ? floats(all[3]) : undefined }),
        states: () => (constants ?? (how.trained ? all.slice(1 + weights.length) : undefined))?.map(floats),
      });
      const op = tf.customGrad((...given) => {
        const save = given.pop() as unknown as (saved: Tensor[]) => void;
        const inputs = given as Tensor[];
        const { out, stamp } = runner.forward(call, data(inputs));
        const units = this.cell.units;
        const B = how.where.B;
        save(inputs);
        return {
          value: tf.tensor3d(out, [B, out.length / (B * units), units]),
          gradFunc: (dy: Tensor, saved: Tensor[]) => {
            const { x, kernel, recurrent, bias, states } = runner.backward(call, data(saved), floats(dy), stamp);
            const gradients = [
              x,
              kernel,
              recurrent,
              ...(weights.length > 2 ? [bias] : []),
              ...(how.trained ? states : []),
            ];
            return inputs.map(({ shape }, i) => tf.tensor(gradients[i] as Float32Array, shape));
          },
        };
      });
      return op(...tensors);
    }

    #made(): LayerRunner {
      const { engine, seed } = defaults;
      const gate = GATES[this.cell.recurrentActivation.getClassName()] as GateActivation;
      const { name, policy, cell } = this;
      this.#runner ??= new LayerRunner(engine, {
        kind,
        name,
        gate,
        units: cell.units,
        policy,
        seed,
        maxSteps: this.#maxSteps,
      });
      return this.#runner;
    }

    override getConfig() {
      return { ...super.getConfig(), policy: this.policy.name, maxSteps: this.#maxSteps };
    }

    override dispose() {
      this.#runner?.dispose();
      return super.dispose();
    }

    telemetry(): LayerTelemetry {
      return this.#made().telemetry();
    }

    clearTelemetry(): void {
      this.#made().clear();
    }
  };
}

interface Run {
  readonly where: Positions;
  readonly sequences: boolean;
  readonly state: boolean;
  /** Whether the initial states may have a gradient. */
  readonly trained: boolean;
}

function checkOptions(
  kind: string,
  { activation, recurrentActivation, recurrentDropout, dropoutFunc }: KerasCell,
): void {
  const [outer, gate] = [activation.getClassName(), recurrentActivation.getClassName()];
  check(
    outer === "tanh",
    `${kind}: activation is ${outer}; use tanh, the only one the kernels have, or tf.layers.${kind}.`,
  );
  check(
    gate in GATES,
    `${kind}: recurrentActivation is ${gate}; use ${Object.keys(GATES).join(" or ")}, or tf.layers.${kind}.`,
  );
  check(
    recurrentDropout === 0,
    `${kind}: recurrentDropout is ${recurrentDropout}; states are not dropped here. Leave it out, use dropout (of the inputs), or tf.layers.${kind}.`,
  );
  check(dropoutFunc === undefined, `${kind}: dropoutFunc is not supported; leave it out, or use tf.layers.${kind}.`);
}

function checkStates(layer: string, states: Tensor[] | undefined, kind: string, B: number, units: number): void {
  if (!states) return;
  const wanted = kind === "lstm" ? 2 : 1;
  const shapes = states.map(({ shape }) => `[${shape}]`).join(", ");
  if (states.length !== wanted || states.some(({ shape }) => shape[0] !== B || shape[1] !== units))
    throw new UsageError(
      `layer ${layer}: initial states of shape ${shapes || "none"}; give ${wanted}, each of shape [${B},${units}].`,
    );
}
