import type { ModelSpec } from "../src/nn/model.ts";

export interface Workload {
  readonly input: {
    readonly oneHot?: number;
    readonly tokens?: number;
    readonly embedding?: number;
    readonly features?: number;
  };
  readonly source?: { readonly tokens: number; readonly embedding: number; readonly length: number };
  readonly cell?: "lstm" | "gru" | "rnn" | "mingru";
  readonly bidirectional?: boolean;
  readonly layers: number;
  readonly H: number;
  readonly V: number;
  readonly B: number;
  readonly T: number;
  readonly positions: "all" | "last";
  readonly carried: boolean;
  readonly net?: Partial<ModelSpec>;
}
export const WORKLOADS: Readonly<
  Record<`W${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15}`, Workload>
>;
export function gflop(workload: Workload): number;
export function parameterCount(workload: Workload): number;
export function describe(workload: Workload): string;
export function modelSpec(workload: Workload): ModelSpec;
