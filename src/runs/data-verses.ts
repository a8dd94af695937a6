/**
 * Verses of the Bible in English (King James, 1769) and Spanish (Reina-Valera, 1909), both in the public domain, from the
 * Debian packages sword-text-kjv and sword-text-sparv. Both number their verses alike, so verse is aligned with verse.
 *
 * A module of kind zText, for each testament:
 *   bzs   blocks of zlib: offset in bzz, bytes there, bytes unpacked; 32 bits each
 *   bzv   places: block (32 bits), start in it (32), bytes (16); places without bytes and headings have no verse
 *   bzz   the blocks; text in OSIS
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { GatesieveError, UsageError } from "../core/check.ts";
import type { Split } from "../tasks/task.ts";
import type { ParallelPair } from "../tasks/translation.ts";
import { dataFolder } from "./data.ts";
import type { LANGUAGES } from "./data-settings.ts";

const MODULES = { en: "engKJV2006eb", es: "spaRV1909eb" } as const;
const SHARED = "/usr/share/sword/modules/texts/ztext";

/** Of every twenty verses one validates and one tests; the rest trains. */
export function readVerses(languages: (typeof LANGUAGES)[number]): Record<Split, ParallelPair[]> {
  const [from, to] = languages.split("-").map((language) => readModule(MODULES[language as keyof typeof MODULES])) as [
    string[],
    string[],
  ];
  if (from.length !== to.length)
    throw new GatesieveError(
      `the verses do not match: ${from.length} places and ${to.length}. Install Debian's sword-text-kjv 14.3 and sword-text-sparv 2.60.`,
    );
  const parts: Record<Split, ParallelPair[]> = { train: [], valid: [], test: [] };
  let count = 0;
  for (const [place, source] of from.entries()) {
    const target = to[place] as string;
    if (source === "" || target === "") continue;
    const split = count % 20 === 9 ? "valid" : count % 20 === 19 ? "test" : "train";
    parts[split].push({ source, target, where: `verse ${++count}` });
  }
  return parts;
}

/** In Debian's place, or in "sword" of the data folder. */
function readModule(name: string): string[] {
  const own = join(dataFolder(), "sword", name);
  const folder = [own, join(SHARED, name)].find((each) => existsSync(join(each, "ot.bzz")));
  if (folder === undefined)
    throw new UsageError(
      `data verses is not here (looked in ${SHARED} and ${join(dataFolder(), "sword")}). Install Debian's packages: apt-get install sword-text-kjv sword-text-sparv`,
    );
  return ["ot", "nt"].flatMap((testament) => {
    const bytes = (kind: string) => readFileSync(join(folder, `${testament}.${kind}`));
    try {
      return zText(bytes("bzs"), bytes("bzv"), bytes("bzz"));
    } catch (error) {
      throw new GatesieveError(
        `${folder}/${testament}.bz* cannot be read: ${(error as Error).message}. Install it anew.`,
      );
    }
  });
}

/** Plain text of each place of a testament; "" where there is no verse. */
export function zText(blocks: Buffer, places: Buffer, packed: Buffer): string[] {
  const unpacked = Array.from({ length: Math.floor(blocks.length / 12) }, (_, block) => {
    const offset = blocks.readUInt32LE(block * 12);
    return inflateSync(packed.subarray(offset, offset + blocks.readUInt32LE(block * 12 + 4)));
  });
  return Array.from({ length: Math.floor(places.length / 10) }, (_, place) => {
    const bytes = places.readUInt16LE(place * 10 + 8);
    if (bytes === 0) return "";
    const start = places.readUInt32LE(place * 10 + 4);
    const block = unpacked[places.readUInt32LE(place * 10)];
    if (!block || start + bytes > block.length) throw new Error(`place ${place} is beyond its block`);
    return plainText(block.toString("utf8", start, start + bytes));
  });
}

/** Without notes, headings and all tags. A verse may come with the beginning of its chapter: tags alone. */
export function plainText(osis: string): string {
  return osis
    .replace(/<(note|title)\b[^>]*(?<!\/)>.*?<\/\1>/gs, " ")
    .replace(/<[^>]*>/g, "")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&")
    .replace(/¶/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}
