/**
 * The Brown corpus as a text of words: tags stripped, lower-case, a sentence a line, words apart by spaces.
 *
 * Whole documents are split, so that no document is in two splits, genre by genre, so that every genre is
 * in each: of a genre's n documents round(n/20), at least one, validate and as many test. They lie evenly
 * among the genre's documents in file order, by turns. That makes 450, 25 and 25 of the 500; within a split
 * documents stay in file order, so that the lanes of a batch read different genres.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Split } from "../tasks/task.ts";
import { dataSetFolders } from "./data.ts";

export const BROWN = "brown";

/** As text.ts wants a text. */
export function loadBrown() {
  const [folder] = dataSetFolders(BROWN) as [string];
  const hash = createHash("sha256");
  const texts: Record<Split, string> = { train: "", valid: "", test: "" };
  for (const [name, split] of brownDocuments(folder)) {
    const bytes = readFileSync(join(folder, name));
    hash.update(bytes);
    texts[split] += brownWords(bytes.toString("latin1"));
  }
  return {
    name: BROWN,
    path: BROWN,
    text: texts.train,
    parts: { valid: texts.valid, test: texts.test },
    sha256: hash.digest("hex"),
    tokenizer: "spaces" as const,
  };
}

/** The documents in the corpus's folder, in order, and the split of each. */
export function brownDocuments(folder: string): Map<string, Split> {
  const names = readdirSync(folder).filter((name) => /^c[a-r]\d\d$/.test(name));
  return brownSplits(names.sort());
}

/** Sorted document names, "ca01" being the first of genre a, to the split of each. */
export function brownSplits(names: readonly string[]): Map<string, Split> {
  const splits = new Map<string, Split>(names.map((name) => [name, "train"]));
  for (const genre of new Set(names.map((name) => name[1]))) {
    const documents = names.filter((name) => name[1] === genre);
    const held = 2 * Math.max(1, Math.round(documents.length / 20)); // for valid and test together
    for (let k = 0; k < held; k++)
      splits.set(
        documents[Math.floor(((2 * k + 1) * documents.length) / (2 * held))] as string,
        k % 2 ? "test" : "valid",
      );
  }
  return splits;
}

/** "The/at Fulton/np-tl ./." to "the fulton ."; a tag is what follows the last slash. */
export function brownWords(tagged: string): string {
  let text = "";
  for (const line of tagged.split("\n")) {
    const words = line.match(/\S+/g)?.map((pair) => pair.slice(0, pair.lastIndexOf("/")).toLowerCase());
    if (words) text += `${words.join(" ")}\n`;
  }
  return text;
}
