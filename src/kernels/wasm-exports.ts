/**
 * What the WebAssembly module exports: the kernels of assembly/, by address (bytes into the arena's
 * memory), row and length. wasm.ts alone calls them.
 */
export interface WasmExports {
  /** Makes this instance give jobs to `threads` threads, itself among them; `control`: see wasm-team.ts. */
  leadTeam(control: number, threads: number): void;
  /** Takes jobs in the name of thread `number` until workers are sent away. */
  serve(control: number, number: number): void;
  /** After a trap in `serve`. */
  abandon(): void;
  /** 1 sends the workers away, 0 lets them come. */
  setLeave(value: number): void;
  packPanels(rows: number, cols: number, from: number, fromRow: number, to: number): void;
  packTransposedPanels(rows: number, cols: number, from: number, fromRow: number, to: number): void;
  packRows(n: number, k: number, from: number, nt: number, nn: number, list: number, count: number): void;
  transpose(rows: number, cols: number, from: number, fromRow: number, to: number, toRow: number): void;
  product(
    m: number,
    n: number,
    k: number,
    a: number,
    aRow: number,
    aStep: number,
    b: number,
    bPanel: number,
    c: number,
    cRow: number,
    scratch: number,
  ): void;
  productTN(
    rows: number,
    n: number,
    k: number,
    g: number,
    x: number,
    out: number,
    xPanels: number,
    gPanel: number,
    scratch: number,
  ): void;
  compressSweep(
    g: number,
    rows: number,
    cols: number,
    groups: number,
    row: number,
    kind: number,
    tau: number,
    key: number,
    sums: number,
    histogram: number,
    before: boolean,
    after: boolean,
    choice: number,
    blocks: number,
    columns: number,
  ): void;
  chooseLines(g: number, rows: number, cols: number, row: number, kind: number, key: number, choice: number): void;
  columnForm(g: number, rows: number, cols: number, choice: number, at: number, starts: number): void;
  columnProduct(
    times: number,
    rows: number,
    n: number,
    k: number,
    starts: number,
    panels: number,
    out: number,
    gPanel: number,
    scratch: number,
  ): number;
  columnProductTN(
    times: number,
    rows: number,
    n: number,
    k: number,
    starts: number,
    x: number,
    out: number,
    xPanels: number,
    gPanel: number,
    scratch: number,
  ): number;
  /** Live columns; rows in pieces that fit: wasm-live.ts. */
  liveProduct(
    times: number,
    rows: number,
    n: number,
    k: number,
    a: number,
    panels: number,
    list: number,
    counts: number,
    out: number,
    packed: number,
    gPanel: number,
    scratch: number,
  ): number;
  liveProductNN(
    times: number,
    rows: number,
    n: number,
    k: number,
    g: number,
    panels: number,
    list: number,
    counts: number,
    out: number,
    gPanel: number,
    tiles: number,
    scratch: number,
  ): number;
  liveProductTN(
    times: number,
    rows: number,
    n: number,
    k: number,
    g: number,
    x: number,
    list: number,
    counts: number,
    out: number,
    packed: number,
    gPanel: number,
    turned: number,
    room: number,
  ): number;
  maskRows(out: number, a: number, factors: number, times: number, rows: number, cols: number): void;
  compressIndex(
    g: number,
    rows: number,
    cols: number,
    bitmap: number,
    rowCounts: number,
    lists: boolean,
    pairs: number,
    starts: number,
  ): void;
  sparseProduct(
    rows: number,
    n: number,
    k: number,
    g: number,
    rowCounts: number,
    starts: number,
    panels: number,
    out: number,
    full: number,
    scratch: number,
  ): number;
  sparseProductTN(
    rows: number,
    n: number,
    k: number,
    g: number,
    rowCounts: number,
    starts: number,
    x: number,
    out: number,
    full: number,
    xPanels: number,
    columns: number,
    cursors: number,
    gPanel: number,
    scratch: number,
  ): number;
  lstmForward(rows: number, hidden: number, gates: number, before: number, c: number, h: number, tanhC: number): void;
  lstmBackward(
    rows: number,
    hidden: number,
    gates: number,
    before: number,
    tanhC: number,
    dh: number,
    dc: number,
    scratch: number,
  ): void;
  gruForward(
    rows: number,
    hidden: number,
    gates: number,
    products: number,
    before: number,
    h: number,
    kept: number,
  ): void;
  gruBackward(rows: number, hidden: number, gates: number, products: number, before: number, dh: number): void;
  gruHidden(rows: number, hidden: number, left: number, kept: number, out: number): void;
  rnnForward(rows: number, hidden: number, gates: number, h: number): void;
  rnnBackward(rows: number, hidden: number, gates: number, dh: number): void;
  mingruForward(rows: number, hidden: number, gates: number, before: number, h: number): void;
  mingruBackward(rows: number, hidden: number, gates: number, before: number, dh: number): void;
  addInto(to: number, from: number, length: number): void;
  addColumnSums(out: number, g: number, rows: number, cols: number): void;
  setRows(out: number, rows: number, cols: number, a: number, b: number): void;
  gatherRows(out: number, table: number, index: number, rows: number, cols: number): void;
  scatterRows(table: number, index: number, g: number, rows: number, cols: number): void;
  lookupGradient(
    out: number,
    index: number,
    g: number,
    rows: number,
    n: number,
    k: number,
    sums: number,
    touched: number,
  ): void;
  dropout(out: number, a: number, length: number, limit: number, scale: number, key: number): void;
  softmaxCrossEntropy(logits: number, targets: number, rows: number, cols: number, scale: number): number;
  squaredError(y: number, targets: number, length: number, scale: number): number;
  relu(x: number, length: number): void;
  reluGradient(out: number, g: number, y: number, length: number): void;
  gelu(y: number, x: number, length: number): void;
  multiply(out: number, a: number, b: number, length: number): void;
  tanhOf(out: number, x: number, length: number): void;
  tanhGradient(out: number, g: number, y: number, length: number): void;
  softmaxRows(x: number, rows: number, cols: number, length: number): void;
  softmaxGradientRows(g: number, p: number, rows: number, cols: number): void;
  layerNorm(
    out: number,
    x: number,
    rows: number,
    cols: number,
    weight: number,
    bias: number,
    means: number,
    inverses: number,
    eps: number,
  ): void;
  layerNormGradient(
    dx: number,
    dy: number,
    x: number,
    rows: number,
    cols: number,
    weight: number,
    means: number,
    inverses: number,
    dWeight: number,
    dBias: number,
  ): void;
  /** `scratch`: `room` floats for each thread. */
  attention(
    out: number,
    shares: number,
    x: number,
    T: number,
    B: number,
    heads: number,
    width: number,
    steps: number,
    scratch: number,
    room: number,
  ): void;
  attentionGradient(
    dx: number,
    dy: number,
    shares: number,
    x: number,
    T: number,
    B: number,
    heads: number,
    width: number,
    steps: number,
    scratch: number,
    room: number,
  ): void;
  /** The updates: `list` 0 is one piece of `length`; else `count` pieces, rows of `length` with the numbers in the list. */
  clear(x: number, length: number, list: number, count: number): void;
  sumSquares(x: number, length: number): number;
  /** `list` 0: the first `count` rows. */
  sumSquaresOfRows(x: number, cols: number, list: number, count: number, sums: number): number;
  sgd(
    value: number,
    gradient: number,
    buffer: number,
    length: number,
    list: number,
    count: number,
    gradientScale: number,
    weightDecay: number,
    momentum: number,
    learningRate: number,
  ): void;
  rmsprop(
    value: number,
    gradient: number,
    square: number,
    length: number,
    list: number,
    count: number,
    gradientScale: number,
    weightDecay: number,
    alpha: number,
    rest: number,
    learningRate: number,
    epsilon: number,
  ): void;
  adam(
    value: number,
    gradient: number,
    mean: number,
    square: number,
    length: number,
    list: number,
    count: number,
    gradientScale: number,
    weightDecay: number,
    shrink: number,
    beta1: number,
    rest1: number,
    beta2: number,
    rest2: number,
    stepSize: number,
    correction: number,
    epsilon: number,
  ): void;
}
