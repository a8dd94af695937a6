/** Data of tasks that learn from examples: built-in sets by name, or files of one's own; what a run keeps of it. */
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { check, UsageError } from "../core/check.ts";
import { readTokenizer } from "../formats/tokenizer.ts";
import type { CaptionedPicture } from "../tasks/captioning.ts";
import type { LabelledSequence } from "../tasks/classification.ts";
import type { ForecastingEncoding } from "../tasks/forecasting.ts";
import type { TaggedSentence } from "../tasks/tagging.ts";
import type { Split } from "../tasks/task.ts";
import type { TaskOptions } from "../tasks/tasks.ts";
import { dataSetFolders } from "./data.ts";
import { readSequences } from "./data-classification.ts";
import { isImageFolder, readImages } from "./data-images.ts";
import { loadPairs } from "./data-parallel.ts";
import { EMOJI, emojiPictures, readCaptioned } from "./data-pictures.ts";
import { readSeries } from "./data-series.ts";
import type { DataSettings } from "./data-settings.ts";
import { type Parts, type Placed, splitExamples } from "./data-splits.ts";
import { surnames } from "./data-surnames.ts";
import { brownTagged, readTagged } from "./data-tagging.ts";
import { readVerses } from "./data-verses.ts";
import { loadFile, sha256 } from "./text.ts";

export interface LoadedData {
  /** A built-in set's name, or the file's without its folder. */
  readonly name: string;
  /** What finds it from any folder. */
  readonly path: string;
  readonly sha256: string;
  /** Sequences, sentences or rows. */
  readonly examples: number;
  readonly notes: readonly string[];
  /** The settings that find it from any folder. */
  readonly files: Partial<Record<DataFile, string>>;
  /** For `createTask`. */
  readonly options: Pick<
    TaskOptions,
    "sequences" | "image" | "series" | "sentences" | "pairs" | "pieces" | "pictures" | "allTest"
  >;
}

/** Settings that name files. */
type DataFile =
  | "data"
  | "validData"
  | "testData"
  | "targetData"
  | "validTargetData"
  | "testTargetData"
  | "tokenizerFile";

/** Tables of the data set weather. */
const WEATHER: Readonly<Record<string, string>> = {
  weather: "seattle-weather-hourly-normals.csv",
  "weather-daily": "seattle-weather.csv",
  sp500: "sp500-2000.csv",
};

/** Data sets of Debian's packages, by name: where they lie once installed. */
const DEBIAN: Readonly<Record<string, { readonly folder: string; readonly package: string }>> = {
  "fashion-mnist": { folder: "/usr/share/datasets/fashion-mnist", package: "dataset-fashion-mnist" },
};

export const BUILTIN_DATA: Readonly<Record<string, readonly string[]>> = {
  classification: ["surnames", "mnist", ...Object.keys(DEBIAN)],
  forecasting: Object.keys(WEATHER),
  tagging: ["brown"],
  translation: ["verses"],
  captioning: Object.keys(EMOJI),
};

export async function loadData(settings: DataSettings): Promise<LoadedData> {
  const { name: task, data = BUILTIN_DATA[task]?.[0] as string } = settings;
  const builtin = BUILTIN_DATA[task]?.includes(data) ?? false;
  if (task === "forecasting") return loadSeries(settings, data, builtin);
  if (task === "tagging") return builtin ? loadBrownTags(settings) : loadOwn(settings, data, tagged);
  if (task === "translation")
    return withTokenizer(settings, builtin ? loadVerses(settings) : loadParallel(settings, data));
  if (task === "captioning")
    return builtin ? loadEmoji(data as keyof typeof EMOJI) : loadOwn(settings, data, captioned);
  if (data === "mnist") return loadImages(settings, data, join(dataSetFolders(data)[0] as string, "data"));
  if (data === "surnames") return loadSurnames();
  const debian = builtin ? DEBIAN[data] : undefined;
  if (debian) {
    check(
      isImageFolder(debian.folder),
      () =>
        `${data} is not installed: no images in ${debian.folder}. On Debian: apt install ${debian.package}; ` +
        "elsewhere give a folder with its four IDX files as task.data.",
    );
    return loadImages(settings, data, debian.folder);
  }
  if (existsSync(data) && statSync(data).isDirectory()) {
    check(
      isImageFolder(data),
      `${data} is a folder without IDX files of images (train-images-idx3-ubyte and its like); give a CSV or JSONL file.`,
    );
    return loadImages(settings, data, resolve(data));
  }
  return loadOwn(settings, data, classified);
}

