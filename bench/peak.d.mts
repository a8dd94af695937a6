export interface PeakRow {
  readonly workload: string;
  readonly tool: string;
  readonly policy: string | null;
  readonly rssMiB: number;
  readonly arenaMiB: number | null;
}
export const MEMORY_MARKS: Readonly<Record<string, number>>;
export function peakTable(rows: readonly PeakRow[]): string;
