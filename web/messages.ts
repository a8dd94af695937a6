/** What the page and its worker say to each other: small copies, nothing shared. */
import type { TrainEvent } from "../src/index.ts";
import type { Fingerprint } from "./fingerprint.ts";

export interface StartMessage {
  readonly type: "start";
  readonly text: string;
  readonly policy: string;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly maxSteps: number;
}

export type ToWorker = StartMessage | { readonly type: "stop" } | { readonly type: "fingerprint" };

export type FromWorker =
  | {
      readonly type: "engine";
      readonly engine: string;
      readonly isa: string;
      readonly reason: string;
      readonly threads: number;
    }
  | { readonly type: "started"; readonly parameters: number; readonly vocabulary: number }
  | { readonly type: "event"; readonly event: TrainEvent }
  | { readonly type: "sample"; readonly text: string }
  | { readonly type: "fingerprint"; readonly runs: readonly Fingerprint[] }
  | { readonly type: "error"; readonly message: string };
