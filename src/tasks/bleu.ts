/**
 * BLEU and chrF as sacrebleu defines them by default, of texts that are not tokenised (Post 2018, arXiv 1804.08771; Papineni
 * et al. 2002; Popovic 2015). Equal to its published examples: bleu.test.ts.
 *
 *   BLEU   orders 1 to 4, tokens of mteval-v13a, a zero count of order n smoothed by 1/2, 1/4, ... ("exp"), brevity
 *          penalty against the reference of nearest length
 *   chrF2  orders 1 to 6 of characters without white space, recall counting twice; orders that a text is too short for
 *          are left out
 */

/** What a figure was computed by, in sacrebleu's form; its version is left out: this is another program. */
export const BLEU_SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp";
export const CHRF_SIGNATURE = "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no";

const ORDERS = 4;
/** White space as Python's str.split and strip have it. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`, "g");
const LAST_SPACES = new RegExp(`[${SPACE}]+$`);

const ENTITIES: readonly (readonly [string, string])[] = [
  ["&quot;", '"'],
  ["&amp;", "&"],
  ["&lt;", "<"],
  ["&gt;", ">"],
];

/** The tokens of mteval-v13a, the tokeniser of the Workshop on Machine Translation. */
export function tokens13a(line: string): string[] {
  let text = line.replace(LAST_SPACES, "").replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
  for (const [entity, character] of ENTITIES) text = text.replaceAll(entity, character);
  text = ` ${text} `
    .replace(/([{-~[-` -&(-+:-@/])/g, " $1 ") // punctuation and symbols of ASCII, but for ' - . ,
    .replace(/([^0-9])([.,])/g, "$1 $2 ") // . and , unless a digit stands before
    .replace(/([.,])([^0-9])/g, " $1 $2") // . and , unless a digit stands after
    .replace(/([0-9])(-)/g, "$1 $2 "); // - after a digit
  return text.split(SPACES).filter((token) => token !== "");
}

export interface BleuScore {
  /** 0 to 100. */
  readonly score: number;
  /** Of orders 1 to 4, in per cent. */
  readonly precisions: readonly number[];
  readonly brevityPenalty: number;
  /** Tokens said, and those of the references. */
  readonly length: number;
  readonly referenceLength: number;
}

/** Of a corpus; `references`: one text for each, or several streams of them. Streams must be as long as `said`. */
export function bleu(said: readonly string[], ...references: readonly (readonly string[])[]): BleuScore {
  const correct = new Array<number>(ORDERS).fill(0);
  const total = new Array<number>(ORDERS).fill(0);
  let [length, referenceLength] = [0, 0];
  for (const [index, text] of said.entries()) {
    const tokens = tokens13a(text);
    const others = references.map((stream) => tokens13a(stream[index] as string));
    length += tokens.length;
    referenceLength += nearest(
      tokens.length,
      others.map((each) => each.length),
    );
    for (let order = 1; order <= ORDERS; order++) {
      const limits = new Map<string, number>();
      for (const other of others)
        for (const [gram, count] of grams(other, order, " ")) limits.set(gram, Math.max(count, limits.get(gram) ?? 0));
      for (const [gram, count] of grams(tokens, order, " "))
        correct[order - 1]! += Math.min(count, limits.get(gram) ?? 0);
      total[order - 1]! += Math.max(0, tokens.length - order + 1);
    }
  }
  return { ...scoreOf(correct, total, length, referenceLength), length, referenceLength };
}

function scoreOf(correct: readonly number[], total: readonly number[], length: number, referenceLength: number) {
  const precisions = new Array<number>(ORDERS).fill(0);
  const short = length < referenceLength;
  const brevityPenalty = !short ? 1 : length > 0 ? Math.exp(1 - referenceLength / length) : 0;
  if (correct.every((count) => count === 0)) return { score: 0, precisions, brevityPenalty };
  let halves = 1;
  for (let n = 0; n < ORDERS && total[n]! > 0; n++) {
    if (correct[n] === 0) halves *= 2;
    precisions[n] = (100 * (correct[n] || 1 / halves)) / total[n]!;
  }
  const logs = precisions.reduce((sum, precision) => sum + Math.log(precision), 0); // -Infinity: an order nobody reached
  return { score: brevityPenalty * Math.exp(logs / ORDERS), precisions, brevityPenalty };
}

/** Of equally near lengths the lesser. */
function nearest(length: number, lengths: readonly number[]): number {
  return lengths.reduce((best, each) => {
    const closer = Math.abs(each - length) - Math.abs(best - length);
    return closer < 0 || (closer === 0 && each < best) ? each : best;
  });
}

function grams(items: readonly string[], order: number, between: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + order <= items.length; i++) {
    const gram = items.slice(i, i + order).join(between);
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

/** Of a corpus, 0 to 100; `beta`: how much more recall counts than precision. */
export function chrF(said: readonly string[], references: readonly string[], beta = 2, orders = 6): number {
  const sums = new Float64Array(orders * 3); // said, in the reference, in both
  for (const [index, text] of said.entries()) {
    const [characters, others] = [text, references[index] as string].map((each) => [...each.replace(SPACES, "")]) as [
      string[],
      string[],
    ];
    for (let order = 1; order <= orders; order++) {
      const limits = grams(others, order, "");
      const at = (order - 1) * 3;
      // Where the reference has no n-gram, those said are not counted against it.
      if (limits.size > 0) sums[at]! += Math.max(0, characters.length - order + 1);
      sums[at + 1]! += Math.max(0, others.length - order + 1);
      for (const [gram, count] of grams(characters, order, "")) sums[at + 2]! += Math.min(count, limits.get(gram) ?? 0);
    }
  }
  let [precision, recall, counted] = [0, 0, 0];
  for (let at = 0; at < sums.length; at += 3) {
    if (sums[at] === 0 || sums[at + 1] === 0) continue;
    precision += sums[at + 2]! / sums[at]!;
    recall += sums[at + 2]! / sums[at + 1]!;
    counted++;
  }
  if (precision + recall === 0) return 0;
  const factor = beta * beta;
  return (100 * (1 + factor) * precision * recall) / (counted * (factor * precision + recall));
}
