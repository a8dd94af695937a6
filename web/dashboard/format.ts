/** Settings as the page shows them, and files that its reader keeps; numbers are those of the command line (format.ts there). */

/** Dotted keys of nested ones: "train.learningRate" to "0.002". */
export function flat(tree: object, prefix = "", into = new Map<string, string>()): Map<string, string> {
  for (const [key, value] of Object.entries(tree))
    if (value !== null && typeof value === "object" && !Array.isArray(value)) flat(value, `${prefix}${key}.`, into);
    else into.set(prefix + key, typeof value === "string" ? value : JSON.stringify(value));
  return into;
}

/** Lets the reader keep a file. */
export function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
