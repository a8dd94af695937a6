/**
 * The gate gradients that U sees, of a cell whose hidden product stands apart (GRU: that of n is times r). The rule acts
 * on the site's gradients alone; these are made from what it left, so they are zero where those are.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import type { CellKernel, CellStep, Kernels } from "../kernels/kernels.ts";
import type { Pattern } from "../sparse/pattern.ts";
import { type DropRule, dropRule } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import { planStatistics, type SiteStatistics } from "../sparse/statistics.ts";

export class HiddenGates {
  /** (S*B, G*H), like the gates. */
  readonly gates: Tensor;
  readonly pattern: Pattern;
  /** For a rule on path dh alone: of a piece. */
  copy: Pattern | undefined;
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #site: Site;
  readonly #cell: CellKernel;
  /** Drops nothing: it only lists. */
  readonly #rule: DropRule;
  readonly #statistics: SiteStatistics;

  constructor(arena: Arena, kernels: Kernels, cell: CellKernel, site: Site, rows: number, listRows: number) {
    this.#arena = arena;
    this.#kernels = kernels;
    this.#cell = cell;
    this.#site = { ...site, name: `${site.name}.hidden` };
    this.gates = arena.tensor(`${this.#site.name}Gates`, [rows, site.cols], "gateGradients");
    this.pattern = kernels.planPattern(this.#site, this.gates, listRows, "what U sees");
    this.#statistics = planStatistics(arena, this.#site);
    this.#rule = dropRule(site.groups.length);
    this.#rule.kind = "threshold";
    this.#rule.tau.fill(-1);
  }

  planCopy(rows: number): void {
    const site = { ...this.#site, name: `${this.#site.name}.dh` };
    this.copy = this.#kernels.planPattern(
      site,
      this.#arena.tensor(`${site.name}Gates`, [rows, site.cols], "gateGradients"),
    );
  }

  /** Of time t, from what was left for W; `sparse`: for sparse products. */
  make(step: CellStep, left: Tensor, leftRow: number, pattern: Pattern, row: number, sparse: boolean): void {
    this.#cell.dHidden?.(step, left, leftRow, pattern.dense, row);
    if (sparse) this.#kernels.compress(pattern, row, step.rows, this.#rule, this.#statistics);
  }
}
