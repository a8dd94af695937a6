/**
 * Words of a text: two tokenisers, the vocabulary, and words back to text.
 *
 * words    lower-case; a word is letters and digits, with single apostrophes and hyphens inside it, and
 *          points and commas inside numbers (don't, well-known, 1,200.5); any other character that is no
 *          space stands alone. `<eos>` ends each paragraph: an empty line, or the end of the text.
 * spaces   the text is tokenised already: words are apart by white space, each line is a sentence and
 *          ends with `<eos>` (the form of the Penn Treebank's files). Empty lines do not count.
 */
export const UNK = "<unk>";
export const EOS = "<eos>";
export const TOKENIZERS = ["words", "spaces"] as const;
export type Tokenizer = (typeof TOKENIZERS)[number];

const LETTER = "[\\p{L}\\p{M}\\p{N}]";
const WORD = new RegExp(
  `<unk>|${LETTER}+(?:(?:['’-]|(?<=\\p{N})[.,](?=\\p{N}))${LETTER}+)*|\\n[^\\S\\n]*\\n|\\S`,
  "gu",
);

/** The words of a text, `<eos>` among them. */
export function wordsOf(text: string, tokenizer: Tokenizer): string[] {
  const words: string[] = [];
  if (tokenizer === "spaces") {
    for (const line of text.split("\n")) {
      const found = line.match(/\S+/g);
      if (found) for (const word of found) words.push(word);
      if (found) words.push(EOS);
    }
    return words;
  }
  const end = () => {
    if (words.length > 0 && words.at(-1) !== EOS) words.push(EOS);
  };
  for (const [word] of text.toLowerCase().matchAll(WORD)) {
    if (word.startsWith("\n")) end();
    else words.push(word);
  }
  end();
  return words;
}

/** `<unk>`, then the most frequent words, `size` entries in all at most; of equally frequent ones the lesser first. */
export function wordVocabulary(words: readonly string[], size: number): string[] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  counts.delete(UNK);
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return [UNK, ...sorted.slice(0, size - 1).map(([word]) => word)];
}

export function wordTokens(vocabulary: readonly string[], words: readonly string[]): Int32Array {
  const token = new Map(vocabulary.map((word, index) => [word, index]));
  return Int32Array.from(words, (word) => token.get(word) ?? 0);
}

/** Before these no space stands, and none after the others: ` and `` open, ' and '' close a quotation. */
const CLOSES = /^(?:[.,;:!?%)\]}’”]|'|''|n't|'(?:s|m|d|re|ve|ll))$/;
const OPENS = /^(?:[([{$£‘“]|``?)$/;

/** Text a person reads: words with spaces where they belong, a line for each sentence or paragraph. */
export function joinWords(words: Iterable<string>): string {
  let text = "";
  let glued = true; // no space before the next word
  let quoted = false;
  for (const word of words) {
    if (word === EOS) {
      text += "\n";
      glued = true;
      quoted = false;
      continue;
    }
    const straight = word === '"';
    const closes = straight ? quoted : CLOSES.test(word);
    if (straight) quoted = !quoted;
    text += glued || closes ? word : ` ${word}`;
    glued = straight ? !closes : OPENS.test(word);
  }
  return text;
}
