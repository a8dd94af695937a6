/**
 * Byte-pair encoding (Sennrich, Haddow and Birch 2016, arXiv 1508.07909): words in pieces, learnt of a text or taken from a
 * tokenizer.json (formats/tokenizer.ts).
 *
 *   pieces     ours: words with the space before them as "▁", apart from digits and from punctuation, merged within;
 *              characters that training did not have are `<unk>`
 *   metaspace  as sentencepiece: all between two spaces is a word
 *   byteLevel  as GPT-2: bytes as characters, so that nothing is unknown
 */
import { check } from "../core/check.ts";
import { UNK } from "./words.ts";

export const FORMS = ["pieces", "metaspace", "byteLevel"] as const;
export type BpeForm = (typeof FORMS)[number];

/** All there is to a tokeniser, as JSON. */
export interface BpeData {
  readonly form: BpeForm;
  /** In token order. */
  readonly vocabulary: readonly string[];
  /** What is merged, the first first: "▁t he". */
  readonly merges: readonly string[];
  readonly lowercase?: boolean;
  readonly normalization?: "NFC" | "NFD" | "NFKC" | "NFKD";
  /** A space before the first word, where the form leaves that open: metaspace and byteLevel. */
  readonly spaceFirst?: boolean;
}

const SPACE = "▁";
const WORDS: Readonly<Record<BpeForm, RegExp>> = {
  pieces: / ?[\p{L}\p{M}]+| ?\p{N}| ?[^\s\p{L}\p{M}\p{N}]| +/gu,
  metaspace: / ?[^ ]+| +/gu,
  byteLevel: /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu,
};

/** GPT-2's characters for the 256 bytes: those that can be seen stand for themselves. */
const BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const seen = (each: number) => (each > 32 && each < 127) || (each > 160 && each !== 173);
  if (seen(byte)) return String.fromCodePoint(byte);
  return String.fromCodePoint(
    256 + Array.from({ length: byte }, (_, each) => each).filter((each) => !seen(each)).length,
  );
});
const BYTE_OF = new Map(BYTES.map((character, byte) => [character, byte]));

export class Bpe {
  readonly data: BpeData;
  readonly #token: ReadonlyMap<string, number>;
  readonly #rank: ReadonlyMap<string, number>;
  readonly #known = new Map<string, readonly number[]>(); // words already taken apart
  /** What a symbol outside the vocabulary becomes; -1: it is left out. */
  readonly #unknown: number;

  constructor(data: BpeData) {
    this.data = data;
    this.#token = new Map(data.vocabulary.map((piece, index) => [piece, index]));
    this.#rank = new Map(data.merges.map((pair, index) => [pair, index]));
    this.#unknown = this.#token.get(UNK) ?? -1;
  }

  /** Tokens of a text; `unknown`: how many of its symbols the vocabulary lacks. */
  encode(text: string): { tokens: number[]; unknown: number } {
    const tokens: number[] = [];
    let unknown = 0;
    for (const word of wordsOf(text, this.data)) {
      let pieces = this.#known.get(word);
      if (!pieces) {
        pieces = this.#piecesOf(word);
        this.#known.set(word, pieces);
      }
      for (const piece of pieces)
        if (piece >= 0) tokens.push(piece);
        else {
          unknown++;
          if (this.#unknown >= 0) tokens.push(this.#unknown);
        }
    }
    return { tokens, unknown };
  }

  decode(tokens: Iterable<number>): string {
    const text = Array.from(tokens, (token) => this.data.vocabulary[token] ?? "").join("");
    if (this.data.form !== "byteLevel") return text.replaceAll(SPACE, " ").trim();
    const bytes = Array.from(text, (character) => BYTE_OF.get(character) ?? 32);
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
  }

  /** The lowest-ranked pair is merged, everywhere, until none is left; -1 stands for what the vocabulary lacks. */
  #piecesOf(word: string): readonly number[] {
    let parts = Array.from(word);
    for (;;) {
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < parts.length; i++)
        best = Math.min(best, this.#rank.get(`${parts[i]} ${parts[i + 1]}`) ?? best);
      if (best === Number.POSITIVE_INFINITY) break;
      const merged: string[] = [];
      for (let i = 0; i < parts.length; i++) {
        const found = i + 1 < parts.length && this.#rank.get(`${parts[i]} ${parts[i + 1]}`) === best;
        merged.push(found ? `${parts[i]}${parts[++i]}` : (parts[i] as string));
      }
      parts = merged;
    }
    return parts.map((part) => this.#token.get(part) ?? -1);
  }
}

/** What merges stay within, as symbols: spaces as "▁", or bytes as characters. */
function wordsOf(text: string, { form, lowercase, normalization, spaceFirst = true }: BpeData): string[] {
  let plain = normalization ? text.normalize(normalization) : text;
  if (lowercase) plain = plain.toLowerCase();
  if (form === "pieces") plain = plain.replace(/\s+/gu, " ").trim();
  if (form === "metaspace") plain = plain.replace(/\s/gu, " ");
  if (spaceFirst && plain !== "" && !plain.startsWith(" ")) plain = ` ${plain}`;
  const words = plain.match(WORDS[form]) ?? [];
  if (form !== "byteLevel") return words.map((word) => word.replaceAll(" ", SPACE));
  const encoder = new TextEncoder();
  return words.map((word) => Array.from(encoder.encode(word), (byte) => BYTES[byte]).join(""));
}

/**
 * Learns pieces of texts, `size` entries of the vocabulary at most: `reserved` (`<unk>` first), all characters, then the
 * most frequent pair again and again; of equally frequent ones the lesser. A pair seen once is no piece.
 */
export function trainBpe(texts: Iterable<string>, size: number, reserved: readonly string[]): BpeData {
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const word of wordsOf(text, { form: "pieces", vocabulary: [], merges: [] }))
      counts.set(word, (counts.get(word) ?? 0) + 1);
  const characters = [...new Set([...counts.keys()].flatMap((word) => [...word]))].sort();
  const least = reserved.length + characters.length;
  check(
    size >= least,
    `task.vocabulary is ${size}; the training part has ${characters.length} different characters: give at least ${least}.`,
  );
  const vocabulary = [...reserved, ...characters];
  const merges: string[] = [];
  const words = new Merging(counts);
  while (vocabulary.length < size) {
    const pair = words.mostFrequent();
    if (!pair) break;
    merges.push(pair);
    vocabulary.push(words.merge(pair));
  }
  return { form: "pieces", vocabulary: [...new Set(vocabulary)], merges };
}

