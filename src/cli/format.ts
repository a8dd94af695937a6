/** Numbers as people read them. Null and undefined are "–": not known, which is not 0. */

type Maybe = number | null | undefined;

const NONE = "–";

/** With so many decimals; very large numbers in exponential form. */
export function fixed(value: Maybe, digits: number): string {
  if (!known(value)) return NONE;
  return Math.abs(value) < 1e5 ? value.toFixed(digits) : value.toExponential(2);
}

/** A share of 1: "84.7 %". */
export function percent(share: Maybe, digits = 1): string {
  return known(share) ? `${(100 * share).toFixed(digits)} %` : NONE;
}

/** "52 s", "3 min 05 s", "2 h 10 min". */
export function duration(seconds: Maybe): string {
  if (!known(seconds)) return NONE;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function milliseconds(value: Maybe): string {
  return known(value) ? `${value.toFixed(value < 10 ? 2 : 1)} ms` : NONE;
}

/** "1.8x": how many times faster `after` is than `before`. */
export function ratio(before: Maybe, after: Maybe): string {
  return known(before) && known(after) && after > 0 ? `${(before / after).toFixed(2)}x` : NONE;
}

/** With a metric prefix and three digits: "27.1k", "3.07G". */
export function metric(value: Maybe): string {
  if (!known(value)) return NONE;
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  let [scaled, index] = [value, 0];
  while (Math.abs(scaled) >= 999.5 && index < prefixes.length - 1) [scaled, index] = [scaled / 1000, index + 1];
  const digits = index === 0 && Number.isInteger(scaled) ? 0 : scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return `${scaled.toFixed(digits)}${prefixes[index]}`;
}

/** "nats/char" to "char": what a second of training is counted in. */
export function countedUnit(lossUnit: string): string {
  return lossUnit.split("/")[1] ?? "position";
}

/** Scores whose name is no row of words. */
const SCORE_NAMES: Readonly<Record<string, string>> = {
  bleu: "BLEU",
  chrF2: "chrF2",
  mae: "MAE",
  rmse: "RMSE",
  mase: "MASE",
  macroF1: "macro F1",
  naiveMae: "naive MAE",
  seasonalNaiveMae: "seasonal naive MAE",
};

/** A score's name as people write it: "bitsPerCharacter" to "bits per character". */
export function words(name: string): string {
  const own = SCORE_NAMES[name];
  if (own) return own;
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function known(value: Maybe): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
