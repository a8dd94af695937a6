export interface StepFigures {
  readonly workload: string;
  readonly tool: string;
  readonly policy: string | null;
  readonly engine: string;
  readonly threads: number;
  readonly gflops: number;
  readonly gflopsExecuted: number | null;
}
export function refuseImpossible(row: StepFigures): void;