/** Words in parts, with the count of each pair and where it is, kept as pairs merge. */
class Merging {
  readonly #words: readonly { parts: string[]; readonly count: number }[];
  readonly #counts = new Map<string, number>();
  readonly #places = new Map<string, Set<number>>();
  /** A binary heap of pairs, the most frequent first; counts in it may be old, and are then put right. */
  readonly #heap: { readonly pair: string; readonly count: number }[] = [];

  constructor(counts: ReadonlyMap<string, number>) {
    this.#words = [...counts].map(([word, count]) => ({ parts: [...word], count }));
    for (const [index, { parts, count }] of this.#words.entries()) this.#count(parts, index, count);
    for (const [pair, count] of this.#counts) this.#push({ pair, count });
  }

  #count(parts: readonly string[], index: number, count: number): void {
    for (let i = 0; i + 1 < parts.length; i++) {
      const pair = `${parts[i]} ${parts[i + 1]}`;
      this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + count);
      const places = this.#places.get(pair);
      if (places) places.add(index);
      else this.#places.set(pair, new Set([index]));
    }
  }

  mostFrequent(): string | undefined {
    for (let top = this.#pop(); top; top = this.#pop()) {
      const count = this.#counts.get(top.pair) ?? 0;
      if (count === top.count) return count > 1 ? top.pair : undefined;
      if (count > 0) this.#push({ pair: top.pair, count });
    }
    return undefined;
  }

  /** Returns the piece that the pair becomes. */
  merge(pair: string): string {
    const [left, right] = pair.split(" ") as [string, string];
    const piece = left + right;
    const grown = new Set<string>();
    for (const index of this.#places.get(pair) ?? []) {
      const word = this.#words[index]!;
      this.#count(word.parts, index, -word.count);
      const merged: string[] = [];
      for (let i = 0; i < word.parts.length; i++) {
        const found = word.parts[i] === left && word.parts[i + 1] === right;
        merged.push(found ? piece : (word.parts[i] as string));
        if (found) i++;
      }
      word.parts = merged;
      this.#count(merged, index, word.count);
      for (let i = 0; i + 1 < merged.length; i++)
        if (merged[i] === piece || merged[i + 1] === piece) grown.add(`${merged[i]} ${merged[i + 1]}`);
    }
    this.#places.delete(pair);
    for (const each of grown) this.#push({ pair: each, count: this.#counts.get(each) as number });
    return piece;
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a]!, this.#heap[b]!];
    return x.count > y.count || (x.count === y.count && x.pair < y.pair);
  }

  #swap(a: number, b: number): void {
    const kept = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = kept;
  }

  #push(entry: { readonly pair: string; readonly count: number }): void {
    this.#heap.push(entry);
    for (let at = this.#heap.length - 1; at > 0 && this.#before(at, (at - 1) >> 1); at = (at - 1) >> 1)
      this.#swap(at, (at - 1) >> 1);
  }

  #pop(): { readonly pair: string; readonly count: number } | undefined {
    if (this.#heap.length === 0) return undefined;
    this.#swap(0, this.#heap.length - 1);
    const top = this.#heap.pop();
    for (let at = 0; ; ) {
      let first = at;
      for (const below of [2 * at + 1, 2 * at + 2])
        if (below < this.#heap.length && this.#before(below, first)) first = below;
      if (first === at) return top;
      this.#swap(at, first);
      at = first;
    }
  }
}
