/**
 * Captioning: write what is on a picture.
 *
 * An encoder reads the picture in square patches, row by row from the top left: a position is the colours of a patch, -1 to
 * 1. Captions are in pieces of a byte-pair encoding learnt of the training part.
 */
import { check, UsageError } from "../core/check.ts";
import type { BpeData } from "./bpe.ts";
import type { Encoded, SourceBuffers, Split, Task } from "./task.ts";
import { Pieces, TEXT_SIGNATURE, textScores, type WrittenExample, writtenTask } from "./writing.ts";

/** Colours as they are seen: three bytes a pixel, from the top left. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** (height * width * 3) */
  readonly colours: Uint8Array;
}

export interface CaptionedPicture {
  readonly picture: Picture;
  readonly caption: string;
  /** "img/1f600.png", for messages. */
  readonly where?: string;
}

/** What was learnt of the training part besides weights; kept with the model. */
export interface CaptioningEncoding {
  readonly tokenizer: BpeData;
  readonly width: number;
  readonly height: number;
  /** Pixels along a patch's side. */
  readonly patch: number;
}

export interface CaptioningOptions {
  readonly name: string;
  /** None: only to predict. */
  readonly parts?: Readonly<Record<Split, readonly CaptionedPicture[]>> | undefined;
  readonly encoding?: CaptioningEncoding | undefined;
  /** Entries of the vocabulary to learn, at most. */
  readonly vocabularySize?: number | undefined;
  /** Columns of a trained embedding of what was written so far; 0 or none: one-hot. */
  readonly embedding?: number | undefined;
  /** Pixels along a patch's side; both sides of a picture are multiples of it. */
  readonly patch?: number | undefined;
}

export const DEFAULT_PATCH = 8;
export const DEFAULT_CAPTION_PIECES = 1000;

export function captioningTask(options: CaptioningOptions): Task {
  const { name, parts, embedding = 0 } = options;
  const { encoding, pieces } = options.encoding
    ? { encoding: options.encoding, pieces: new Pieces(options.encoding.tokenizer) }
    : learn(options);
  const encoded = (split: Split) =>
    (parts?.[split] ?? []).map(({ picture, caption, where = `${name}, ${split}` }): WrittenExample => {
      const source = checkPicture(picture, encoding, where);
      const target = pieces.encode(caption, where, "caption").tokens;
      return { source, sourceLength: S, target, reference: caption };
    });
  const { width, height, patch } = encoding;
  const S = (width / patch) * (height / patch);
  const examples = parts && { train: encoded("train"), valid: encoded("valid"), test: encoded("test") };

  return writtenTask({
    name: "captioning",
    summary: "write what is on a picture",
    source: { kind: "features", size: patch * patch * 3, length: S },
    encoding,
    pieces,
    examples,
    embedding,
    writing: {
      result: "caption",
      encode: (input, where) => ({ source: checkPicture(input as Picture, encoding, where), remarks: {} }),
      fill: (source, into, B, b) => fillPatches(source, into, encoding, B, b),
      scores: (written, references) => ({
        ...textScores(written, references),
        exactMatch: written.filter((text, index) => text === references[index]).length / written.length,
      }),
      signature: `${TEXT_SIGNATURE}, exactMatch: share of captions written letter by letter`,
    },
  });
}

/** The colours of a picture of the size that the model reads. */
function checkPicture(picture: Picture, { width, height }: CaptioningEncoding, where: string): Uint8Array {
  check(
    picture?.colours instanceof Uint8Array,
    () => `${where}: got ${JSON.stringify(picture) ?? "nothing"}, expected a picture.`,
  );
  check(
    picture.width === width && picture.height === height,
    () =>
      `${where}: the picture is ${picture.width} x ${picture.height}, expected ${width} x ${height} as those of training; scale it first.`,
  );
  return picture.colours;
}

/** Into lane b of B: patches by rows, each its pixels by rows, each three numbers. */
function fillPatches(
  colours: Encoded,
  { features }: SourceBuffers,
  { width, height, patch }: CaptioningEncoding,
  B: number,
  b: number,
): number {
  const across = width / patch;
  const positions = across * (height / patch);
  const size = patch * patch * 3;
  for (let s = 0; s < positions; s++) {
    const [top, left] = [Math.floor(s / across) * patch, (s % across) * patch];
    let at = (s * B + b) * size;
    for (let y = top; y < top + patch; y++)
      for (let x = (y * width + left) * 3; x < (y * width + left + patch) * 3; x++)
        features![at++] = (colours[x] as number) / 127.5 - 1;
  }
  return positions;
}

function learn({ name, parts, vocabularySize = DEFAULT_CAPTION_PIECES, patch = DEFAULT_PATCH }: CaptioningOptions) {
  const train = parts?.train ?? [];
  const [first] = train;
  if (!first) throw new UsageError(`task captioning: ${name} has no pictures to train on; give at least one.`);
  const { width, height } = first.picture;
  check(
    width % patch === 0 && height % patch === 0,
    `task.patch is ${patch}; pictures of ${width} x ${height} want a number that divides both sides.`,
  );
  const pieces = Pieces.learn(
    train.map(({ caption }) => caption),
    vocabularySize,
  );
  return { encoding: { tokenizer: pieces.data, width, height, patch } satisfies CaptioningEncoding, pieces };
}
