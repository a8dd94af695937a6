/**
 * Surnames by language from the locales of faker: languages written in Latin letters (others give themselves away by
 * their script), each name once for each language. Names of several languages count for each of them.
 */
import type { LabelledSequence } from "../tasks/classification.ts";
import type { Placed } from "./data-splits.ts";

/** Language, and the locales that its names are taken from. */
const LANGUAGES: Readonly<Record<string, readonly string[]>> = {
  Croatian: ["hr"],
  Czech: ["cs_CZ"],
  Danish: ["da"],
  Dutch: ["nl"],
  English: ["en"],
  French: ["fr"],
  German: ["de"],
  Hungarian: ["hu"],
  Italian: ["it"],
  Latvian: ["lv"],
  Polish: ["pl"],
  Portuguese: ["pt_PT", "pt_BR"],
  Romanian: ["ro"],
  Slovak: ["sk"],
  Spanish: ["es", "es_MX"],
  Swedish: ["sv"],
  Turkish: ["tr"],
  Zulu: ["zu_ZA"],
};

type Locales = Readonly<Record<string, { person?: { last_name?: Record<string, readonly string[] | null> } }>>;

export function surnames(locales: Locales): Placed<LabelledSequence>[] {
  return Object.entries(LANGUAGES).flatMap(([label, from]) => {
    const names = from.flatMap((locale) =>
      Object.values(locales[locale]?.person?.last_name ?? {}).flatMap((list) => list ?? []),
    );
    const distinct = [...new Set(names.map((name) => name.normalize("NFC").trim()))].filter(Boolean).sort();
    return distinct.map((input) => ({
      example: { input, label, where: `surnames, ${label}` },
      split: undefined,
      where: "surnames",
    }));
  });
}
