/**
 * A site is where the gradient at the output of a matrix product passes: the only place where
 * Gatesieve drops anything. In an LSTM layer it holds the gate gradients of all T*B rows.
 */
export interface Site {
  /** For example "lstm.l0". */
  readonly name: string;
  /** The gates, in PyTorch's order; group g owns columns [g*cols/G, (g+1)*cols/G). */
  readonly groups: readonly string[];
  /** Largest number of rows: T*B, block t = time t. */
  readonly rows: number;
  /** Number of columns: G*H. */
  readonly cols: number;
  /** Number of weights whose gradient is made from this site's: two in a recurrent layer; 1 if left out. */
  readonly weights?: number;
}
