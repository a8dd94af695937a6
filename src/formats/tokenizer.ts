/**
 * tokenizer.json, the format of Hugging Face's tokenizers, of the kind "BPE": what of it decides how text becomes tokens.
 * Anything that it says beyond is refused by name rather than read half.
 */
import { isObject, UsageError } from "../core/check.ts";
import type { BpeData } from "../tasks/bpe.ts";
import { UNK } from "../tasks/words.ts";

type Tree = Readonly<Record<string, unknown>>;

/** Throws a UsageError that names the part that cannot be read. `name`: of the file. */
export function readTokenizer(text: string, name: string): BpeData {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${name} is no JSON: ${(error as Error).message.split("\n")[0]}.`);
  }
  const model = isObject(tree) ? tree.model : undefined;
  if (!isObject(tree) || !isObject(model) || model.type !== "BPE")
    throw new UsageError(
      `${name}: got a ${isObject(model) ? `model of type ${JSON.stringify(model.type)}` : "file without a model"}, expected a tokenizer.json whose model.type is "BPE".`,
    );
  for (const key of ["byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"])
    if (model[key]) throw refused(name, `model.${key}`, model[key]);
  return {
    ...splitting(tree.pre_tokenizer, name),
    ...normalizing(tree.normalizer, name),
    vocabulary: vocabularyOf(model, tree.added_tokens, name),
    merges: mergesOf(model.merges, name),
  };
}

function splitting(part: unknown, name: string): Pick<BpeData, "form" | "spaceFirst"> {
  if (isObject(part) && part.type === "ByteLevel")
    return { form: "byteLevel", spaceFirst: part.add_prefix_space !== false };
  if (isObject(part) && part.type === "Metaspace" && (part.replacement ?? "▁") === "▁")
    return { form: "metaspace", spaceFirst: part.prepend_scheme !== "never" && part.add_prefix_space !== false };
  throw refused(name, "pre_tokenizer", part);
}

function normalizing(part: unknown, name: string): Pick<BpeData, "lowercase" | "normalization"> {
  if (part === null || part === undefined) return {};
  const type = isObject(part) ? part.type : undefined;
  if (type === "Lowercase") return { lowercase: true };
  if (type === "NFC" || type === "NFD" || type === "NFKC" || type === "NFKD") return { normalization: type };
  if (isObject(part) && type === "Sequence" && Array.isArray(part.normalizers))
    return Object.assign({}, ...part.normalizers.map((each) => normalizing(each, name)));
  throw refused(name, "normalizer", part);
}

function refused(name: string, part: string, value: unknown): UsageError {
  const shown = isObject(value) ? JSON.stringify(value.type) : JSON.stringify(value);
  return new UsageError(
    `${name}: ${part} is ${shown}, which is not read; expected BPE with a ByteLevel or Metaspace pre-tokenizer, and NFC, NFD, NFKC, NFKD or Lowercase.`,
  );
}

/** Pieces and added tokens by their numbers; the token for the unknown is `<unk>` to us. */
function vocabularyOf(model: Tree, added: unknown, name: string): string[] {
  const numbers = new Map<number, string>();
  const put = (piece: unknown, id: unknown) => {
    if (typeof piece !== "string" || !Number.isSafeInteger(id) || (id as number) < 0)
      throw new UsageError(
        `${name}: ${JSON.stringify(piece)} has the number ${JSON.stringify(id)}, expected a whole one.`,
      );
    numbers.set(id as number, piece === model.unk_token ? UNK : piece);
  };
  if (!isObject(model.vocab))
    throw new UsageError(`${name}: model.vocab is missing; expected pieces with their numbers.`);
  for (const [piece, id] of Object.entries(model.vocab)) put(piece, id);
  for (const each of Array.isArray(added) ? added : []) if (isObject(each)) put(each.content, each.id);
  const count = numbers.size;
  for (let id = 0; id < count; id++)
    if (!numbers.has(id))
      throw new UsageError(`${name}: token ${id} of ${count} is missing; numbers must have no gap.`);
  return Array.from({ length: count }, (_, id) => numbers.get(id) as string);
}

/** "a b", or ["a", "b"] as newer files have it. */
function mergesOf(merges: unknown, name: string): string[] {
  if (!Array.isArray(merges)) throw new UsageError(`${name}: model.merges is missing; expected a list of pairs.`);
  return merges.map((each, index) => {
    const pair = Array.isArray(each) ? each.join(" ") : each;
    if (typeof pair !== "string" || pair.split(" ").length !== 2)
      throw new UsageError(`${name}: merge ${index + 1} is ${JSON.stringify(each)}, expected two pieces.`);
    return pair;
  });
}
