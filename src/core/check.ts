/**
 * Errors a user can act on: what was given, what was expected, what to do.
 *
 * `UsageError` is a mistake in what was asked for (exit code 2); `GatesieveError` is a failure of
 * the work itself (exit code 1). Anything else that is thrown is a defect of ours.
 */
export class GatesieveError extends Error {
  override readonly name: string = "GatesieveError";
  readonly exitCode: number = 1;
}

export class UsageError extends GatesieveError {
  override readonly name = "UsageError";
  override readonly exitCode = 2;
}

/** Throws a `UsageError` unless `condition` holds. The message says got, expected, next move. */
export function check(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new UsageError(typeof message === "string" ? message : message());
}

/** What JSON calls an object: no list, not null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value under `name`, or an error that lists the choices (with the nearest one first). */
export function choose<T>(kind: string, name: string, table: Readonly<Record<string, T>>): T {
  if (Object.hasOwn(table, name)) return table[name] as T;
  const names = Object.keys(table);
  const near = nearest(name, names);
  throw new UsageError(
    `unknown ${kind} "${name}"${near ? `, did you mean "${near}"?` : "."} The choices are: ${names.join(", ")}.`,
  );
}

/** The name within edit distance 2 of `word` (or a third of its length), if there is one. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min((previous[j] as number) + 1, (current[j - 1] as number) + 1, substitute);
    }
    previous = current;
  }
  return previous[b.length] as number;
}

/** A number of bytes as a person reads it: "1.5 GiB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** The shorter of plain and exponential notation: 0.99, 1e-6. Reads back as the same number. */
export function formatNumber(value: number): string {
  const [plain, exponential] = [String(value), value.toExponential()];
  return exponential.length < plain.length ? exponential : plain;
}
