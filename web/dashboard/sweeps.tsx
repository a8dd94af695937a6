/** Sweeps: how far they are, and their pages. */
import { about, sweeps } from "./state.ts";

export function Sweeps() {
  if (sweeps.value.length === 0)
    return (
      <p class="empty">
        No sweeps in {about.value?.sweepsDir ?? "this folder"} yet. Begin one: <code>gatesieve sweep grid.yaml</code>
      </p>
    );
  return (
    <table>
      <thead>
        <tr>
          <th>sweep</th>
          <th>begun</th>
          <th>state</th>
          <th>runs</th>
          <th>failed</th>
        </tr>
      </thead>
      <tbody>
        {sweeps.value.map(({ name, created, running, members, finished, failed, page }) => (
          <tr key={name}>
            <td>
              {page ? (
                <a href={`sweeps/${encodeURIComponent(name)}`} target="_blank" rel="noreferrer">
                  {name}
                </a>
              ) : (
                name
              )}
            </td>
            <td>{created ? new Date(created).toLocaleString() : "–"}</td>
            <td>{running ? "running" : finished === members ? "finished" : "stopped"}</td>
            <td class="number">
              {finished} of {members}
            </td>
            <td class="number">{failed}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
