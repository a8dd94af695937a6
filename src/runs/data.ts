/** Data sets on demand: where they are kept, and how they get there. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { choose, UsageError } from "../core/check.ts";
import { dataSets } from "./data-sets.ts";

/** $GATESIEVE_DATA, else the user's cache folder. */
export function dataFolder(): string {
  const { GATESIEVE_DATA, XDG_CACHE_HOME } = process.env;
  return GATESIEVE_DATA
    ? resolve(GATESIEVE_DATA)
    : join(XDG_CACHE_HOME || join(homedir(), ".cache"), "gatesieve", "data");
}

/** A package's folder: its files lie in it as the package has them. */
export function packageFolder(spec: string): string {
  return join(dataFolder(), spec.replace("/", "+"));
}

/** The folders of a data set's packages, in the table's order; an error says how to get what is missing. */
export function dataSetFolders(name: string): string[] {
  const folders = choose("data set", name, dataSets).packages.map(({ spec }) => packageFolder(spec));
  const missing = folders.find((folder) => !existsSync(folder));
  if (missing !== undefined)
    throw new UsageError(
      `data set ${name} is not here (looked for ${missing}). Fetch it with: gatesieve data get ${name}`,
    );
  return folders;
}
