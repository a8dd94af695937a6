/** Starts the dashboard on a port of this machine. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "@hono/node-server";
import { GatesieveError } from "../core/check.ts";
import { dashboard } from "./app.ts";

export interface ServeOptions {
  readonly runsDir: string;
  readonly sweepsDir: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

const ANYWHERE = ["0.0.0.0", "::"];

/** Throws a GatesieveError if the port is taken, the host is not this machine's or the page was not built. */
export async function serveDashboard({ runsDir, sweepsDir, host, port }: ServeOptions): Promise<Served> {
  const pageDir = join(dirname(fileURLToPath(import.meta.url)), "../web"); // dist/web beside dist/server
  if (!existsSync(join(pageDir, "dashboard/index.html")))
    throw new GatesieveError(`the dashboard's page is not there: ${pageDir}. Build it with: npm run build`);
  const hosts = ["localhost", "127.0.0.1", "[::1]", host, `[${host}]`];
  const app = dashboard({ runsDir, sweepsDir, pageDir, hosts });
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, ({ port: taken }) => {
      const name = ANYWHERE.includes(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
      resolve({
        url: `http://${name}:${taken}/`,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            if ("closeAllConnections" in server) server.closeAllConnections(); // streams would hold it open
          }),
      });
    });
    server.on("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE"
          ? `port ${port} of ${host} is taken; give another with --port, or 0 for any free one.`
          : error.code === "EACCES"
            ? `port ${port} is not for ordinary users; give one from 1024 on with --port.`
            : `${host} port ${port} cannot be opened: ${error.message}.`;
      reject(new GatesieveError(why));
    });
  });
}
