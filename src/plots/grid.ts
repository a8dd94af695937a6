/** Several charts as one SVG element: small multiples in one file. */

/** Charts of `svg()` in rows of `columns`, all cells as large as the largest chart. */
export function grid(charts: readonly string[], columns: number): string {
  const sizes = charts.map((chart) => /width="([\d.]+)" height="([\d.]+)"/.exec(chart)?.slice(1).map(Number) ?? [0, 0]);
  const width = Math.max(...sizes.map(([w]) => w as number)) + GAP;
  const height = Math.max(...sizes.map(([, h]) => h as number)) + GAP;
  const across = Math.min(columns, charts.length);
  const [all, high] = [across * width - GAP, Math.ceil(charts.length / columns) * height - GAP];
  const placed = charts.map((chart, index) => {
    const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
    // A chart's own style fits it to a page; here its size is fixed.
    return chart.replace("<svg ", `<svg x="${x}" y="${y}" style="max-width:none;height:${sizes[index]?.[1]}px" `);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${all}" height="${high}" viewBox="0 0 ${all} ${high}">`,
    ...placed,
    "</svg>",
  ].join("\n");
}

const GAP = 24; // px
