import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { builtinTexts, DEFAULT_TEXT, loadText } from "./text.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function messageOf(path: string): string {
  try {
    loadText(path);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).not.toContain("\n");
    return (error as Error).message;
  }
  throw new Error(`${path} was accepted`);
}

describe("built-in texts", () => {
  test("include the default, and every one of them loads", () => {
    expect(builtinTexts()).toContain(DEFAULT_TEXT);
    for (const name of builtinTexts()) {
      const { text } = loadText(name);
      expect(text.length, name).toBeGreaterThan(30_000);
      expect(text.includes("\r"), name).toBe(false);
      expect(text.includes("\uFFFD"), name).toBe(false);
    }
  });

  test("the default is a megabyte of English", () => {
    const { name, path, text } = loadText(DEFAULT_TEXT);
    expect([name, path]).toEqual([DEFAULT_TEXT, DEFAULT_TEXT]);
    expect(text.length).toBeGreaterThan(1_000_000);
    expect(text).toContain("Call me Ishmael.");
    expect(loadText(`gutenberg/${DEFAULT_TEXT}`)).toEqual(loadText(DEFAULT_TEXT));
  });
});

describe("files", () => {
  test("UTF-8, without its byte-order mark, line ends unified", () => {
    const { name, path, text } = loadText(file("a.txt", "\uFEFFé\r\n𝄞\rx\n"));
    expect([name, path, text]).toEqual(["a.txt", join(folder, "a.txt"), "é\n𝄞\nx\n"]);
  });

  test("the hash is of the file's bytes", () => {
    expect(loadText(file("abc", "abc")).sha256).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  test("a missing file, a folder", () => {
    const missing = join(folder, "no.txt");
    expect(messageOf(missing)).toContain(`no text file ${missing}`);
    expect(messageOf(missing)).toContain("built-in text: austen-emma, ");
    mkdirSync(join(folder, "sub"));
    expect(messageOf(join(folder, "sub"))).toMatch(/is a folder; give a UTF-8 text file/);
  });

  test.each([
    ["ISO-8859-1", Buffer.from("caf\xe9 au lait", "latin1"), 3, "0xe9", "ISO-8859-1"],
    ["cut short", Buffer.from("abc€").subarray(0, 5), 3, "0xe2", "ISO-8859-1"],
    ["UTF-16", Buffer.from("\uFEFFabc", "utf16le"), 0, "0xff", "UTF-16"],
    ["after a true U+FFFD", Buffer.concat([Buffer.from("\uFFFD€"), Buffer.of(0xc0)]), 6, "0xc0", "ISO-8859-1"],
  ])("%s: says at which byte it is not UTF-8, and how to convert it", (_, bytes, offset, byte, from) => {
    const message = messageOf(file("bad.txt", bytes));
    expect(message).toContain(`byte ${offset} (${byte})`);
    expect(message).toContain(`iconv -f ${from} -t UTF-8 `);
  });
});
