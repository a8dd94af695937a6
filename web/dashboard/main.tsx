/** The dashboard's page: begins to listen to the server and draws. */
import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import { App } from "./app.tsx";
import { listen } from "./server.ts";

listen();
render(<App />, document.getElementById("app") as HTMLElement);
