/**
 * Names and shapes of somebody else's parameters, as a PyTorch state dict has them, and the net of ours they fit.
 *
 * Modules may have any name: a recurrent one is known by `weight_ih_l0`, an embedding is a matrix without a bias that
 * the first layer reads from, an output layer a matrix (with a bias or without) that reads the last layer's h.
 */
import { GatesieveError, UsageError } from "../core/check.ts";

/** What PyTorch calls a cell, by how many gates stack in its matrices. */
const CELL_OF_GATES: Readonly<Record<number, string>> = { 4: "lstm", 3: "gru", 1: "rnn" };

/** What people call an output layer: without its bias, shapes alone might take it for an embedding. */
const HEAD_NAMES = /^(head|decoder|fc|out|linear|proj)/i;

export interface Shaped {
  readonly shape: readonly number[];
}

/** What shapes alone tell. */
export interface NetShape {
  readonly cell: string;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly bidirectional: boolean;
  /** Columns of the embedding; 0: none. */
  readonly embedding: number;
  /** Columns of what the first layer reads: the embedding's, features, or one-hot tokens. */
  readonly inputSize: number;
  /** Of the output layer, where there is one. */
  readonly outputSize: number | undefined;
}

export interface Fit {
  readonly net: NetShape;
  /** Our names, and theirs; undefined: the file has none, and zeros are the same function. */
  readonly names: ReadonlyMap<string, string | undefined>;
  /** What a person should know: modules found under other names, what was taken as zero. */
  readonly notes: readonly string[];
}

export interface Rename {
  readonly from: string;
  readonly to: string;
}

interface Place {
  readonly module: string;
  readonly kind: string;
  readonly layer: number;
  readonly reverse: string;
}

/** "decoder.=head.": names that begin with the first part get the second in its place. */
export function parseRename(text: string): Rename {
  const [, from, to] = /^([^=]+)=([^=]*)$/.exec(text) ?? [];
  if (from === undefined || to === undefined)
    throw new UsageError(
      `"${text}" is no renaming; write THEIRS=OURS, the beginnings of names, such as decoder.=head.`,
    );
  return { from, to };
}

