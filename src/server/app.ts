/**
 * The dashboard's server: runs as JSON, changes as server-sent events, and the page. It only reads.
 *
 *   GET /                         the page
 *   GET /api/about                About
 *   GET /api/runs                 RunMessage[], newest first
 *   GET /api/runs/ID/events?from  EventsMessage
 *   GET /api/runs/ID/telemetry    TelemetryEvent[]
 *   GET /api/live                 text/event-stream of "run" and "gone"
 *   GET /api/sweeps               SweepSummary[]
 *   GET /sweeps/NAME              a sweep's own page
 */
import { readFileSync, statSync } from "node:fs";
import { extname, join, normalize, resolve, sep } from "node:path";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { PAGE } from "../runs/sweep-store.ts";
import { version } from "../runs/version.ts";
import type { About, EventsMessage, GoneMessage, RunMessage } from "./messages.ts";
import { type IndexedRun, RunIndex } from "./run-index.ts";
import { listSweepSummaries } from "./sweep-list.ts";

export interface DashboardOptions {
  readonly runsDir: string;
  readonly sweepsDir: string;
  /** Folder of the built pages: assets/ and dashboard/index.html. */
  readonly pageDir: string;
  /** Names under which the server may be asked for, without port. */
  readonly hosts: readonly string[];
  /** Between looks at the folder of runs. */
  readonly everyMs?: number;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};
/** The page loads nothing from elsewhere; charts set styles of their own. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'";
/** A sweep's page brings its style with it and has no scripts. */
const REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

export function dashboard({ runsDir, sweepsDir, pageDir, hosts, everyMs = 1000 }: DashboardOptions): Hono {
  const index = new RunIndex(runsDir);
  const app = new Hono();

  // A page of another site may point a name of its own at this machine and so read what runs here; its name gives it away.
  app.use(async (context, next) => {
    const host = new URL(`http://${context.req.header("host") ?? "none"}`).hostname;
    if (!hosts.includes(host)) return context.text(`asked for as "${host}", which this server is not.\n`, 403);
    await next();
    context.header("X-Content-Type-Options", "nosniff");
    context.header("Cache-Control", "no-store");
  });

  app.get("/api/about", (context) =>
    context.json({ version, runsDir: resolve(runsDir), sweepsDir: resolve(sweepsDir) } satisfies About),
  );
  app.get("/api/runs", (context) => {
    index.refresh();
    return context.json(index.all().map(message));
  });
  app.get("/api/runs/:id/events", (context) => {
    const run = found(index, context.req.param("id"));
    if (!run) return context.json({ error: "no such run" }, 404);
    const from = Math.max(0, Math.trunc(Number(context.req.query("from") ?? 0)) || 0);
    const events = index.events(run);
    return context.json({ next: events.length, events: events.slice(from) } satisfies EventsMessage);
  });
  app.get("/api/runs/:id/telemetry", (context) => {
    const run = found(index, context.req.param("id"));
    return run ? context.json(index.telemetry(run)) : context.json({ error: "no such run" }, 404);
  });
  app.get("/api/live", (context) =>
    streamSSE(context, async (stream) => {
      // A listener has an index of its own: what it has been told already.
      const told = new RunIndex(runsDir);
      told.refresh();
      await stream.writeSSE({ event: "hello", data: "" });
      while (!stream.aborted && !stream.closed) {
        await stream.sleep(everyMs);
        const { changed, gone } = told.refresh();
        for (const run of changed) await stream.writeSSE({ event: "run", data: JSON.stringify(message(run)) });
        for (const id of gone)
          await stream.writeSSE({ event: "gone", data: JSON.stringify({ id } satisfies GoneMessage) });
      }
    }),
  );
  app.get("/api/sweeps", (context) => context.json(listSweepSummaries(sweepsDir)));
  app.get("/sweeps/:name", (context) => {
    const { name } = context.req.param();
    const sweep = listSweepSummaries(sweepsDir).find((each) => each.name === name && each.page);
    if (!sweep) return context.text("no such sweep, or it has no page yet\n", 404);
    context.header("Content-Security-Policy", REPORT_POLICY);
    return context.html(readFileSync(join(sweepsDir, sweep.name, PAGE), "utf8"));
  });
  app.get("/*", (context) => {
    const { pathname } = new URL(context.req.url);
    const path = normalize(join(pageDir, pathname === "/" ? "dashboard/index.html" : decodeURIComponent(pathname)));
    const type = TYPES[extname(path)];
    if (!path.startsWith(pageDir + sep) || !type || !statSync(path, { throwIfNoEntry: false })?.isFile())
      return context.text("not here\n", 404);
    context.header("Content-Type", type);
    context.header("Content-Security-Policy", POLICY);
    return context.body(readFileSync(path));
  });
  return app;
}

/** By the index, never by path: an id from outside names no file. */
function found(index: RunIndex, id: string): IndexedRun | undefined {
  index.refresh();
  return index.get(id);
}

function message({ summary, config }: IndexedRun): RunMessage {
  return { summary, config };
}
