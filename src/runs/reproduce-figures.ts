/** What a figure of the paper comes to here: data, verdicts, and sentences about them. FIGURE.json holds it. */
import type { TelemetryEvent } from "../train/events.ts";
import type { FigureName } from "./reproduce.ts";
import type { ThresholdSweep } from "./reproduce-sweep.ts";
import type { RunSummary } from "./store.ts";

export interface Verdict {
  readonly claim: string;
  readonly paper: string;
  readonly ours: string;
  readonly agrees: boolean;
}

export interface FigureData {
  readonly figure: FigureName;
  readonly runs: readonly {
    readonly name: string;
    readonly id: string;
    readonly summary: RunSummary;
    readonly config: unknown;
  }[];
  readonly verdicts: readonly Verdict[];
  /** Sentences about what was found. */
  readonly notes: readonly string[];
}

export interface Fig2Data extends FigureData {
  readonly figure: "fig2";
  readonly samples: readonly (Pick<TelemetryEvent, "step" | "layers"> & {
    readonly share: number;
    /** Mean over layers of the share of activations near an end, per gate. */
    readonly ends: readonly { readonly gate: string; readonly share: number }[];
    /** Largest mass that differs from the last sample's histograms, mean over layers and gates. */
    readonly distance: number;
  })[];
}

export interface Fig3Data extends FigureData {
  readonly figure: "fig3";
  readonly sweep: ThresholdSweep;
  readonly saturatedPositions: readonly (number | null)[];
  /** The paper's thresholds read in other units: how the loss would have been added up. */
  readonly reductions: readonly {
    readonly name: string;
    readonly factor: number;
    readonly zeros: readonly number[];
    readonly cosines: readonly number[];
  }[];
}

export interface Fig4Data extends FigureData {
  readonly figure: "fig4";
  readonly curves: readonly {
    readonly policy: string;
    /** Averages over all steps, per layer. */
    readonly layers: readonly { readonly site: string; readonly sparsity: number; readonly naturalZeros: number }[];
    readonly steps: readonly number[];
    /** Zeros at these steps, per layer. */
    readonly zeros: readonly (readonly number[])[];
  }[];
}

export interface Fig5Data extends FigureData {
  readonly figure: "fig5";
  readonly curves: readonly {
    readonly policy: string;
    readonly validation: readonly (readonly [step: number, loss: number])[];
    readonly best: number;
    /** best / the dense run's best - 1. */
    readonly relative: number;
    readonly testLoss: number | null;
    readonly fidelity: number | null;
    /** Cosines of dW to a dense backward's, per layer, along the run. */
    readonly probes: readonly { readonly step: number; readonly layers: readonly number[] }[];
  }[];
}

export interface SensitivityData extends FigureData {
  readonly figure: "sensitivity";
  readonly rows: readonly {
    readonly text: string;
    readonly variant: string;
    readonly sparsity: number;
    readonly naturalZeros: number;
    readonly denseZeros: number;
    readonly denseLoss: number;
    readonly sparseLoss: number;
    readonly relative: number;
    readonly fidelity: number | null;
    /** After a dense start; zeros averaged over the whole run, the start included. */
    readonly warm: {
      readonly sparsity: number;
      readonly naturalZeros: number;
      readonly loss: number;
      readonly relative: number;
    };
  }[];
}

export type AnyFigure = Fig2Data | Fig3Data | Fig4Data | Fig5Data | SensitivityData;
