/** Scales and zero-points [rows, groups] of a matrix; a scale of 0 stands for a group of zeros. */
export interface GroupParameters {
  readonly scales: Float32Array;
  /** Left out where the format has none. */
  readonly zeroPoints?: Uint8Array | undefined;
}

/** Salient weights, whose residuals are chosen together with their codes. */
export interface SalientSearch {
  /** Ascending indices into the weights. */
  readonly indices: Uint32Array;
  /** [rows] scales of the residuals. */
  readonly scales: Float32Array;
}
