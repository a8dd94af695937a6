/** From a net, a task and options to the parts of a trained model: the engine, and the shape of a step. */
import { chooseEngine } from "../kernels/engines.ts";
import type { Engine } from "../kernels/kernels.ts";
import type { Task } from "../tasks/task.ts";
import type { NetSpec } from "./nets.ts";
import { type LearnOptions, policyOf, type Settled, withoutSections } from "./options.ts";
import type { Parts } from "./trained.ts";

/** What a kind makes of its data. */
export interface Prepared {
  readonly kind: string;
  readonly task: Task;
  readonly validates: boolean;
  readonly kept: object;
  readonly notes: readonly string[];
  readonly dataHash: (() => number) | undefined;
  /** Positions and lanes of a step where options do not say. */
  readonly T: number;
  readonly B: number;
}

export async function engineOf({ engine, threads = 1 }: LearnOptions): Promise<{ engine: Engine; reason: string }> {
  if (typeof engine === "object") return { engine, reason: "given" };
  return chooseEngine(engine, threads);
}

export async function makeParts(
  net: NetSpec,
  settled: Settled,
  prepared: Prepared,
  options: LearnOptions,
): Promise<Parts> {
  const { task, notes, T: usual, B, ...rest } = prepared;
  const { engine, reason } = await engineOf(options);
  const T = settled.sequenceLength ?? usual;
  const cut = task.lengths?.note(T);
  return {
    ...rest,
    net,
    task,
    options: settled,
    policy: policyOf(options.policy),
    headPolicy:
      options.headPolicy === undefined || options.headPolicy === "dense" ? undefined : policyOf(options.headPolicy),
    engine,
    engineReason: reason,
    shape: { T, B: settled.batchSize ?? B },
    notes: cut === undefined ? notes : [...notes, withoutSections(cut)],
  };
}
