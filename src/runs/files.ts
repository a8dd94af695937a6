/**
 * Files that are never half written: everything goes to a temporary name, is flushed to the disk and
 * then renamed into place.
 */
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { formatBytes, GatesieveError } from "../core/check.ts";

/** Temporary names: what a killed process left under them is removed later. */
const TEMPORARY = ".tmp-";

/** What is too large to be in memory at once: `write` gives its pieces, in order. */
export interface Streamed {
  readonly bytes: number;
  write(sink: (piece: Uint8Array) => void): void;
}

export type Content = string | Uint8Array | Streamed;
export type Contents = Readonly<Record<string, Content>>;

/** Writes or replaces one file. `what` names it in errors. */
export function writeFileAtomic(path: string, content: Content, what: string): void {
  const temporary = temporaryName(path);
  try {
    makeFolder(dirname(path));
    writeFlushed(temporary, content);
    fs.renameSync(temporary, path);
    flushFolder(dirname(path));
  } catch (error) {
    removeQuietly(temporary);
    throw explainWriteError(error, path, what, byteLength(content));
  }
}

/** Writes a folder of files; keys may have folders ("model/config.json"). An existing folder of this name is replaced. */
export function writeFolderAtomic(path: string, contents: Contents, what: string): void {
  const temporary = temporaryName(path);
  try {
    writeContents(temporary, contents);
    fs.rmSync(path, { recursive: true, force: true });
    fs.renameSync(temporary, path);
    flushFolder(dirname(path));
  } catch (error) {
    removeQuietly(temporary);
    throw explainWriteError(error, path, what, sizeOf(contents));
  }
}

/** As `writeFolderAtomic`, but false, with nothing changed, if a folder of this name exists. */
export function createFolderAtomic(path: string, contents: Contents, what: string): boolean {
  if (fs.existsSync(path)) return false;
  const temporary = temporaryName(path);
  try {
    writeContents(temporary, contents);
    fs.renameSync(temporary, path); // refused if somebody made it meanwhile: a run's folder is never empty
    flushFolder(dirname(path));
    return true;
  } catch (error) {
    removeQuietly(temporary);
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw explainWriteError(error, path, what, sizeOf(contents));
  }
}

/** Appends a line; after a failure the file is as before. */
export function appendLine(path: string, line: string, what: string): void {
  appendBytes(path, Buffer.from(`${line}\n`), what);
}

/** Appends a record to a file, made if missing, in a folder that is there; after a failure the file is as before. */
export function appendBytes(path: string, bytes: Uint8Array, what: string): void {
  const before = fs.existsSync(path) ? fs.statSync(path).size : 0;
  try {
    fs.appendFileSync(path, bytes);
  } catch (error) {
    if (fs.existsSync(path)) fs.truncateSync(path, before);
    throw explainWriteError(error, path, what, bytes.length);
  }
}

/** Removes temporary files and folders of processes that are gone. `isAlive` decides by process number. */
export function removeStaleTemporaries(folder: string, isAlive: (pid: number) => boolean): void {
  if (!fs.existsSync(folder)) return;
  for (const name of fs.readdirSync(folder)) {
    if (!name.startsWith(TEMPORARY)) continue;
    const pid = Number(/-(\d+)$/.exec(name)?.[1]);
    if (pid !== process.pid && !isAlive(pid)) removeQuietly(join(folder, name));
  }
}

function temporaryName(path: string): string {
  return join(dirname(path), `${TEMPORARY}${basename(path)}-${process.pid}`);
}

function writeContents(folder: string, contents: Contents): void {
  const folders = new Set([folder]);
  for (const [name, content] of Object.entries(contents)) {
    const path = join(folder, name);
    makeFolder(dirname(path));
    folders.add(dirname(path));
    writeFlushed(path, content);
  }
  for (const each of folders) flushFolder(each);
}

/** With the folders above it. Not `recursive`: Node 20 never returns from it where a parent refuses children with ENOENT, as /proc does. */
export function makeFolder(path: string): void {
  if (fs.existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    fs.mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // made by another process meanwhile
  }
}

function writeFlushed(path: string, content: Content): void {
  const file = fs.openSync(path, "w");
  try {
    if (isStreamed(content)) content.write((piece) => fs.writeFileSync(file, piece));
    else fs.writeFileSync(file, content);
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

/** Makes a rename last. Not every system lets a folder be flushed; there it is left to the system. */
function flushFolder(path: string): void {
  try {
    const folder = fs.openSync(path, "r");
    try {
      fs.fsyncSync(folder);
    } finally {
      fs.closeSync(folder);
    }
  } catch (error) {
    if (!["EPERM", "EISDIR", "EINVAL", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** As far as it can be removed: what made the work fail matters more. */
export function removeQuietly(path: string): void {
  try {
    fs.rmSync(path, { recursive: true, force: true });
  } catch {
    // stays
  }
}

function isStreamed(content: Content): content is Streamed {
  return typeof content === "object" && "write" in content && "bytes" in content;
}

function byteLength(content: Content): number {
  if (isStreamed(content)) return content.bytes;
  return typeof content === "string" ? Buffer.byteLength(content) : content.byteLength;
}

function sizeOf(contents: Contents): number {
  return Object.values(contents).reduce((sum, content) => sum + byteLength(content), 0);
}

function explainWriteError(error: unknown, path: string, what: string, bytes: number): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new GatesieveError(
      `no space left for ${what} at ${path}: it needs ${formatBytes(bytes)}${freeAt(dirname(path))}. Nothing was left half-written. Free some space, then try again.`,
    );
  if (
    code === "EACCES" ||
    code === "EPERM" ||
    code === "EROFS" ||
    code === "ENOTDIR" ||
    code === "EEXIST" ||
    code === "ENOENT"
  )
    return new GatesieveError(`${what} cannot be written to ${path}: ${message}. Choose another folder for runs.`);
  return error;
}

function freeAt(folder: string): string {
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    return `, ${formatBytes(bavail * bsize)} are free`;
  } catch {
    return "";
  }
}