async function loadSurnames(): Promise<LoadedData> {
  const [folder] = dataSetFolders("surnames") as [string];
  const { allLocales } = await import(pathToFileURL(join(folder, "dist", "index.js")).href);
  const examples = surnames(allLocales);
  const parts = splitExamples(examples, ({ label }) => label);
  const digest = sha256(
    Buffer.from(examples.map(({ example }) => `${example.label} ${String(example.input)}`).join("\n")),
  );
  return builtIn("surnames", digest, parts, { sequences: parts });
}

function loadBrownTags({ tagset = "base" }: DataSettings): LoadedData {
  const [folder] = dataSetFolders("brown") as [string];
  const parts = brownTagged(folder, tagset);
  const hash = createHash("sha256");
  for (const { tokens, tags } of [...parts.train, ...parts.valid, ...parts.test])
    hash.update(`${tokens.join(" ")}\n${tags.join(" ")}\n`);
  return builtIn("brown", hash.digest("hex"), parts, { sentences: parts });
}

function builtIn(
  name: string,
  digest: string,
  parts: Record<Split, readonly unknown[]>,
  options: LoadedData["options"],
): LoadedData {
  return { name, path: name, sha256: digest, examples: count(parts), notes: [], files: {}, options };
}

function loadVerses({ languages = "en-es" }: DataSettings): LoadedData {
  const parts = readVerses(languages);
  const hash = createHash("sha256");
  for (const { source, target } of [...parts.train, ...parts.valid, ...parts.test])
    hash.update(`${source}\n${target}\n`);
  return builtIn("verses", hash.digest("hex"), parts, { pairs: parts });
}

function loadEmoji(data: keyof typeof EMOJI): LoadedData {
  const examples = emojiPictures(data);
  const hash = createHash("sha256");
  for (const { example } of examples) hash.update(example.picture.colours).update(`${example.caption}\n`);
  const parts = splitExamples(examples, () => "");
  return builtIn(data, hash.digest("hex"), parts, { pictures: parts });
}

/** One file, or two side by side, that are split; or so for each part. */
function loadParallel(settings: DataSettings, data: string): LoadedData {
  const { validData, testData, targetData, validTargetData, testTargetData } = settings;
  const read = (file: string, targets: string | undefined) => {
    const found = loadPairs(file, targets);
    if (found.examples.length === 0) throw new UsageError(`${file} has no pairs; expected at least one.`);
    return found;
  };
  const train = read(data, targetData);
  const others =
    validData === undefined || testData === undefined
      ? []
      : [read(validData, validTargetData), read(testData, testTargetData)];
  const all = [train, ...others];
  const [valid, test] = others;
  const only = ({ examples }: typeof train) => examples.map(({ example }) => example);
  const parts =
    valid && test
      ? { train: only(train), valid: only(valid), test: only(test) }
      : splitExamples(train.examples, () => "");
  const names: readonly (readonly [DataFile, DataFile])[] = [
    ["data", "targetData"],
    ["validData", "validTargetData"],
    ["testData", "testTargetData"],
  ];
  return {
    ...describe(train.files[0] as { name: string; path: string; sha256: string }),
    sha256: sha256(Buffer.from(all.flatMap(({ files }) => files.map((file) => file.sha256)).join())),
    examples: count(parts),
    notes: all.flatMap(({ notes }) => notes),
    files: Object.fromEntries(
      all.flatMap(({ files }, part) => files.map(({ path }, side) => [names[part]![side] as string, path])),
    ),
    options: { pairs: parts },
  };
}

/** With a tokenizer.json of one's own, if one is named. */
function withTokenizer({ tokenizerFile }: DataSettings, data: LoadedData): LoadedData {
  if (tokenizerFile === undefined) return data;
  const { text, path } = loadFile(tokenizerFile, "data", "a tokenizer.json");
  const pieces = readTokenizer(text, tokenizerFile);
  return { ...data, files: { ...data.files, tokenizerFile: path }, options: { ...data.options, pieces } };
}

function loadImages({ order = "rows" }: DataSettings, data: string, folder: string): LoadedData {
  const { parts, image, sha256 } = readImages(folder, order);
  const own = BUILTIN_DATA.classification?.includes(data) ? {} : { data: folder };
  return {
    name: data,
    path: own.data ?? data,
    sha256,
    examples: count(parts),
    notes: [],
    files: own,
    options: { sequences: parts, image },
  };
}

