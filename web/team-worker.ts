/** A thread of engine `wasm`, in an isolated page alone. */
import { serveTeam, type TeamMessage } from "../src/kernels/wasm-team.ts";

addEventListener("message", ({ data }: MessageEvent<TeamMessage>) => serveTeam(data));
postMessage("online");
