export interface RacePoint {
  readonly step: number;
  readonly seconds: number;
  readonly macs: number;
  readonly loss: number;
}
export interface RaceRow {
  readonly name: string;
  readonly learningRate: number;
  readonly curve: readonly RacePoint[];
}
export function reaches(
  curve: readonly RacePoint[],
  loss: number,
): { readonly step: number; readonly seconds: number; readonly macs: number } | undefined;
export function raceRows(options: {
  readonly runs: string;
  readonly entries: readonly { readonly policy: string; readonly learningRate: number }[];
  readonly seed: number;
  readonly settings: Readonly<Record<string, number>>;
  readonly pytorch: boolean;
  readonly note: (message: string) => void;
}): RaceRow[];
export function racePage(parts: {
  readonly command: string;
  readonly rows: readonly RaceRow[];
  readonly seed: number;
  readonly epochs: number;
  readonly notes: readonly string[];
}): string;
