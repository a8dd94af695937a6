/**
 * Sentences with a tag for each word: JSONL, CoNLL, and the Brown corpus.
 *
 *   {"tokens": ["The", "cat"], "tags": ["DET", "NOUN"]}    JSONL (.jsonl); a key `split` says train, valid or test
 *   The  DET                                               CoNLL: a word a line, its tag in the last column,
 *   cat  NOUN                                              an empty line after each sentence
 *   1  The  the  DET  ...                                  CoNLL-U (.conllu): words in column 2, UPOS in column 4
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { check, UsageError } from "../core/check.ts";
import { readJsonl } from "../formats/jsonl.ts";
import type { TaggedSentence } from "../tasks/tagging.ts";
import type { Split } from "../tasks/task.ts";
import { brownDocuments } from "./data-brown.ts";
import type { TAGSETS } from "./data-settings.ts";
import type { Placed } from "./data-splits.ts";

/** `labelled` false: to predict; tags may be missing and are not looked at. */
export function readTagged(text: string, file: string, labelled = true): Placed<TaggedSentence>[] {
  if (/\.(jsonl|ndjson)$/i.test(file)) return fromJsonl(text, file, labelled);
  return fromConll(text, file, /\.conllu$/i.test(file), labelled);
}

function fromJsonl(text: string, file: string, labelled: boolean): Placed<TaggedSentence>[] {
  return readJsonl(text, file).map(({ line, value }) => {
    const where = `${file}:${line}`;
    const words = (key: string): string[] => {
      const list = value[key];
      if (!Array.isArray(list) || list.some((each) => typeof each !== "string"))
        throw new UsageError(`${where}: "${key}" is ${JSON.stringify(list) ?? "missing"}, expected a list of texts.`);
      return list;
    };
    const split = value.split === undefined ? undefined : String(value.split);
    const example = { tokens: words("tokens"), tags: labelled ? words("tags") : [], where };
    checkSentence(example, labelled);
    return { example, split, where };
  });
}

function fromConll(text: string, file: string, universal: boolean, labelled: boolean): Placed<TaggedSentence>[] {
  const sentences: Placed<TaggedSentence>[] = [];
  let [tokens, tags, began] = [[] as string[], [] as string[], 0];
  const end = () => {
    if (tokens.length) {
      const where = `${file}:${began}`;
      sentences.push({ example: { tokens, tags, where }, split: undefined, where });
    }
    [tokens, tags] = [[], []];
  };
  for (const [index, line] of text.split("\n").entries()) {
    const cells = line.includes("\t") ? line.trimEnd().split("\t") : line.trim().split(/\s+/);
    if (line.trim() === "") end();
    if (line.trim() === "" || (universal && line.startsWith("#")) || cells[0] === "-DOCSTART-") continue;
    if (universal && /[-.]/.test(cells[0] as string)) continue; // a contraction or an empty node: its parts are words of their own
    const [word, tag] = universal ? [cells[1], cells[3]] : [cells[0], cells.length > 1 ? cells.at(-1) : undefined];
    if (!word || (labelled && !tag))
      throw new UsageError(
        `${file}:${index + 1}: got ${JSON.stringify(line)}, expected a word and its tag${universal ? " in columns 2 and 4" : " with a tab or space between"}.`,
      );
    if (tokens.length === 0) began = index + 1;
    tokens.push(word);
    tags.push(tag ?? "");
  }
  end();
  return sentences;
}

function checkSentence({ tokens, tags, where }: TaggedSentence, labelled: boolean): void {
  check(tokens.length > 0, `${where}: the sentence has no words; leave it out.`);
  const empty = tokens.indexOf("");
  check(empty < 0, `${where}: word ${empty + 1} is empty.`);
  check(
    !labelled || tokens.length === tags.length,
    `${where}: ${tokens.length} words and ${tags.length} tags; give each word one tag.`,
  );
}

/** The Brown corpus, split by documents as its text is; `base` tags are without the marks of headlines, titles and the like. */
export function brownTagged(folder: string, tagset: (typeof TAGSETS)[number]): Record<Split, TaggedSentence[]> {
  const parts: Record<Split, TaggedSentence[]> = { train: [], valid: [], test: [] };
  for (const [name, split] of brownDocuments(folder))
    for (const [index, line] of readFileSync(join(folder, name), "latin1").split("\n").entries()) {
      const pairs = line.match(/\S+/g) ?? [];
      if (pairs.length === 0) continue;
      const tags = pairs.map((pair) => pair.slice(pair.lastIndexOf("/") + 1));
      parts[split].push({
        tokens: pairs.map((pair) => pair.slice(0, pair.lastIndexOf("/"))),
        tags: tagset === "raw" ? tags : tags.map(baseTag),
        where: `${name}:${index + 1}`,
      });
    }
  return parts;
}

/**
 * "fw-nn-tl" to "nn", "ppss+bem" to "ppss", "md*" to "md": without the marks of foreign words, titles, headlines and cited
 * words, without what is contracted with the word, without its negation and its genitive.
 */
export function baseTag(tag: string): string {
  if (!/[a-z]/.test(tag)) return tag; // punctuation: . , : ( ) * -- '' ``
  const bare = tag
    .replace(/^fw-/, "")
    .replace(/(?:-(?:tl|hl|nc))+$/, "")
    .split("+")[0] as string;
  return bare.replace(/[*$]+$/, "") || bare;
}