/** Throws an error that names what is missing and what has no place. */
export function fitStateDict(
  tensors: ReadonlyMap<string, Shaped>,
  source: string,
  renames: readonly Rename[] = [],
): Fit {
  const theirs = renamed(tensors, source, renames);
  const fail = (what: string): never => {
    throw new GatesieveError(`${source}: ${what}`);
  };
  const shapeOf = (name: string): readonly number[] => tensors.get(theirs.get(name) as string)!.shape;
  const recurrent = [...theirs.keys()].filter((name) => placeOf(name));
  const modules = [...new Set(recurrent.map((name) => (placeOf(name) as Place).module))];
  if (["encoder.", "decoder."].every((half) => modules.some((module) => module.startsWith(half))))
    fail(
      "an encoder and a decoder, whose weights alone do not tell what they read and write: give the whole folder that gatesieve export wrote, config.json beside the weights.",
    );
  if (modules.length !== 1)
    fail(
      modules.length === 0
        ? `no recurrent layer: expected parameters such as lstm.weight_ih_l0, got ${list([...theirs.keys()])}.`
        : `${modules.length} recurrent modules (${list(modules)}), expected one. Layers of one module are numbered: rename them, for example ${modules[1] || "x."}weight_ih_l0=${modules[0]}weight_ih_l1.`,
    );
  const module = modules[0] as string;
  const first = `${module}weight_hh_l0`;
  // minGRU alone has no hidden product: its module is known by its name.
  const minimal = module === "mingru." && !recurrent.some((name) => name.startsWith("mingru.weight_hh"));
  if (!theirs.has(first) && !minimal) fail(`"${first}" is missing.`);
  const [rows = 0, columns = 0] = minimal
    ? (tensors.get(theirs.get("mingru.weight_ih_l0") ?? "")?.shape ?? [])
    : shapeOf(first);
  const hiddenSize = minimal ? rows / 2 : columns;
  const cell = minimal ? "mingru" : CELL_OF_GATES[rows / hiddenSize];
  if (cell === undefined || !(hiddenSize > 0) || !Number.isInteger(hiddenSize))
    fail(
      minimal
        ? `"mingru.weight_ih_l0" has shape [${[rows, columns]}], expected [2H, inputs].`
        : `"${first}" has shape [${shapeOf(first)}], expected [4H, H] (LSTM), [3H, H] (GRU) or [H, H] (RNN).`,
    );
  const places = recurrent.map((name) => placeOf(name) as Place);
  const numLayers = 1 + Math.max(...places.map(({ layer }) => layer));
  const bidirectional = places.some(({ reverse }) => reverse !== "");
  const biased = places.some(({ kind }) => kind.startsWith("bias"));

  const names = new Map<string, string | undefined>();
  const notes: string[] = [];
  const missing: string[] = [];
  const taken = new Set<string>();
  for (let layer = 0; layer < numLayers; layer++)
    for (const reverse of bidirectional ? ["", "_reverse"] : [""])
      for (const kind of minimal ? ["weight_ih", "bias_ih"] : ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]) {
        const name = `${module}${kind}_l${layer}${reverse}`;
        const found = theirs.has(name);
        if (!found && (biased || kind.startsWith("weight"))) missing.push(name);
        names.set(`${cell}.${kind}_l${layer}${reverse}`, found ? theirs.get(name) : undefined);
        taken.add(name);
      }
  if (missing.length) fail(`${list(missing)} missing.`);
  if (module !== `${cell}.`) notes.push(`"${module}" is the ${cell}`);
  if (!biased) notes.push(`the ${cell} has no bias; zeros are the same function`);

  const inputSize = shapeOf(`${module}weight_ih_l0`)[1] ?? 0;
  const features = hiddenSize * (bidirectional ? 2 : 1);
  const matrices = [...theirs.keys()].filter(
    (name) => !taken.has(name) && name.endsWith(".weight") && shapeOf(name).length === 2,
  );
  const biasOf = (weight: string) => weight.replace(/weight$/, "bias");
  const pick = (ours: string, fits: (name: string) => boolean): string | undefined => {
    const named = `${ours}.weight`;
    const found = matrices.includes(named) ? [named] : matrices.filter((name) => !taken.has(name) && fits(name));
    if (found.length > 1)
      fail(`${list(found)} could each be the ${ours}; say which by a renaming such as ${stem(found[0]!)}=${ours}.`);
    if (found[0] === undefined) return undefined;
    taken.add(found[0]);
    if (found[0] !== named) notes.push(`"${stem(found[0])}" is the ${ours}`);
    names.set(named, theirs.get(found[0]));
    return found[0];
  };
  const table = pick(
    "embedding",
    (name) => shapeOf(name)[1] === inputSize && !theirs.has(biasOf(name)) && !HEAD_NAMES.test(name),
  );
  const head = pick("head", (name) => shapeOf(name)[1] === features);
  const orphan = [...theirs.keys()].find((name) => !taken.has(name) && name.endsWith(".bias"));
  const outputs = head ?? (orphan && table && isTied(shapeOf(orphan), shapeOf(table), features) ? table : undefined);
  if (outputs !== undefined) {
    const bias = head === undefined ? (orphan as string) : biasOf(head);
    const found = theirs.has(bias);
    taken.add(bias);
    names.set("head.weight", theirs.get(outputs));
    names.set("head.bias", found ? theirs.get(bias) : undefined);
    if (!found) notes.push("the head has no bias; zeros are the same function");
    if (head === undefined) notes.push(`the head has no matrix of its own: that of "${stem(outputs)}" serves as both`);
  }
  const foreign = [...theirs.keys()].filter((name) => !taken.has(name));
  if (foreign.length)
    fail(
      `${list(foreign)}: no place for ${foreign.length === 1 ? "it" : "them"} in a net of an embedding, a ${cell} and an output layer. Save without, or rename.`,
    );
  const embedding = table ? (shapeOf(table)[1] as number) : 0;
  const outputSize = outputs ? shapeOf(outputs)[0] : undefined;
  return {
    net: { cell: cell as string, numLayers, hiddenSize, bidirectional, embedding, inputSize, outputSize },
    names,
    notes,
  };
}

/** Their names after renaming, with what they are in the file. */
function renamed(
  tensors: ReadonlyMap<string, Shaped>,
  source: string,
  renames: readonly Rename[],
): ReadonlyMap<string, string> {
  const theirs = new Map<string, string>();
  for (const { from } of renames)
    if (![...tensors.keys()].some((name) => name.startsWith(from)))
      throw new UsageError(`${source}: no parameter begins with "${from}"; it has ${list([...tensors.keys()])}.`);
  for (const name of tensors.keys()) {
    const rule = renames.find(({ from }) => name.startsWith(from));
    const to = rule ? rule.to + name.slice(rule.from.length) : name;
    if (theirs.has(to)) throw new UsageError(`${source}: "${theirs.get(to)}" and "${name}" would both be "${to}".`);
    theirs.set(to, name);
  }
  return theirs;
}

function placeOf(name: string): Place | undefined {
  const [, module, kind, layer, reverse = ""] = /^(.*?)((?:weight|bias)_[ih]h)_l(\d{1,3})(_reverse)?$/.exec(name) ?? [];
  return kind === undefined ? undefined : { module: module as string, kind, layer: Number(layer), reverse };
}

/** "decoder." of "decoder.weight". */
function stem(name: string): string {
  return name.replace(/weight$/, "");
}

function isTied(bias: readonly number[], table: readonly number[], features: number): boolean {
  return bias.length === 1 && bias[0] === table[0] && table[1] === features;
}

/** At most eight, quoted. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => `"${name}"`);
  return names.length > 8 ? `${shown.join(", ")} and ${names.length - 8} more` : shown.join(", ") || "nothing";
}
