/** JSON for states that must come back bit for bit: it has no NaN, infinities and -0, so these travel as text. */
const UNSPEAKABLE = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

/** Of a state that holds no such text itself. */
export function writeExactJson(state: unknown): string {
  return JSON.stringify(state, keepNumbers);
}

export function readExactJson(text: string): unknown {
  return JSON.parse(text, reviveNumbers);
}

function keepNumbers(_key: string, value: unknown): unknown {
  if (typeof value !== "number") return value;
  return Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value);
}

function reviveNumbers(_key: string, value: unknown): unknown {
  return typeof value === "string" ? (UNSPEAKABLE.get(value) ?? value) : value;
}