function loadSeries(settings: DataSettings, data: string, builtin: boolean): LoadedData {
  const file = builtin ? join(dataSetFolders("weather")[0] as string, "data", WEATHER[data] as string) : data;
  const { text, path, name, sha256 } = loadFile(
    file,
    "data",
    `a CSV file, or one of: ${Object.keys(WEATHER).join(", ")}`,
  );
  const { series, notes } = readSeries(text, builtin ? (WEATHER[data] as string) : data, settings);
  const examples = series.values.length / series.columns.length;
  return builtin
    ? { name: data, path: data, sha256, examples, notes: [], files: {}, options: { series } }
    : { name, path, sha256, examples, notes, files: { data: path }, options: { series } };
}

/** How examples of a task are read from a file's text. */
interface Reader<T> {
  readonly choices: string;
  read(text: string, file: string, settings: DataSettings): { examples: Placed<T>[]; notes: readonly string[] };
  classOf(example: T): string;
  options(parts: Parts<T>): LoadedData["options"];
}

const classified: Reader<LabelledSequence> = {
  choices: "a CSV or JSONL file, a folder of IDX files, or one of: surnames, mnist, fashion-mnist",
  read(text, file, settings) {
    const { sequences, notes } = readSequences(text, file, settings);
    return { examples: sequences, notes };
  },
  classOf: ({ label }) => label,
  options: (sequences) => ({ sequences }),
};

const tagged: Reader<TaggedSentence> = {
  choices: "a JSONL or CoNLL file, or: brown",
  read: (text, file) => ({ examples: readTagged(text, file), notes: [] }),
  classOf: () => "",
  options: (sentences) => ({ sentences }),
};

const captioned: Reader<CaptionedPicture> = {
  choices: "a JSONL file of images and captions, or one of: emoji, emoji-google",
  read: (text, file) => ({ examples: readCaptioned(text, file), notes: [] }),
  classOf: () => "",
  options: (pictures) => ({ pictures }),
};

/** One file that is split, or one for each part. */
function loadOwn<T>(settings: DataSettings, data: string, reader: Reader<T>): LoadedData {
  const { validData, testData } = settings;
  const read = (file: string) => {
    const loaded = loadFile(file, "data", reader.choices);
    const found = reader.read(loaded.text, file, settings);
    if (found.examples.length === 0) throw new UsageError(`${file} has no examples; expected at least one.`);
    return { ...loaded, ...found };
  };
  const all = read(data);
  if (validData === undefined || testData === undefined) {
    const parts = splitExamples(all.examples, reader.classOf);
    return {
      ...describe(all),
      examples: count(parts),
      notes: all.notes,
      files: { data: all.path },
      options: reader.options(parts),
    };
  }
  const [valid, test] = [read(validData), read(testData)];
  const parts = {
    train: all.examples.map(({ example }) => example),
    valid: valid.examples.map(({ example }) => example),
    test: test.examples.map(({ example }) => example),
  };
  return {
    ...describe(all),
    sha256: sha256(Buffer.from([all, valid, test].map((part) => part.sha256).join())),
    examples: count(parts),
    notes: [all, valid, test].flatMap(({ notes }) => notes),
    files: { data: all.path, validData: valid.path, testData: test.path },
    options: reader.options(parts),
  };
}

function describe({ name, path, sha256 }: { name: string; path: string; sha256: string }) {
  return { name, path, sha256 };
}

function count(parts: Record<Split, readonly unknown[]>): number {
  return parts.train.length + parts.valid.length + parts.test.length;
}

/** Another file to score, read as the run's own was: all of it is the test split. */
export async function loadTestData(settings: DataSettings, file: string, encoding?: object): Promise<LoadedData> {
  const columns = (encoding as Partial<ForecastingEncoding> | undefined)?.columns?.join(",");
  const own = {
    ...settings,
    data: file,
    validData: undefined,
    testData: undefined,
    targetData: undefined,
    validTargetData: undefined,
    testTargetData: undefined,
    tokenizerFile: undefined,
    columns: columns ?? settings.columns,
  };
  const data = await loadData(own);
  const { sequences, sentences, series, pairs, pictures } = data.options;
  const whole = <T>(parts: Readonly<Record<Split, readonly T[]>>) => ({
    train: [],
    valid: [],
    test: [...parts.train, ...parts.valid, ...parts.test],
  });
  return {
    ...data,
    options: {
      ...data.options,
      ...(series && { allTest: true }),
      ...(sequences && { sequences: whole(sequences) }),
      ...(sentences && { sentences: whole(sentences) }),
      ...(pairs && { pairs: whole(pairs) }),
      ...(pictures && { pictures: whole(pictures) }),
    },
  };
}
