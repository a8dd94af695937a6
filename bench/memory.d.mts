export interface MemoryRow {
  readonly workload: string;
  readonly engine: string;
  readonly isa: string;
  readonly policy: string;
  readonly recompute: number;
  /** Bytes by purpose. */
  readonly memory: Readonly<Record<string, number>>;
  readonly rssMiB: number;
  readonly msMedian: number;
  readonly cpuMs: number;
  readonly steps: number;
  readonly date: string;
}
export interface Wanted {
  readonly policies: readonly string[];
  readonly recomputes: readonly number[];
  readonly steps: number;
}
export function memoryRows(
  stepRowsOf: (workload: string, wanted: Wanted) => Promise<MemoryRow[]>,
  names: readonly string[],
  options: { readonly engine: string; readonly steps: number },
): Promise<MemoryRow[]>;
export function memoryPage(page: {
  readonly command: string;
  readonly rows: readonly MemoryRow[];
  readonly notes: readonly string[];
}): string;
