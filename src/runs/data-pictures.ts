/**
 * Pictures with captions: emoji drawn by two artists with their English names, or PNG files of one's own.
 *
 *   {"image": "cat.png", "caption": "a cat"}     JSONL; paths from its folder, or whole; a key `split` says train, valid or test
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { GatesieveError, UsageError } from "../core/check.ts";
import { readJsonl } from "../formats/jsonl.ts";
import type { CaptionedPicture, Picture } from "../tasks/captioning.ts";
import { dataSetFolders } from "./data.ts";
import type { Placed } from "./data-splits.ts";
import { readPng } from "./png.ts";

/** Names of the data: the first artist's, the second's. */
export const EMOJI = { emoji: "twitter", "emoji-google": "google" } as const;

/** A picture from a PNG file. */
export function readPicture(path: string, where = path): Picture {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `${where}: the picture ${path} ${code === "ENOENT" ? "is not there" : `cannot be read (${code})`}.`,
    );
  }
  return readPng(bytes, path);
}

/** Of a file that lists them; `captioned` false: to predict, a caption may be missing. */
export function readCaptioned(text: string, file: string, captioned = true): Placed<CaptionedPicture>[] {
  return readJsonl(text, file).map(({ line, value }) => {
    const where = `${file}:${line}`;
    const word = (key: string): string => {
      if (typeof value[key] !== "string")
        throw new UsageError(`${where}: "${key}" is ${JSON.stringify(value[key]) ?? "missing"}, expected a text.`);
      return value[key] as string;
    };
    const picture = readPicture(resolve(dirname(file), word("image")), where);
    const split = value.split === undefined ? undefined : String(value.split);
    return { example: { picture, caption: captioned ? word("caption") : "", where }, split, where };
  });
}

interface Named {
  readonly hexcode: string;
  readonly label: string;
  readonly skins?: readonly Named[];
}

/**
 * Every emoji that is drawn and has a name, in a fixed order. Names come with variants of skin ("waving hand: light skin
 * tone"), drawn one by one.
 */
export function emojiPictures(data: keyof typeof EMOJI): Placed<CaptionedPicture>[] {
  const [twitter, google, captions] = dataSetFolders("emoji") as [string, string, string];
  const artist = EMOJI[data];
  const folder = artist === "twitter" ? twitter : google;
  const named = json<readonly Named[]>(join(captions, "en", "data.json"));
  const names = new Map(
    named.flatMap((each) => [each, ...(each.skins ?? [])]).map((each) => [plain(each.hexcode), each.label]),
  );
  const drawn = json<readonly Drawn[]>(join(folder, "emoji.json"));
  const files = drawn.flatMap((each) => [each, ...Object.values(each.skin_variations ?? {})]);
  return files.flatMap((each) => {
    const caption = names.get(plain(each.unified));
    if (caption === undefined || each[`has_img_${artist}`] === false) return [];
    const where = join("img", artist, "64", each.image);
    return [{ example: { picture: readPicture(join(folder, where), where), caption, where }, split: undefined, where }];
  });
}

interface Drawn {
  readonly unified: string;
  readonly image: string;
  readonly has_img_twitter?: boolean;
  readonly has_img_google?: boolean;
  readonly skin_variations?: Readonly<Record<string, Drawn>>;
}

/** The two sources differ in where they write the variation selector. */
function plain(hexcode: string): string {
  return hexcode.toUpperCase().replaceAll("-FE0F", "");
}

function json<T>(path: string): T {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    throw new GatesieveError(
      `${path} cannot be read: ${(error as Error).message}. Remove its folder and fetch it again.`,
    );
  }
}
