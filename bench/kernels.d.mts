export interface SpeedPoint {
  readonly density: number;
  readonly speedup: number;
}
export interface KernelRow {
  readonly engine: string;
  readonly product: string;
  readonly density: number | "dense" | null;
  readonly kept: number | null;
  readonly ms: number;
  readonly cpuMs: number;
  readonly gflopsUseful: number | null;
  readonly gflopsDense: number | null;
  readonly gflopsExecuted: number | null;
  readonly speedup: number | null;
  readonly speedupWithCompress: number | null;
}
export function crossover(points: readonly SpeedPoint[], least?: number): number | null;
export function kernelRows(options: {
  readonly engineName: string;
  readonly isas: readonly (string | undefined)[];
  readonly threads: number;
  readonly widths: readonly number[];
  readonly densities: readonly number[];
  readonly rounds: number;
  readonly note: (message: string) => void;
}): Promise<KernelRow[]>;
