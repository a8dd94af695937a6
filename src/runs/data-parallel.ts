/**
 * Pairs of texts for translation: one file with both, or two with a line for each line.
 *
 *   {"source": "...", "target": "..."}      JSONL (.jsonl); a key `split` says train, valid or test
 *   source<TAB>target                       .tsv, without a heading
 *   task.data=FILE task.targetData=FILE     any other: line n of the one belongs to line n of the other
 *
 * Pairs with an empty side are left out and counted.
 */
import { check, UsageError } from "../core/check.ts";
import { readJsonl } from "../formats/jsonl.ts";
import type { ParallelPair } from "../tasks/translation.ts";
import type { Placed } from "./data-splits.ts";
import { type LoadedText, loadFile } from "./text.ts";

export interface Pairs {
  readonly examples: Placed<ParallelPair>[];
  readonly notes: readonly string[];
}

const CHOICES = "a .jsonl or .tsv file of pairs, a text file with task.targetData beside it, or: verses";

/** A file of sources, with its targets in it or beside it. */
export function loadPairs(file: string, targets: string | undefined): Pairs & { readonly files: LoadedText[] } {
  const source = loadFile(file, "data", CHOICES);
  const both = /\.(jsonl|ndjson|tsv)$/i.test(file);
  if (both) {
    check(targets === undefined, `task.targetData: ${file} has both sides in it; leave ${targets} out.`);
    return { ...withoutEmpty(readPairs(source.text, file), file), files: [source] };
  }
  if (targets === undefined)
    throw new UsageError(
      `${file} has one side; name the file with the other: task.targetData=FILE. Or give ${CHOICES}.`,
    );
  const target = loadFile(targets, "data", "the file of targets, line by line");
  const [from, to] = [linesOf(source.text), linesOf(target.text)];
  check(
    from.length === to.length,
    `${file} has ${from.length} lines and ${targets} ${to.length}; each line needs its translation on the same line.`,
  );
  const pairs = from.map((line, index) => {
    const where = `${file}:${index + 1}`;
    return { example: { source: line, target: to[index] as string, where }, split: undefined, where };
  });
  return { ...withoutEmpty(pairs, file), files: [source, target] };
}

function readPairs(text: string, file: string): Placed<ParallelPair>[] {
  if (!/\.tsv$/i.test(file))
    return readJsonl(text, file).map(({ line, value }) => {
      const where = `${file}:${line}`;
      const side = (key: string): string => {
        if (typeof value[key] !== "string")
          throw new UsageError(`${where}: "${key}" is ${JSON.stringify(value[key]) ?? "missing"}, expected a text.`);
        return value[key] as string;
      };
      const split = value.split === undefined ? undefined : String(value.split);
      return { example: { source: side("source"), target: side("target"), where }, split, where };
    });
  return linesOf(text).map((line, index) => {
    const where = `${file}:${index + 1}`;
    const cells = line.split("\t");
    if (cells.length !== 2 && line.trim() !== "")
      throw new UsageError(`${where}: ${cells.length} columns, expected two: source, tab, target.`);
    return { example: { source: cells[0] ?? "", target: cells[1] ?? "", where }, split: undefined, where };
  });
}

function withoutEmpty(pairs: readonly Placed<ParallelPair>[], file: string): Pairs {
  const examples = pairs.filter(({ example }) => example.source.trim() !== "" && example.target.trim() !== "");
  const left = pairs.length - examples.length;
  return {
    examples,
    notes: left > 0 ? [`${left} of ${pairs.length} pairs of ${file} have an empty side and are left out.`] : [],
  };
}

/** The line end at the end of a file begins no line. */
function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** To translate: lines of text, or JSONL with a key `source`. */
export function readSources(text: string, name: string): { readonly input: unknown; readonly where: string }[] {
  if (/\.(jsonl|ndjson)$/i.test(name))
    return readJsonl(text, name).map(({ line, value }) => ({ input: value.source, where: `${name}:${line}` }));
  return linesOf(text).map((line, index) => ({ input: line, where: `${name}:${index + 1}` }));
}
